"""Real files, against the counts that come with them."""

from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.reading import read_trajectories, sniff
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

KNOWN = {
    "mocap/cmu-131-bvh/*.bvh": "bvh",
    "mocap/cmu-c3d/*.c3d": "c3d",
    "mocap/cmu-run-09-egno/motion_run.npz": "cmu_npz",
    "mocap/cmu-walk-35-amc/*.amc": "amc",
    "molecules/*/*.xyz": "extxyz",
    "molecules/plumed-md/*.pdb": "md",
    "molecules/plumed-md/*.xtc": "md",
    "others/aircraft-adsb/*.json.gz": "adsb",
    "others/charged5-reference/charged5_first200.npz": "egnn",
    "others/ibm-double-pendulum/*.csv": "wide_csv",
    "others/planets-horizons": "horizons",
    "others/planets-horizons/*.dat": "horizons",
    "others/satellites-sgp4/tcppver.out": "satellites",
    "others/zebrafish-trajectorytools/*.np*": "npz",
    "pedestrians/eth-ucy-raw/*.txt": "eth_ucy",
    "pedestrians/juelich-pedpy/*.csv": "csv",
    "pedestrians/juelich-pedpy/*.txt": "juelich",
    "pedestrians/trajnetpp-sample/*.ndjson": "trajnet",
    "sports/kloppy-samples": "sports",
    "sports/kloppy-samples/*_home.csv": "sports",
    "sports/kloppy-samples/*_positional.xml": "sports",
    "sports/kloppy-samples/*_raw*": "sports",
    "sports/kloppy-samples/*_tracking.txt": "sports",
    "sports/last-row/*.csv": "csv",
    "vehicles/argoverse2/*.parquet": "argoverse2",
    "vehicles/commonroad-ngsim/*.xml": "commonroad",
}
ETH_UCY = {
    "biwi_eth": (5492, 360),
    "biwi_hotel": (6543, 389),
    "crowds_zara01": (5153, 148),
    "crowds_zara02": (9722, 204),
    "crowds_zara03": (5005, 137),
    "students001": (21813, 415),
    "students003": (17953, 434),
    "uni_examples": (2747, 118),
}
CENTIMETRES = ReadOptions(unit="cm", rate=16)
MAPPED = ReadOptions(unit="m", rate=25, columns={"velocity": "v"})
JUELICH = {
    "040_c_56_h-.txt": (ReadOptions(), 63110, 75, "m", 25),
    "bi_corr_400_b_03.txt": (ReadOptions(), 120790, 480, "cm", 25),
    "uo-070-180-180.txt": (CENTIMETRES, 18320, 111, "cm", 16),
    "n34_cam2.csv": (MAPPED, 1101, 71, "m", 2.5),
    "n56_cam1.csv": (MAPPED, 2391, 53, "m", 2.5),
}
PENDULUM = ReadOptions(unit="px", rate=400, wide=("x0", "y0", "x1", "y1", "x2", "y2"))


def one(path: Path, options: ReadOptions) -> Trajectory:
    (scene,) = read_trajectories(path, options)
    return scene


def test_every_file_is_recognised_or_refused(real_data: Path) -> None:
    known = {path: name for pattern, name in KNOWN.items() for path in real_data.glob(pattern)}
    for path, name in known.items():
        assert sniff(path).name == name, path
    for path in sorted(item for item in real_data.rglob("*") if item.is_file()):
        if path not in known:
            with pytest.raises(DataError, match="--format"):
                sniff(path)


def test_eth_ucy(real_data: Path) -> None:
    found = {}
    for scene in read_trajectories(real_data / "pedestrians/eth-ucy-raw"):
        found[scene.scene] = (int(scene.valid.sum()), len(scene.node_ids))
        assert scene.dt == pytest.approx(0.4)
        assert scene.node_ids.dtype == np.int64
    assert found == ETH_UCY


@pytest.mark.parametrize("name", JUELICH)
def test_juelich(real_data: Path, name: str) -> None:
    options, rows, people, unit, rate = JUELICH[name]
    scene = one(real_data / "pedestrians/juelich-pedpy" / name, options)
    assert (int(scene.valid.sum()), len(scene.node_ids)) == (rows, people)
    assert scene.unit.name == unit
    assert scene.dt == pytest.approx(1 / rate)
    if name.endswith("txt"):
        heights = scene.fields["height"].values[scene.valid]
        per_metre = {"m": 1, "cm": 100}[unit]
        assert 1.4 < heights.min() / per_metre <= heights.max() / per_metre < 2.0
    else:
        assert scene.fields["velocity"].irreps == "1o"


def test_cmu_run(real_data: Path) -> None:
    scenes = list(read_trajectories(real_data / "mocap/cmu-run-09-egno/motion_run.npz"))
    assert [len(scene.time) for scene in scenes] == [141, 138, 165, 143, 137, 126, 148, 128, 130, 152, 128]
    assert {scene.valid.shape[1] for scene in scenes} == {31}
    assert {len(scene.edges) for scene in scenes} == {30}
    assert [scene.scene for scene in scenes if scene.partition == "train"] == ["01", "02", "05", "06", "10"]
    assert [scene.scene for scene in scenes if scene.partition == "validation"] == ["00", "04", "09"]
    assert [scene.scene for scene in scenes if scene.partition == "test"] == ["03", "07", "08"]
    heights = np.concatenate([scene.positions[..., 1].ravel() for scene in scenes])
    assert -0.2 < heights.min() < 0.0


def test_double_pendulum(real_data: Path) -> None:
    scenes = list(read_trajectories(real_data / "others/ibm-double-pendulum", PENDULUM))
    assert len(scenes) == 8
    assert sum(len(scene.time) for scene in scenes) == 142431
    assert all(scene.valid.all() and scene.valid.shape[1] == 3 for scene in scenes)
    ends = np.concatenate([scene.positions[:, 2] - scene.positions[:, 0] for scene in scenes]).mean(axis=0)
    assert ends[0] > 10 * abs(ends[1])  # the camera was turned: gravity points along +x
    lengths = [np.linalg.norm(np.diff(scene.positions, axis=1), axis=2).mean(axis=0) for scene in scenes]
    np.testing.assert_allclose(lengths[:2], [[602, 461]] * 2, atol=3)
    np.testing.assert_allclose(lengths[2:], [[589, 451]] * 6, atol=3)


@pytest.mark.parametrize(
    ("name", "shape", "fps", "missing"),
    [
        ("trajectories_with_points.npz", (1000, 15, 2), 32, 0.0005),
        ("test_trajectories_idtrackerai_with_border.npz", (508, 8, 2), 28, 0.011),
        ("test_trajectories.npy", (300, 100, 2), None, 0.058),
    ],
)
def test_zebrafish(real_data: Path, name: str, shape: tuple[int, int, int], fps: float | None, missing: float) -> None:
    options = ReadOptions(unit="px", rate=None if fps else 32)
    scene = one(real_data / "others/zebrafish-trajectorytools" / name, options)
    assert scene.positions.shape == shape
    assert 1 - scene.valid.mean() == pytest.approx(missing, rel=0.1)
    assert scene.dt == pytest.approx(1 / (fps or 32))


def test_charged_bodies(real_data: Path) -> None:
    scenes = list(read_trajectories(real_data / "others/charged5-reference"))
    assert len(scenes) == 200
    assert {scene.positions.shape for scene in scenes} == {(49, 5, 3)}
    assert {name for scene in scenes for name in scene.fields} == {"velocity", "charge"}
    assert np.isin(scenes[0].fields["charge"].values, (-1.0, 1.0)).all()


def test_real_data_have_no_errors(real_data: Path) -> None:
    folders = {"pedestrians/eth-ucy-raw": ReadOptions(), "others/ibm-double-pendulum": PENDULUM}
    files = {f"pedestrians/juelich-pedpy/{name}": about[0] for name, about in JUELICH.items()}
    fish = {"others/zebrafish-trajectorytools": ReadOptions(unit="px", rate=32)}
    for name, options in {**folders, **files, **fish, "mocap/cmu-run-09-egno": ReadOptions()}.items():
        for scene in read_trajectories(real_data / name, options):
            assert not [finding for finding in validate(scene) if finding.severity == "error"]


def test_tables_of_others_with_a_map(real_data: Path) -> None:
    columns = {
        "scene": "scenario_id",
        "node": "track_id",
        "frame": "timestep",
        "type": "object_type",
        "x": "position_x",
        "y": "position_y",
    }
    (path,) = (real_data / "vehicles/argoverse2").glob("*.parquet")
    (scene,) = read_trajectories(path, ReadOptions(unit="m", rate=10, columns=columns), "parquet")
    assert scene.positions.shape == (110, 58, 2)
    assert scene.fields["velocity"].values.shape == (110, 58, 2)
    columns = {"node": "player", "z": "-", "dx": "-", "dy": "-"}
    path = real_data / "sports/last-row/LIV_[2]-1_CHE.csv"
    play = one(path, ReadOptions(unit="x=1.05m,y=0.68m", rate=20, columns=columns))
    assert play.positions.shape == (195, 21, 2)
    assert play.valid.all()
