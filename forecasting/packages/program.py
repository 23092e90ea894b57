"""A forecaster as a torch.export program, for programs that do not have this one: plain tensors in, plain tensors out."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from forecasting.errors import NumericalError, UsageError
from forecasting.files import atomic_file, write_json
from forecasting.graphs.features import FieldSpec, GraphSchema
from forecasting.models.base import Forecaster
from forecasting.packages._random_graphs import random_graphs
from forecasting.packages.package import Package

LEFT_OUT = ("target", "target_valid", "window")
DTYPES = {"float32": torch.float32, "float64": torch.float64}
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-11}
CHECKED = ((5, 4, 3), (1,), (2, 7), (1, 1, 1, 1), (31,) * 8, (3,) * 50)
"""Nodes of each graph in the batches that a program is compared on; the first is what it is traced with."""
OUTPUTS = (
    ("displacement", ("nodes", "hypotheses", "horizon", 3), "L", "from the anchor position"),
    ("weights", ("graphs", "hypotheses"), "", "probability of each hypothesis"),
    ("scale", ("nodes", "hypotheses", "horizon"), "L", "standard deviation of each coordinate"),
)


class ProgramBatch:
    """What a forecaster reads of a `GraphBatch`, from plain tensors.

    Args:
        names: of the tensors; tensors: in that order.
    """

    position: Tensor
    lead: Tensor

    def __init__(self, names: Sequence[str], tensors: Sequence[Tensor]) -> None:
        self.__dict__.update(zip(names, tensors, strict=True))

    def __getitem__(self, name: str) -> Tensor:
        """The tensor of this name."""
        found: Tensor = self.__dict__[name]
        return found

    @property
    def num_graphs(self) -> int:
        """B."""
        return self.lead.shape[0]

    @property
    def target(self) -> Tensor:
        """(N, H, 3) zeros: nobody knows the future."""
        return self.position.new_zeros(self.position.shape[0], self.lead.shape[1], 3)


class Program(nn.Module):
    """A forecaster that takes tensors instead of a batch.

    Args:
        model: the forecaster; names: of the tensors, in their order.
    """

    def __init__(self, model: Forecaster, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, tuple(names)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Displacement (N, K, H, 3), weights (B, K) and, of models that know it, scale (N, K, H)."""
        found = self.model(ProgramBatch(self.names, tensors))
        return tuple(part for part in found if part is not None)


def input_specs(schema: GraphSchema) -> tuple[FieldSpec, ...]:
    """The inputs of a program in their order: the fields of a batch that come before the future, then ``batch`` and ``ptr``."""
    own = (spec for spec in schema.specs if spec.name not in LEFT_OUT)
    return (*own, FieldSpec("batch", "node", (), "index"), FieldSpec("ptr", "graph", (), "index"))


def export(package: Package, path: str | Path, dtype: str = "float32") -> dict[str, Any]:
    """Write the package's forecaster as a program for any numbers of nodes, edges and graphs, with a description beside it.

    The program is compared with the model on random batches of several sizes, and not written where they differ.

    Args:
        package: whose model; path: of the program, ending in ``.pt2``; dtype: of values, float32 or float64.

    Returns:
        the description, as in the JSON file: ``inputs``, ``outputs`` (name, axes, dtype, irreps, unit), ``normalization``,
        ``window``, ``unit``, ``dt``, ``max_difference`` [L] to the model, ``tolerance``; also ``program`` and ``description``:
        the files.

    Raises:
        UsageError: if torch.export cannot follow this model, or path or dtype are none.
        NumericalError: if the program's numbers are not the model's.
    """
    target = Path(path)
    if target.suffix != ".pt2":
        raise UsageError(f"{path} should end in .pt2, as programs of torch.export do")
    if dtype not in DTYPES:
        raise UsageError(f"a program computes in {' or '.join(DTYPES)}, found '{dtype}'")
    number = DTYPES[dtype]
    specs = input_specs(package.schema)
    names = [spec.name for spec in specs]
    model = Program(package.forecaster(number), names)
    batches = [random_graphs(package.schema, specs, counts, number) for counts in CHECKED]
    content = io.BytesIO()
    torch.export.save(_traced(model, batches[0], specs, package.model), content)
    content.seek(0)
    worst, outputs = _compared(torch.export.load(content).module(), model, batches, TOLERANCE[number])
    about = {
        **_description(package, specs, batches[0], outputs, dtype),
        "max_difference": worst,
        "tolerance": TOLERANCE[number],
    }
    with atomic_file(target) as temporary:
        temporary.write_bytes(content.getvalue())
    write_json(target.with_suffix(".json"), about)
    return {"program": str(target), "description": str(target.with_suffix(".json")), **about}


def _traced(model: Program, example: Sequence[Tensor], specs: Sequence[FieldSpec], name: str) -> ExportedProgram:
    nodes, edges, graphs = Dim("nodes"), Dim("edges"), Dim("graphs")
    axes: dict[str, Any] = {"node": {0: nodes}, "edge": {0: edges}, "graph": {0: graphs}}
    named: dict[str, Any] = {"edge_index": {1: edges}, "ptr": {0: graphs + 1}}
    dynamic = tuple(named.get(spec.name, axes[spec.kind]) for spec in specs)
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(model, tuple(example), dynamic_shapes=(dynamic,), strict=False)
    except Exception as error:
        why = (str(error).splitlines() or [""])[0].partition("! For more information")[0][:160]
        raise UsageError(
            f"torch.export cannot follow model '{name}' for any number of nodes ({type(error).__name__}: {why}); egnn, segnn, "
            "gnn, mlp and the baselines can be exported"
        ) from None


def _compared(
    program: nn.Module, model: Program, batches: Sequence[Sequence[Tensor]], tolerance: float
) -> tuple[float, tuple[Tensor, ...]]:
    """Largest difference over all batches and outputs, relative to outputs larger than 1; and the outputs of the first batch."""
    worst, first = 0.0, ()
    for batch in batches:
        with torch.no_grad():
            expected, found = model(*batch), program(*batch)
        first = first or expected
        for one, other in zip(expected, found, strict=True):
            size = max(float(one.abs().max()), 1.0)
            worst = max(worst, float((one - other).abs().max()) / size)
    if not worst <= tolerance:
        raise NumericalError(f"the program differs from the model by {worst:.3g}, more than {tolerance:.3g}; nothing was written")
    return worst, first


def _description(
    package: Package, specs: Sequence[FieldSpec], example: Sequence[Tensor], outputs: Sequence[Tensor], dtype: str
) -> dict[str, Any]:
    kinds = {"node": "nodes", "edge": "edges", "graph": "graphs"}
    axes = {"edge_index": [2, "edges"], "ptr": ["graphs + 1"]}
    inputs = [
        {
            "name": spec.name,
            "axes": axes.get(spec.name, [kinds[spec.kind], *value.shape[1:]]),
            "dtype": str(value.dtype).removeprefix("torch."),
            "content": spec.content,
            "irreps": spec.irreps,
            "unit": spec.unit,
            "translates": spec.translates,
        }
        for spec, value in zip(specs, example, strict=True)
    ]
    found = [
        {
            "name": name,
            "axes": list(axes),
            "dtype": dtype,
            "unit": unit,
            "irreps": "1o" if unit and axes[-1] == 3 else "0e",
            "about": about,
        }
        for (name, axes, unit, about), _ in zip(OUTPUTS, outputs, strict=False)
    ]
    return {
        "model": package.model,
        "dtype": dtype,
        "inputs": inputs,
        "outputs": found,
        "normalization": asdict(package.normalization),
        "window": {"history": package.window.history, "horizon": list(package.window.horizon), "step": package.window.step},
        "schema": package.schema.to_plain(),
        "unit": package.unit,
        "up": package.frame.up,
        "dt": package.dt,
        "torch": str(torch.__version__),
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The compiler's own reports are not for people who use this program."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
