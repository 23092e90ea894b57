"""Declared vectors from the command line: trained with, kept in the package, worked out anew for other files."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from forecasting.cli.main import main

DECLARED = "data.declared={up: {direction: up}, height: {direction: up, from: [0, 0, 1]}}"


def call(capsys, *arguments):
    """Run a verb with --json; returns exit code, the one object on standard output, and standard error."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def balls(path, scale, order):
    """Three balls in free fall, coordinates in the given order and size."""
    rng = np.random.default_rng(0)
    start, slope = rng.uniform(-1, 1, (2, 3, 3))
    rows = ["frame,node,x,y,z"]
    for frame in range(60):
        t = frame * 0.1
        at = start + slope * t + np.array([0, 0, 10 + 4 * t - 0.49 * t * t])
        rows += [f"{frame},{node}," + ",".join(f"{scale * at[node, axis]:.12g}" for axis in order) for node in range(3)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def run(tmp_path, capsys):
    data = [f"data.path={balls(tmp_path / 'z.csv', 1, (0, 1, 2))}", "data.read={unit: m, up: z, rate: 10}"]
    small = ["model=segnn", "model.arguments.hidden=8", "model.arguments.layers=2", "training.epochs=2"]
    window = ["data.window={history: 2, horizon: 3}", f"data_root={tmp_path / 'sets'}"]
    code, _, err = call(capsys, "train", *data, *small, *window, DECLARED, f"run={tmp_path / 'run'}")
    assert code == 0, err
    return tmp_path / "run"


def test_other_units_and_axes_get_the_same_forecast(run, tmp_path, capsys):
    for name, scale, order, said in (("z", 1, (0, 1, 2), ("m", "z")), ("y", 100, (1, 2, 0), ("cm", "y"))):
        file = balls(tmp_path / f"{name}.csv", scale, order)
        unit, up = said
        code, _, err = call(
            capsys, "predict", run, file, "--unit", unit, "--up", up, "--rate", "10", "-o", tmp_path / f"{name}.parquet"
        )
        assert code == 0, err
    one, two = (pq.read_table(tmp_path / f"{name}.parquet") for name in "zy")
    for here, there in ("xz", "yx", "zy"):
        np.testing.assert_allclose(two[there].to_numpy(), 100 * one[here].to_numpy(), rtol=1e-4, atol=1e-2)


def test_turned_copies_turn_the_vectors_too(run, tmp_path, capsys):
    where = ["--unit", "m", "--up", "z", "--rate", "10", "--data-root", tmp_path / "sets"]
    code, result, err = call(capsys, "evaluate", run, tmp_path / "z.csv", *where)
    assert code == 0, err
    assert {name: copy["residual"] < 1e-5 for name, copy in result["copies"].items()} == dict.fromkeys(result["copies"], True)
    assert "so3" in result["copies"]


def test_a_run_is_not_continued_with_another_direction(run, capsys):
    code, result, _ = call(capsys, "train", "--resume", run, "data.declared.up.direction=[1, 0, 0]")
    assert code == 2
    assert "window" in result["error"]
