"""Options of every verb that reads trajectory files."""

import argparse
from typing import TYPE_CHECKING

from forecasting.errors import UsageError

if TYPE_CHECKING:
    from forecasting.trajectories.formats import ReadOptions
    from forecasting.trajectories.ingest import IngestOptions


def add_read_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a user can say about files."""
    group = parser.add_argument_group("what the files do not say")
    group.add_argument("--format", default="", help="name of the reader (default: the content decides)")
    group.add_argument("--unit", default="", help="unit of the coordinates: m, cm, px, or per axis x=1.05m,y=0.68m")
    group.add_argument("--up", default="", help="axis against gravity: x, y, z, -z … or none")
    group.add_argument("--rate", type=float, help="frames per second")
    group.add_argument("--key", default="", help="name of the array inside an npz")
    group.add_argument(
        "--columns",
        nargs="+",
        default=[],
        metavar="OURS=THEIRS",
        help="column names of a table, for instance node=person x=X",
    )
    group.add_argument("--wide", default="", metavar="x0,y0,x1,y1,…", help="columns of a wide table, node by node")
    group.add_argument("--node-type", default="", help="type of the nodes where the file names none")
    group.add_argument(
        "--on-error",
        choices=("fail", "mask", "drop"),
        default="fail",
        help="what to do with impossible values (default: fail)",
    )
    group.add_argument("--unsorted", action="store_true", help="rows of a scene do not stand together: sort them first, on disk")


def add_ingest_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a user can say about files, and about what becomes of them."""
    add_read_arguments(parser)
    group = parser.add_argument_group("what to make of them")
    group.add_argument("--fields", nargs="+", metavar="NAME", help="fields to keep: names, or none (default: all)")
    group.add_argument("--types", choices=("type", "id"), default="type", help="id: every node id is a type of its own")
    group.add_argument("--resample", type=float, metavar="SECONDS", help="bring every scene to this step")


def read_options(options: argparse.Namespace) -> "ReadOptions":
    """What the user says about files, as one object.

    Raises:
        UsageError: if a column map is not of the form OURS=THEIRS.
    """
    from forecasting.trajectories.formats import ReadOptions

    columns = {}
    for pair in options.columns:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise UsageError(f"--columns takes pairs such as node=person, found '{pair}'")
        columns[ours] = theirs
    return ReadOptions(
        unit=options.unit,
        up=options.up,
        rate=options.rate,
        key=options.key,
        columns=columns,
        wide=tuple(name for name in options.wide.split(",") if name),
        node_type=options.node_type,
        on_error=options.on_error,
        unsorted=options.unsorted,
    )


def ingest_options(options: argparse.Namespace) -> "IngestOptions":
    """What the user says about files and what becomes of them; see `read_options`."""
    from forecasting.trajectories.ingest import IngestOptions

    fields = None if options.fields is None else tuple(name for name in options.fields if name != "none")
    return IngestOptions(
        read=read_options(options), format=options.format, resample=options.resample, types=options.types, fields=fields
    )
