"""Plays scenes back in a browser: what was seen, what came, what is forecast. For the report and for the service.

The files beside this one are the player: modules of the browser, which need nothing else. The service serves them as they are;
the report, one page without a network, takes them joined.
"""

import re
from importlib.resources import files

MODULES = ("geometry.js", "marks.js", "moments.js", "canvas.js", "controls.js", "player.js")  # each needs only those before it
STYLE = "player.css"
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) )", re.MULTILINE)


def script() -> str:
    """The modules as one script for a page, which has `forecastPlayer(element, scenes)` then."""
    return "".join(_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in MODULES)


def style() -> str:
    """The style sheet."""
    return _text(STYLE)


def _text(name: str) -> str:
    return (files("forecasting.player") / name).read_text(encoding="utf-8")
