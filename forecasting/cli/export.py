"""`forecast export`: the forecaster as a program of torch.export."""

import argparse
from typing import Any

SUMMARY = "write the forecaster as a torch.export program"
DESCRIPTION = """\
Write a package's forecaster as a program that runs wherever torch does, without this one: tensors of a batch of graphs in,
displacements out, for any numbers of nodes, edges and graphs. It is compared with the model on random batches before it is
written. A JSON file beside it says what the inputs are, in their order.

  forecast export checkpoints/tracks -o tracks.pt2                  tracks.pt2 and tracks.json
  forecast export checkpoints/tracks -o tracks.pt2 --dtype float64  in double precision

  program = torch.export.load("tracks.pt2").module()
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("package", help="package or run folder")
    parser.add_argument("-o", "--output", required=True, help="file to write, ending in .pt2")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of values (default: float32)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Export, and describe the program."""
    from forecasting.packages.package import load_package
    from forecasting.packages.program import export

    return export(load_package(options.package), options.output, options.dtype)


def show(result: dict[str, Any]) -> None:
    """Say what was written and how far it is from the model."""
    print(f"{result['program']}: {result['model']}, {result['dtype']}, off the model by at most {result['max_difference']:.2g}")
    print(f"{result['description']}: {len(result['inputs'])} inputs ({', '.join(each['name'] for each in result['inputs'])})")
