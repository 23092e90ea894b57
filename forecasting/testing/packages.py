"""Small packages for tests, and packages that were changed and sealed again."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Radius
from forecasting.models.base import build_model
from forecasting.packages._card import CARD, write_card
from forecasting.packages.package import Package
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowBatch, WindowSpec

NOT_CONTENT = ("schema_version", "program_version", "digests")


def small_package(folder: Path, model: str = "egnn", **arguments: Any) -> tuple[Package, WindowBatch]:
    """An untrained package of two horizon steps, and the windows of random scenes it was made for.

    Args:
        folder: for the data set; model: name; arguments: of the model, by default small ones.
    """
    dataset = random_dataset(folder)
    spec, topology = WindowSpec(2, (1, 3)), Radius(2.0)
    windows = dataset.windows(spec, dataset.anchors(spec))
    schema = schema_of(dataset.manifest, spec, topology)
    chosen = arguments or {"hidden": 6, "layers": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = build_model(model, schema, chosen).state_dict()
    package = Package(
        model=model,
        arguments=chosen,
        schema=schema,
        window=spec,
        topology="radius",
        topology_arguments={"radius": 2.0},
        normalization=Normalization.fit(windows),
        dt=0.1,
        unit="m",
        frame=dataset.manifest.frame,
        fields=dataset.manifest.fields,
        weights=weights,
        card={"seed": 0, "note": "ünïcode"},
        symmetry={"groups": [{"group": "O(3)", "data": "kept"}]},
        calibration={"kind": "split", "radii": [[0.1, 0.2]]},
    )
    return package, windows


def seal(folder: Path) -> None:
    """Give a package that was changed the digests of what it holds now, as a stranger could."""
    content = json.loads((folder / CARD).read_text(encoding="utf-8"))
    write_card(folder, {name: value for name, value in content.items() if name not in NOT_CONTENT})


def assert_same(one: Package, other: Package) -> None:
    """Two packages hold the same, to the last bit."""
    for name in (item.name for item in fields(Package) if item.name != "weights"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], value) for name, value in other.weights.items())
