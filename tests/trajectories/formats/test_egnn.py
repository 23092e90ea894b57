from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions

LOC = np.random.default_rng(0).normal(size=(4, 7, 3, 5))
CHARGES = np.random.default_rng(1).choice([-1.0, 1.0], size=(4, 5, 1))


def write_set(folder: Path, rest: str = "_charged5_initvel1small") -> Path:
    for partition in ("train", "valid", "test"):
        np.save(folder / f"loc_{partition}{rest}.npy", LOC)
        np.save(folder / f"vel_{partition}{rest}.npy", LOC + 1)
        np.save(folder / f"charges_{partition}{rest}.npy", CHARGES)
        np.save(folder / f"edges_{partition}{rest}.npy", CHARGES @ CHARGES.transpose(0, 2, 1))
    return folder / f"loc_train{rest}.npy"


class TestOneFile(FormatContract):
    format = "egnn"
    shapes = ((7, 5, 3),) * 4

    def example(self, folder: Path) -> Path:
        return write_set(folder)


class TestNpz(FormatContract):
    format = "egnn"
    shapes = ((7, 5, 3),) * 4

    def example(self, folder: Path) -> Path:
        np.savez(folder / "charged.npz", loc=LOC, vel=LOC + 1, charges=CHARGES)
        return folder / "charged.npz"


def test_folder_holds_the_published_partitions(tmp_path: Path) -> None:
    write_set(tmp_path)
    scenes = list(FORMATS["egnn"].read(tmp_path, ReadOptions()))
    assert [scene.partition for scene in scenes] == ["train"] * 4 + ["validation"] * 4 + ["test"] * 4
    assert scenes[5].scene == "valid_charged5_initvel1small-00001"
    assert FORMATS["egnn"].sniff(tmp_path, b"") > 0.9


def test_arrays_are_turned_node_by_node(tmp_path: Path) -> None:
    scene = list(FORMATS["egnn"].read(write_set(tmp_path), ReadOptions()))[2]
    np.testing.assert_array_equal(scene.positions, LOC[2].transpose(0, 2, 1))
    velocity, charge = scene.fields["velocity"], scene.fields["charge"]
    np.testing.assert_array_equal(velocity.values, LOC[2].transpose(0, 2, 1) + 1)
    assert (velocity.irreps, velocity.unit) == ("1o", "unitless/s")
    np.testing.assert_array_equal(charge.values, CHARGES[2])
    assert (charge.irreps, charge.per_frame) == ("0e", False)
    assert (scene.unit.name, scene.frame.up) == ("unitless", "none")
    assert scene.dt == pytest.approx(0.1)


def test_rate_is_asked_for_where_it_is_not_known(tmp_path: Path) -> None:
    path = write_set(tmp_path, "_charged20")
    with pytest.raises(UsageError, match="--rate"):
        next(FORMATS["egnn"].read(path, ReadOptions()))
    assert next(FORMATS["egnn"].read(path, ReadOptions(rate=5))).dt == pytest.approx(0.2)


def test_springs_become_edges_in_the_plane(tmp_path: Path) -> None:
    springs = np.zeros((4, 5, 5))
    springs[:, 0, 3] = springs[:, 3, 0] = 1
    np.save(tmp_path / "loc_test_springs5.npy", LOC[:, :, :2])
    np.save(tmp_path / "edges_test_springs5.npy", springs)
    scene = next(FORMATS["egnn"].read(tmp_path, ReadOptions(rate=10)))
    assert scene.dim == 2
    assert scene.edges.tolist() == [[0, 3]]
    assert scene.edge_types.tolist() == ["spring"]
    assert not scene.fields


def test_only_what_is_asked_for_is_loaded(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    scenes = FORMATS["egnn"].read(path, ReadOptions())
    first = next(scenes)
    np.testing.assert_array_equal(first.positions, LOC[0].transpose(0, 2, 1))


def test_siblings_must_fit(tmp_path: Path) -> None:
    path = write_set(tmp_path)
    np.save(tmp_path / "vel_train_charged5_initvel1small.npy", LOC[:3])
    with pytest.raises(DataError, match=r"its vel have shape \(3, 7, 3, 5\), expected \(4, 7, 3, 5\)"):
        next(FORMATS["egnn"].read(path, ReadOptions()))
