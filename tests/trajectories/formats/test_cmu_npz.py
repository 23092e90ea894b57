from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions

ARRAYS: dict[str, Any] = {
    "edges": np.array([[1, 0], [2, 1]]),
    "joint_names": np.array(["root", "hip", "knee"]),
    "X_00": np.random.default_rng(0).normal(size=(5, 3, 3)),
    "X_01": np.random.default_rng(1).normal(size=(4, 3, 3)),
}


def write(folder: Path, **changes: Any) -> Path:
    np.savez(folder / "motion_run.npz", **{**ARRAYS, **changes})
    return folder / "motion_run.npz"


class TestCmuNpz(FormatContract):
    format = "cmu_npz"
    shapes = ((5, 3, 3), (4, 3, 3))

    def example(self, folder: Path) -> Path:
        return write(folder)


def test_trials(tmp_path: Path) -> None:
    first, second = FORMATS["cmu_npz"].read(write(tmp_path), ReadOptions())
    assert (first.scene, second.scene) == ("00", "01")
    np.testing.assert_array_equal(first.positions, ARRAYS["X_00"])
    assert first.node_ids.tolist() == ["root", "hip", "knee"]
    assert set(first.node_types) == {"joint"}
    assert first.edges.tolist() == [[1, 0], [2, 1]]
    assert set(first.edge_types) == {"bone"}
    assert (first.unit.name, first.frame.up, first.frame.handedness) == ("asf", "+y", "right")
    assert first.dt == pytest.approx(1 / 120)
    assert first.partition == ""


def test_published_split_beside_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "split_run.npz", train_case_ids=[1], val_case_ids=[0], test_case_ids=np.zeros(0))
    first, second = FORMATS["cmu_npz"].read(write(tmp_path), ReadOptions())
    assert (first.partition, second.partition) == ("validation", "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": np.array([[1, 9]])}, "pairs of joints 0..2"),
        ({"joint_names": np.arange(3)}, "list of texts"),
        ({"X_01": np.zeros((4, 2, 3))}, r"X_01 has shape \(4, 2, 3\), expected \(frames, 3, 3\)"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        list(FORMATS["cmu_npz"].read(write(tmp_path, **changes), ReadOptions()))
