"""Every real set, from its folder to a data set, with the counts that come with it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, ingest


@dataclass(frozen=True)
class Set:
    """A set of the folder of real data.

    Attributes:
        place: files or folder below it.
        scenes, frames, nodes, rows: counts of its README, frames and nodes summed over scenes; None where it says nothing.
        unit, up, dim: what the data set must say.
        read: what a user must say.
    """

    place: str
    scenes: int
    frames: int | None = None
    nodes: int | None = None
    rows: int | None = None
    unit: str = "m"
    up: str = "none"
    dim: int = 2
    read: ReadOptions = field(default_factory=ReadOptions)
    fields: tuple[str, ...] | None = None


ANY_RATE = ReadOptions(rate=1)
MASK = ReadOptions(on_error="mask")
PERCENT = ReadOptions(unit="x=1.05m,y=0.68m", rate=20, columns={"node": "player", "z": "-", "dx": "-", "dy": "-"})
PENDULUM = ReadOptions(unit="px", rate=400, wide=("x0", "y0", "x1", "y1", "x2", "y2"))
SETS = {
    "CMU run": Set("mocap/cmu-run-09-egno", 11, 1536, 11 * 31, 1536 * 31, "asf", "+y", 3),
    "CMU walk": Set("mocap/cmu-walk-35-amc", 8, None, 8 * 31, None, "asf", "+y", 3),
    "CMU 131": Set("mocap/cmu-131-bvh", 3, 3343, 3 * 31, 3343 * 31, "asf", "+y", 3, ReadOptions(unit="asf")),
    "CMU markers": Set("mocap/cmu-c3d", 1, 810, 41, 810 * 41, "mm", "+z", 3, ReadOptions(up="z")),
    "ETH/UCY": Set("pedestrians/eth-ucy-raw", 8, None, 2205, 74428),
    "TrajNet++ test": Set("pedestrians/trajnetpp-sample/Test.ndjson", 1, 9, 2, 18),
    "TrajNet++ predictions": Set("pedestrians/trajnetpp-sample/Predictions.ndjson", 2, 24, 4, 48),
    "dialanine": Set(
        "molecules/plumed-md/diala_traj_nm.xyz", 1, 546, 22, 546 * 22, "nm", dim=3, read=replace(ANY_RATE, unit="nm")
    ),
    "argon": Set("molecules/plumed-md/trajectory.xyz", 1, 50, 108, 50 * 108, "lj", dim=3, read=replace(ANY_RATE, unit="lj")),
    "peptide": Set("molecules/plumed-md/trajout.0.xtc", 1, 501, 132, 501 * 132, "angstrom", dim=3),
    "acetylacetone": Set("molecules/acac-botnet/test_MD_300K.xyz", 1, 650, 15, 9750, "angstrom", dim=3, read=ANY_RATE),
    "ethanol": Set("molecules/rmd17-ethanol-100", 1, 100, 9, 900, "angstrom", dim=3, read=ANY_RATE),
    "Argoverse 2": Set("vehicles/argoverse2", 1, 110, 58, 2434),
    "CommonRoad": Set("vehicles/commonroad-ngsim", 5, None, 76, None, fields=("length", "width")),
    "Last Row": Set("sports/last-row", 2, 195 + 289, 21 + 22, 195 * 21 + 289 * 22, read=PERCENT),
    "EPTS": Set("sports/kloppy-samples/epts_metrica_tracking.txt", 2, 100),
    "Metrica": Set("sports/kloppy-samples/metrica_home.csv", 2, 6),
    "Sportec": Set("sports/kloppy-samples/sportec_positional.xml", 2, None, None, 490),
    "double pendulum": Set("others/ibm-double-pendulum", 8, 142431, 24, 3 * 142431, "px", read=PENDULUM),
    "aircraft": Set("others/aircraft-adsb", 5, None, 14, None, up="+z", dim=3, read=MASK, fields=()),
    "satellites": Set("others/satellites-sgp4", 33, 667 - 1, 33, 667 - 1, "km", "none", 3),  # one state stands twice
    "planets": Set("others/planets-horizons", 1, 31, 4, 124, "au", "none", 3),
    "charged bodies": Set("others/charged5-reference", 200, 200 * 49, 1000, 49000, "unitless", dim=3),
    "zebrafish 15": Set(
        "others/zebrafish-trajectorytools/trajectories_with_points.npz", 1, 1000, 15, unit="px", read=ReadOptions(unit="px")
    ),
}
JUELICH = {
    "040_c_56_h-.txt": (ReadOptions(), 63110, 75),
    "bi_corr_400_b_03.txt": (ReadOptions(), 120790, 480),
    "uo-070-180-180.txt": (ReadOptions(unit="cm", rate=16), 18320, 111),
    "n34_cam2.csv": (ReadOptions(unit="m", rate=25, columns={"velocity": "v"}), 1101, 71),
    "n56_cam1.csv": (ReadOptions(unit="m", rate=25, columns={"velocity": "v"}), 2391, 53),
}


@pytest.mark.parametrize("name", SETS)
def test_counts(real_data: Path, tmp_path: Path, name: str) -> None:
    known = SETS[name]
    found = ingest([real_data / known.place], tmp_path / "set", IngestOptions(read=known.read, fields=known.fields))
    scenes = [found.trajectory(index) for index in range(len(found))]
    counts = found.manifest.counts
    expected = {"scenes": known.scenes, "frames": known.frames, "rows": known.rows, "nodes": known.nodes}
    said = {key: value for key, value in expected.items() if value is not None}
    measured = {**counts, "nodes": sum(len(scene.node_ids) for scene in scenes)}
    assert {key: measured[key] for key in said} == said
    assert (found.manifest.unit, found.manifest.frame.up, found.manifest.dim) == (known.unit, known.up, known.dim)
    files = {Path(item["path"]).name for item in found.manifest.provenance["files"]}
    assert files >= {Path(scene.source.path).name for scene in scenes if Path(scene.source.path).is_file()}


def test_juelich_counts(real_data: Path, tmp_path: Path) -> None:
    people = 0
    for name, (read, rows, ids) in JUELICH.items():
        found = ingest([real_data / "pedestrians/juelich-pedpy" / name], tmp_path / name, IngestOptions(read=read))
        assert (found.manifest.counts["rows"], len(found.trajectory(0).node_ids)) == (rows, ids)
        people += ids
    assert people == 790
