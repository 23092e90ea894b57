"""Packages: whole, checked, and never more than data."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import PackageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import Radius
from forecasting.models import build_model
from forecasting.packages import Package, load_package, save_package
from forecasting.testing.scenes import random_dataset
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.windows import WindowSpec

ARGUMENTS = {"hidden": 6, "layers": 2}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    dataset = random_dataset(folder / "data")
    spec, topology = WindowSpec(2, (1, 3)), Radius(2.0)
    windows = dataset.windows(spec, dataset.anchors(spec))
    schema = schema_of(dataset.manifest, spec, topology)
    normalization = Normalization.fit(windows)
    model = build_model("egnn", schema, ARGUMENTS)
    package = Package(
        model="egnn",
        arguments=ARGUMENTS,
        schema=schema,
        window=spec,
        topology="radius",
        topology_arguments={"radius": 2.0},
        normalization=normalization,
        dt=0.1,
        unit="m",
        frame=dataset.manifest.frame,
        fields=dataset.manifest.fields,
        weights=model.state_dict(),
        card={"seed": 0, "note": "ünïcode"},
        symmetry={"groups": [{"group": "O(3)", "data": "kept"}]},
        calibration={"kind": "split", "radii": [[0.1, 0.2]]},
    )
    batch = GraphBuilder(schema, topology, normalization).build(windows)
    return save_package(package, folder / "package"), package, model.eval(), batch


def test_what_comes_back_is_what_went_in(made):
    folder, package, model, batch = made
    loaded = load_package(folder)
    for name in (item.name for item in dataclasses.fields(Package) if item.name != "weights"):
        assert getattr(loaded, name) == getattr(package, name), name
    assert all(torch.equal(loaded.weights[name], value) for name, value in package.weights.items())
    assert torch.equal(loaded.forecaster()(batch).displacement, model(batch).displacement)
    assert loaded.builder().topology == Radius(2.0)


def test_a_run_folder_stands_for_its_package(made, tmp_path):
    save_package(made[1], tmp_path / "run" / "package")
    assert load_package(tmp_path / "run").model == "egnn"


def test_a_package_of_the_first_version_is_still_read(tmp_path):
    old = load_package(Path(__file__).parent / "version-1")
    assert (old.model, old.symmetry, old.calibration) == ("egnn", None, None)
    new = load_package(save_package(old, tmp_path / "new"))
    assert {**vars(new), "weights": None} == {**vars(old), "weights": None}
    assert all(torch.equal(new.weights[name], value) for name, value in old.weights.items())


def copy(made, tmp_path):
    return save_package(made[1], tmp_path / "copy")


def edited(**changes):
    def edit(folder):
        card = json.loads((folder / "package.json").read_text())
        card.update(changes)
        (folder / "package.json").write_text(json.dumps(card))

    return edit


def truncated(name, size):
    def edit(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[:size])

    return edit


def poisoned(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "weights.safetensors")
    next(iter(weights.values())).view(-1)[0] = float("nan")
    save_file(weights, folder / "weights.safetensors")


def giant_header(folder):
    path = folder / "weights.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + path.read_bytes()[8:])


DAMAGE = {
    "no card": (lambda folder: (folder / "package.json").unlink(), "no package.json"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "missing"),
    "not json": (lambda folder: (folder / "package.json").write_text("{"), "damaged"),
    "json of another kind": (lambda folder: (folder / "package.json").write_text("[1]"), "damaged"),
    "not text": (lambda folder: (folder / "package.json").write_bytes(b"\xff\xfe"), "damaged"),
    "deep json": (lambda folder: (folder / "package.json").write_text("[" * 100_000), "damaged"),
    "future version": (edited(schema_version=99), "schema version 99"),
    "unknown model": (edited(model="os.system"), "unknown model"),
    "unknown argument": (edited(arguments={"command": "rm"}), "no argument 'command'"),
    "wrong width": (edited(arguments={"hidden": 7, "layers": 2}), "has shape"),
    "wrong type": (edited(arguments={"hidden": "six", "layers": 2}), "egnn"),
    "no window": (edited(window=None), "damaged"),
    "negative length": (edited(normalization={"length": -1.0, "time": 1.0}), "positive"),
    "truncated weights": (truncated("weights.safetensors", -9), "damaged"),
    "empty weights": (truncated("weights.safetensors", 0), "damaged"),
    "header of 2^62 bytes": (giant_header, "header"),
    "not finite": (poisoned, "not finite"),
}


@pytest.mark.parametrize("case", DAMAGE, ids=DAMAGE.keys())
def test_damage_is_refused_in_one_line(made, tmp_path, case):
    damage, said = DAMAGE[case]
    folder = copy(made, tmp_path)
    damage(folder)
    with pytest.raises(PackageError, match=said) as caught:
        load_package(folder)
    assert "\n" not in str(caught.value)


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), name=st.sampled_from(["package.json", "weights.safetensors"]))
def test_any_flipped_bit_is_refused_or_harmless(made, tmp_path_factory, place, bit, name):
    folder = save_package(made[1], tmp_path_factory.mktemp("flip") / "copy")
    content = bytearray((folder / name).read_bytes())
    content[place % len(content)] ^= 1 << bit
    (folder / name).write_bytes(content)
    with contextlib.suppress(PackageError):
        load_package(folder).forecaster()


def test_saving_replaces_the_old_package_whole(made, tmp_path):
    folder = copy(made, tmp_path)
    (folder / "stray").write_text("x")
    save_package(made[1], folder)
    assert sorted(os.listdir(folder)) == ["package.json", "weights.safetensors"]
    assert os.listdir(tmp_path) == ["copy"]
