"""Backtest from the command line: folds of a small table, one after the other."""

import json

import numpy as np
import pytest

from forecasting.cli.main import main
from forecasting.packages.package import load_package


@pytest.fixture
def tracks(tmp_path):
    """Three walkers, who walk three times as fast in the second half."""
    start, slope = np.random.default_rng(0).uniform(-5, 5, (2, 3, 2))
    rows = ["time,node,x,y"]
    for t in np.arange(160) * 0.4:
        way = t + 2 * max(t - 32, 0)
        for node in range(3):
            x, y = start[node] + slope[node] / 5 * way + 0.1 * np.sin(way + node)
            rows.append(f"{t:.1f},{node},{x:.6f},{y:.6f}")
    path = tmp_path / "tracks.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def words(tracks, tmp_path):
    small = ["model.arguments.hidden=4", "model.arguments.layers=1", "training.epochs=1", "data.window={history: 3, horizon: 2}"]
    return [
        *("backtest", f"data.path={tracks}", "data.read.unit=m", f"data_root={tmp_path / 'sets'}", f"run={tmp_path / 'run'}"),
        *small,
    ]


def test_folds_learn_from_ever_more_of_the_past(words, tmp_path, capsys):
    assert main([*words, "--folds", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    rows = result["folds"]
    learned = [row["windows"]["train"] for row in rows]
    assert learned == sorted(set(learned))
    assert len({row["windows"]["test"] for row in rows}) == 1
    packages = [load_package(row["package"]) for row in rows]
    assert [package.card["split"]["arguments"]["fold"] for package in packages] == [1, 2, 3]
    assert len({package.normalization.length for package in packages}) == 3
    assert rows[2]["constant_velocity"]["ade"] > 2 * rows[0]["constant_velocity"]["ade"]
    for key in ("mse", "ade", "fde"):
        assert result["mean"][key] == pytest.approx(np.mean([row[key] for row in rows]))
        assert result["sd"][key] == pytest.approx(np.std([row[key] for row in rows], ddof=1))
    kept = json.loads((tmp_path / "run" / "backtest.json").read_text())
    assert kept == {key: value for key, value in result.items() if key != "folder"}
    assert main([*words, "--folds", "3"]) == 2
    assert "holds a backtest already" in capsys.readouterr().err


def test_a_table_for_people(words, capsys):
    assert main([*words, "--folds", "2", "--clock", "recording"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[2:6]] == ["1", "2", "mean", "sd"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["data.split.kind=scene"], "cuts time by itself"),
        (["data.window.history=30"], "(fold 1 of 4; fewer folds"),
        (["trainin.epochs=3"], "did you mean 'training"),
        (["--folds", "0"], "at least 1 fold"),
    ],
)
def test_what_cannot_be_done_is_said_before_training(more, said, words, tmp_path, capsys):
    code = main([*words, *more])
    assert code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
