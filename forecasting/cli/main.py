"""Entry point of `forecast`: finds the verb, runs it, and turns errors into one line and an exit code."""

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence

from forecasting.cli.output import print_error, print_json
from forecasting.errors import ForecastingError
from forecasting.version import __version__

VERBS = (
    "demo",
    "simulate",
    "ingest",
    "inspect",
    "train",
    "calibrate",
    "predict",
    "evaluate",
    "diagnose",
    "backtest",
    "sweep",
    "package",
    "export",
    "serve",
    "doctor",
)
DESCRIPTION = """\
Forecast the motion of anything that moves as a set of points: particles, joints, atoms, pedestrians, cars, players.

A first hour:
  forecast demo                                             simulate, train, predict, evaluate, find the symmetry
  forecast inspect tracks.csv --unit m                      what is in the file
  forecast train data.path=tracks.csv data.read.unit=m      learn from it
  forecast predict RUN new.csv --unit m -o future.parquet   forecast
  forecast serve checkpoints/cmu-motion                     answer requests, with a page to try it
  forecast evaluate RUN tracks.csv --unit m                 how good, and how equal under rotation and translation
  forecast diagnose RUN tracks.csv --unit m                 which symmetry the data have, group by group
  forecast backtest data.path=tracks.csv data.read.unit=m   train and test at several origins in time
"""
EPILOG = """\
`forecast VERB --help` teaches each verb by example. With --json a verb prints one object on standard output, nothing else.
Exit codes: 0 done, 1 another process of the run was lost, 2 usage, 3 data, 4 package, 5 numerical, 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help()
        return 2
    try:
        result = options.perform(options)
        if options.json:
            print_json(result)
        else:
            options.present(result)
        sys.stdout.flush()
    except ForecastingError as error:
        return _fail(options, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(options, "interrupted", 130)
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]  # nobody reads on, so nothing is flushed at the end either
        return 0
    except OSError as error:
        return _fail(options, f"{error.filename or 'the system'}: {error.strerror or error}", 3)
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar; heavy libraries are imported by the verbs when they run."""
    parser = argparse.ArgumentParser(
        prog="forecast", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"forecast {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB [--help]", title="verbs")
    for name in VERBS:
        module = importlib.import_module(f"forecasting.cli.{name}")
        verb = verbs.add_parser(
            name,
            help=module.SUMMARY,
            description=module.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(verb)
        verb.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.set_defaults(perform=module.run, present=module.show)
    return parser


def _fail(options: argparse.Namespace, message: str, code: int) -> int:
    if options.debug:
        traceback.print_exc(file=sys.stderr)
    if options.json:
        print_json({"error": message, "exit_code": code})
    print_error(message)
    return code


if __name__ == "__main__":
    sys.exit(main())
