"""The page of the service: static files, with the shared player among them."""

from importlib.resources import files
from importlib.resources.abc import Traversable

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def assets() -> dict[str, tuple[bytes, str]]:
    """What a browser may ask for below ``/viewer/``: path -> content and media type. ``index.html`` is the page itself.

    Its modules ask for ``player/…`` beside them, which is the player that the report has too.
    """
    found = dict(_below(files("forecasting.service.viewer"), ""))
    found.update(_below(files("forecasting.player"), "player/"))
    return found


def _below(folder: Traversable, prefix: str) -> list[tuple[str, tuple[bytes, str]]]:
    found: list[tuple[str, tuple[bytes, str]]] = []
    for item in folder.iterdir():
        ending = "." + item.name.rpartition(".")[2]
        if item.is_dir():
            found.extend(_below(item, f"{prefix}{item.name}/"))
        elif ending in TYPES:
            found.append((prefix + item.name, (item.read_bytes(), TYPES[ending])))
    return found
