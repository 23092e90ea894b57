"""`forecast serve`: forecasts over HTTP, and a page to look at them."""

import argparse
from typing import Any

SUMMARY = "answer requests for forecasts over HTTP, with a page to try it"
DESCRIPTION = """\
Serve trained packages over HTTP. The page at / forecasts a file that is dropped on it; programs post scenes to /predict, as JSON
or Arrow. Only this machine can reach the service, unless --host says otherwise; then a key is needed.

  forecast serve checkpoints/tracks                                 http://127.0.0.1:8000
  forecast serve checkpoints/a checkpoints/b --port 9000            several packages, addressed by name or name@digest
  FORECASTING_API_KEY=… forecast serve RUN --host 0.0.0.0           for others; they send the key

What goes in and out is in docs/service.md and at /schema. Ctrl-C or SIGTERM ends it after the requests that were accepted.
"""
LIMITS = (
    "bytes",
    "memory",
    "scenes",
    "frames",
    "nodes",
    "edges",
    "forecasts",
    "positions",
    "entries",
    "draws",
    "queue",
    "connections",
    "seconds",
    "head",
    "sending",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("packages", nargs="+", metavar="PACKAGE", help="package or run folder; the first is the default")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on, 0 for any that is free (default: 8000)")
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="of the arithmetic (default: 1; with more, the last bit of an answer may depend on its company)",
    )
    parser.add_argument("--quiet", action="store_true", help="write no line for each request")
    parser.add_argument(
        "--drain",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="at SIGTERM, go on for so long with /ready answering 503, so that others can be asked instead (default: 0)",
    )
    group = parser.add_argument_group(
        "limits, each answered with 413, 429 or 503, or with nothing, where a client goes beyond it"
    )
    for name in LIMITS:
        said = _MEANINGS[name] if name in _SECONDS[1:] else f"{name} {_MEANINGS[name]}"
        group.add_argument(f"--max-{name}", type=float if name in _SECONDS else int, metavar="N", help=said)


_MEANINGS = {
    "bytes": "of one body",
    "memory": "in bytes, of all bodies being read or waiting, and all answers until they are sent",
    "scenes": "in one request",
    "frames": "in one scene",
    "nodes": "in one scene",
    "edges": "in the graph of one scene",
    "forecasts": "in one answer",
    "positions": "in one answer: nodes × hypotheses × steps",
    "entries": "in a file or an Arrow body: frames × nodes",
    "draws": "of a residual, for each group",
    "queue": "of requests that wait, for each package",
    "connections": "open at a time",
    "seconds": "until an answer must be there",
    "head": "seconds for the head of a request to arrive",
    "sending": "seconds for an answer to be read",
}
_SECONDS = ("seconds", "head", "sending")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Serve until told to stop."""
    import os
    from math import inf

    from forecasting.errors import UsageError
    from forecasting.numerics import configure
    from forecasting.preparations import keep_few_preparations

    keep_few_preparations()
    configure(options.threads)
    try:
        import uvicorn  # noqa: F401
    except ImportError:
        raise UsageError("serving needs further packages: pip install 'forecasting[serve]'") from None
    from forecasting.cli.output import note
    from forecasting.service.app import create_app
    from forecasting.service.limits import Limits
    from forecasting.service.server import KEY_VARIABLE, checked_key, is_loopback, listening
    from forecasting.service.server import run as serve
    from forecasting.service.shelf import Served, Shelf

    if not 0 <= options.drain < inf:
        raise UsageError(f"--drain must be a number of seconds, 0 or more, found {options.drain}")
    given = {name: getattr(options, f"max_{name}") for name in LIMITS}
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    key = checked_key(options.host, os.environ.get(KEY_VARIABLE, ""))
    shelf = Shelf([Served.load(folder) for folder in options.packages])
    app = create_app(shelf, limits, key=key, local=is_loopback(options.host), quiet=options.quiet)
    listener = listening(options.host, options.port)
    host, port = listener.getsockname()[:2]
    for each in shelf.served:
        note(f"{each.address}: {each.package.model}, {each.package.schema.dim} dimensions, {each.package.unit}")
    note(f"serving on http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C stops)")
    serve(app, listener, limits.seconds, limits, options.drain)
    return {"served": [each.address for each in shelf.served], "port": port}


def show(result: dict[str, Any]) -> None:
    """Say that it is over."""
    print(f"stopped serving {', '.join(result['served'])}")
