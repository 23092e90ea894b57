"""The demo: small, every part of it; as it is, a verdict that is true."""

import json

import numpy as np
import pytest

from forecasting.cli import demo
from forecasting.cli.main import main
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.simulators import axis_of, truth_of


def test_the_whole_way_in_small(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "COUNTS", {"train": 24, "validation": 8, "test": 12})
    assert main(["demo", "-o", str(tmp_path), "--epochs", "4", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["rows"] == 12 * 5 * 5
    assert result["evaluation"]["windows"] == 12
    provenance = Dataset(tmp_path / "data").manifest.provenance
    assert truth_of(provenance)["C∞v(n)"] is True
    np.testing.assert_allclose(axis_of(provenance), np.array([0.3, -0.5, 0.81]) / np.linalg.norm([0.3, -0.5, 0.81]))
    truth = result["truth"]
    judged = [row["group"] for row in result["evaluation"]["verdicts"]["groups"]]
    assert sorted(truth["right"] + truth["wrong"] + truth["open"]) == sorted(judged)
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {"verdicts", "robustness", "drift", "trace", "playback"} <= set(written)
    assert "failed" not in written["verdicts"]
    demo.show(result)
    out = capsys.readouterr().out
    assert result["evaluation"]["verdicts"]["reading"] in out
    assert result["report"] in out


def test_the_angle_is_that_between_lines():
    world = type("World", (), {"truth": {"O(3)": False, "translations": True}, "axis": np.array([0.0, 0.0, 1.0])})
    rows = [{"group": "O(3)", "data": "kept"}, {"group": "translations", "data": "cannot tell"}]
    for vector in ([0, 0, 1], [0, 0, -1]):
        found = demo._compared({"groups": rows, "axis": {"vector": vector}}, world)
        assert found == {"right": [], "wrong": ["O(3)"], "open": ["translations"], "axis_error": 0.0}
    tilted = demo._compared({"groups": [], "axis": {"vector": [0, np.sin(0.01), -np.cos(0.01)]}}, world)
    assert tilted["axis_error"] == pytest.approx(np.degrees(0.01))
    assert demo._compared({"failed": "too few scenes"}, world)["axis_error"] is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_verdict_is_true(seed, tmp_path, capsys):
    assert main(["demo", "-o", str(tmp_path), "--seed", str(seed), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert not result["truth"]["wrong"]
    assert {"O(3)", "C∞v(n)", "translations"} <= set(result["truth"]["right"])
    assert result["truth"]["axis_error"] < 1
    assert result["mse"] < result["constant_velocity_mse"] / 20
