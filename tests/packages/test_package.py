"""Packages: whole, checked, and never more than data."""

import contextlib
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import PackageError
from forecasting.graphs.topology import Radius
from forecasting.packages import load_package, save_package
from forecasting.packages.package import EXAMPLES
from forecasting.testing.packages import assert_same, seal, small_package


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    package, windows = small_package(folder / "data")
    return save_package(package, folder / "package"), package, package.forecaster(), package.builder().build(windows)


def test_what_comes_back_is_what_went_in(made):
    folder, package, model, batch = made
    loaded = load_package(folder)
    assert_same(loaded, package)
    assert torch.equal(loaded.forecaster()(batch).displacement, model(batch).displacement)
    assert loaded.builder().topology == Radius(2.0)


def test_a_run_folder_stands_for_its_package(made, tmp_path):
    save_package(made[1], tmp_path / "run" / "package")
    assert load_package(tmp_path / "run").model == "egnn"


def test_a_package_of_the_first_version_is_still_read(tmp_path):
    old = load_package(Path(__file__).parent / "version-1")
    assert (old.model, old.symmetry, old.calibration) == ("egnn", None, None)
    new = load_package(save_package(old, tmp_path / "new"))
    assert_same(new, old)


def copy(made, tmp_path):
    return save_package(made[1], tmp_path / "copy")


def edited(**changes):
    def edit(folder):
        card = json.loads((folder / "package.json").read_text())
        card.update(changes)
        (folder / "package.json").write_text(json.dumps(card))
        seal(folder)

    return edit


def replaced(folder, old, new):
    path = folder / "package.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def linked(folder):
    (folder / "weights.safetensors").rename(folder / "elsewhere")
    (folder / "weights.safetensors").symlink_to(folder / "elsewhere")


def swapped(folder):
    from safetensors.torch import load_file, save_file

    path = folder / "weights.safetensors"
    save_file({name: value + 1 for name, value in load_file(path).items()}, path)


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
    seal(folder)


def giant_header(folder):
    path = folder / "weights.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + path.read_bytes()[8:])
    seal(folder)


DAMAGE = {
    "no card": (lambda folder: (folder / "package.json").unlink(), "no package.json"),
    "no weights": (lambda folder: (folder / "weights.safetensors").unlink(), "missing"),
    "not json": (lambda folder: (folder / "package.json").write_text("{"), "damaged"),
    "json of another kind": (lambda folder: (folder / "package.json").write_text("[1]"), "damaged"),
    "not text": (lambda folder: (folder / "package.json").write_bytes(b"\xff\xfe"), "damaged"),
    "deep json": (lambda folder: (folder / "package.json").write_text("[" * 100_000), "damaged"),
    "future version": (lambda folder: replaced(folder, '"schema_version": 2', '"schema_version": 99'), "schema version 99"),
    "changed by hand": (lambda folder: replaced(folder, '"dt": 0.1', '"dt": 0.2'), "changed since it was written"),
    "swapped weights": (swapped, "changed since it was written"),
    "a link": (linked, "is a link"),
    "a folder": (lambda folder: [(folder / "package.json").unlink(), (folder / "package.json").mkdir()], "not a plain file"),
    "a pipe": (lambda folder: [(folder / "package.json").unlink(), os.mkfifo(folder / "package.json")], "not a plain file"),
    "named twice": (lambda folder: replaced(folder, '"dt": 0.1', '"dt": 0.1, "dt": 0.1'), "'dt' is there twice"),
    "no number": (lambda folder: replaced(folder, '"dt": 0.1', '"dt": NaN'), "NaN is not a number"),
    "infinite": (lambda folder: replaced(folder, '"dt": 0.1', '"dt": 1e999'), "too large a number"),
    "huge whole number": (lambda folder: replaced(folder, '"dt": 0.1', '"dt": 1' + "0" * 5000), "too large a number"),
    "unknown name": (edited(hook="os.system"), "unknown name 'hook'"),
    "nested deep": (edited(card={"a": json.loads("[" * 200 + "]" * 200)}), "nested more than"),
    "huge width": (edited(arguments={"hidden": 10**9, "layers": 2}), "arguments.hidden is 1000000000"),
    "large width": (edited(arguments={"hidden": 10**6, "layers": 2}), "much larger than its weights"),
    "many layers": (edited(arguments={"hidden": 6, "layers": 10**6}), "much larger than its weights"),
    "unknown topology": (edited(topology="os"), "unknown graph 'os'"),
    "unknown model": (edited(model="os.system"), "unknown model"),
    "unknown argument": (edited(arguments={"command": "rm"}), "no argument 'command'"),
    "wrong width": (edited(arguments={"hidden": 7, "layers": 2}), "has shape"),
    "wrong type": (edited(arguments={"hidden": "six", "layers": 2}), "egnn"),
    "no window": (edited(window=None), "package.window is None, expected an object"),
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
        assert_same(load_package(folder), made[1])


def test_saving_replaces_the_old_package_whole(made, tmp_path):
    folder = copy(made, tmp_path)
    (folder / "stray").write_text("x")
    save_package(made[1], folder)
    assert sorted(os.listdir(folder)) == ["package.json", "weights.safetensors"]
    assert os.listdir(tmp_path) == ["copy"]


def test_saving_anew_keeps_the_examples(made, tmp_path):
    place = save_package(made[1], tmp_path / "package")
    (place / EXAMPLES).mkdir()
    (place / EXAMPLES / "walk.csv").write_text("time,node,x,y,z\n0,a,0,0,0\n")
    save_package(made[1], place)
    other = save_package(made[1], tmp_path / "other", like=place)
    bare = save_package(made[1], tmp_path / "bare")
    save_package(made[1], place, like=bare)
    for folder in (place, other):
        assert (folder / EXAMPLES / "walk.csv").read_text().endswith("0,a,0,0,0\n")
