"""`forecast ingest`: trajectory files into a data set."""

import argparse
from typing import Any

from forecasting.cli.output import Progress, note
from forecasting.cli.reading import add_ingest_arguments, ingest_options

SUMMARY = "turn trajectory files into a data set folder"
DESCRIPTION = """\
Turn trajectory files into a data set folder: Parquet shards, a manifest with content hashes, nothing repaired silently.

  forecast ingest tracks.csv -o data/tracks --unit m
  forecast ingest recordings/ -o data/pendulum --format wide_csv --wide x0,y0,x1,y1 --rate 400 --unit px
  forecast ingest walk.npz -o data/walk --key positions --rate 120 --unit mm --up y
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", nargs="+", help="files and folders")
    parser.add_argument("-o", "--output", required=True, help="folder of the data set")
    add_ingest_arguments(parser)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Ingest and describe what was written."""
    from forecasting.trajectories.ingest import ingest

    with Progress("positions") as progress:
        dataset = ingest(options.files, options.output, ingest_options(options), progress=progress.to)
    manifest = dataset.manifest
    for finding in manifest.provenance["findings"]:
        note(finding["text"])
    return {
        "folder": str(dataset.folder),
        **manifest.counts,
        "unit": manifest.unit,
        "up": manifest.frame.up,
        "dimensions": manifest.dim,
        "fields": sorted(manifest.fields),
        "findings": manifest.provenance["findings_count"],
        "content": manifest.content,
    }


def show(result: dict[str, Any]) -> None:
    """Say what was written."""
    print(
        f"{result['folder']}: {result['scenes']} scenes, {result['frames']} frames, {result['rows']} positions "
        f"in {result['unit']}, {result['dimensions']}-D, up {result['up']}; {result['findings']} findings"
    )
