import contextlib
import logging
import shutil
import struct
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import MDAnalysis
import numpy as np
import pytest
from hypothesis import given
from MDAnalysis.lib.formats.libdcd import DCDFile

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.formats._md_dcd import AKMA, box_vectors
from forecasting.trajectories.formats._md_netcdf import MOST
from forecasting.trajectories.formats._md_xtc_bits import FEW, follow_all, follow_one
from forecasting.trajectories.trajectory import Trajectory

PLAIN = ReadOptions()
RATED = ReadOptions(rate=10)
BOX = np.array([30.0, 31, 32, 90, 90, 90])
RNG = np.random.default_rng(1)
ATOMS = 12
MOVES = (RNG.uniform(5, 20, (1, ATOMS, 3)) + np.cumsum(RNG.normal(0, 0.3, (5, ATOMS, 3)), axis=0)).astype(np.float32)


def universe(atoms: int = ATOMS, velocities: bool = False) -> Any:
    made = MDAnalysis.Universe.empty(atoms, trajectory=True, velocities=velocities)
    made.add_TopologyAttr("name", ["O", "HW1", "HW2", "CL"] * (atoms // 4) + ["C"] * (atoms % 4))
    made.add_TopologyAttr("resname", ["SOL"])
    made.add_TopologyAttr("resid", [1])
    return made


def write(path: Path, moves: np.ndarray = MOVES, box: np.ndarray | None = BOX, **options: Any) -> Path:
    """A trajectory by MDAnalysis: 2 ps between frames."""
    made = universe(moves.shape[1], "velocities" in options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"dt": 2.0, **options} if path.suffix == ".dcd" else options
        options = {"multiframe": True, **options} if path.suffix == ".pdb" else options
        with MDAnalysis.Writer(str(path), moves.shape[1], **options) as writer:
            for frame, positions in enumerate(moves):
                made.trajectory.ts.frame, made.trajectory.ts.time = frame, 2.0 * frame
                made.trajectory.ts.dimensions = box
                made.atoms.positions = positions
                if "velocities" in options:
                    made.atoms.velocities = positions / 10
                writer.write(made.atoms)
    return path


def read(path: Path, options: ReadOptions = PLAIN) -> Trajectory:
    (scene,) = FORMATS["md"].read(path, options)
    return scene


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path: Path) -> Iterator[None]:
    yield
    assert not [item for item in tmp_path.rglob("*") if "offsets" in item.name or item.suffix == ".lock"]


def xtc_frames(content: bytes) -> list[int]:
    """Where the frames begin."""
    places = [0]
    while places[-1] < len(content):
        size = struct.unpack_from(">i", content, places[-1] + 88)[0]
        places.append(places[-1] + 92 + (size + 3) // 4 * 4)
    return places


class Contract(FormatContract):
    format = "md"
    shapes = ((5, ATOMS, 3),)
    suffix = ""

    def example(self, folder: Path) -> Path:
        return write(folder / f"water{self.suffix}")


class TestDcd(Contract):
    suffix = ".dcd"


class TestXtc(Contract):
    suffix = ".xtc"


class TestXtcOfFewAtoms(Contract):
    shapes = ((5, 7, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder / "few.xtc", MOVES[:, :7])


class TestNetcdf(Contract):
    suffix = ".nc"


class TestPdb(Contract):
    suffix = ".pdb"
    options = RATED

    def truncated(self, content: bytes) -> bytes:
        return content[: content.rfind(b"HETATM")] if b"HETATM" in content else content[: content.rfind(b"ATOM")]


@pytest.mark.parametrize(("suffix", "error"), [(".dcd", 1e-6), (".xtc", 0.0051), (".nc", 1e-6), (".pdb", 0.00051)])
@pytest.mark.parametrize("box", [BOX, None])
def test_scene(tmp_path: Path, suffix: str, error: float, box: np.ndarray | None) -> None:
    scene = read(write(tmp_path / f"water{suffix}", box=box), RATED if suffix == ".pdb" else ReadOptions())
    assert (scene.scene, scene.unit.name, scene.frame.up) == ("water", "angstrom", "none")
    assert scene.node_ids.tolist() == list(range(ATOMS))
    assert scene.node_types[:4].tolist() == (["O", "H", "H", "Cl"] if suffix == ".pdb" else ["atom"] * 4)
    np.testing.assert_allclose(scene.positions, MOVES, atol=error)
    assert scene.valid.all()
    np.testing.assert_allclose(scene.time, np.arange(5) * (0.1 if suffix == ".pdb" else 2e-12), rtol=1e-5)


@pytest.mark.parametrize("suffix", [".dcd", ".xtc", ".nc"])
def test_what_the_user_says(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"water{suffix}")
    scene = read(path, ReadOptions(rate=4, up="z", node_type="bead", unit="nm"))
    assert (scene.frame.up, scene.node_types[0], str(scene.unit), scene.time[1]) == ("+z", "bead", "nm", 0.25)
    np.testing.assert_allclose(scene.positions, MOVES / (10 if suffix == ".xtc" else 1), atol=0.001)


@pytest.mark.parametrize("suffix", [".dcd", ".xtc", ".nc", ".pdb"])
@pytest.mark.parametrize("box", [BOX, np.array([30.0, 31, 32, 80, 95, 100])])
def test_walls_are_crossed(tmp_path: Path, suffix: str, box: np.ndarray) -> None:
    from MDAnalysis.lib.mdamath import triclinic_vectors

    moves = np.cumsum(np.full((30, ATOMS, 3), [1.5, -1.0, 2.0]), axis=0) + MOVES[:1]
    vectors = triclinic_vectors(box).astype(float)
    wrapped = (moves @ np.linalg.inv(vectors)) % 1 @ vectors
    scene = read(write(tmp_path / f"water{suffix}", wrapped.astype(np.float32), box), RATED)
    np.testing.assert_allclose(scene.positions - scene.positions[:1], moves - moves[:1], atol=0.02)


def test_pdb_needs_a_rate(tmp_path: Path) -> None:
    path = write(tmp_path / "water.pdb")
    with pytest.raises(UsageError, match="--rate"):
        read(path)
    assert read(write(tmp_path / "one.pdb", MOVES[:1])).time.tolist() == [0.0]


def test_velocities_are_measured_per_second(tmp_path: Path) -> None:
    scene = read(write(tmp_path / "water.nc", velocities=True))
    assert (scene.fields["velocity"].unit, scene.fields["velocity"].irreps) == ("angstrom/s", "1o")
    np.testing.assert_allclose(scene.fields["velocity"].values, MOVES.astype(float) / 10 * 1e12, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".dcd", ".xtc", ".nc"])
def test_topology_beside(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"water{suffix}")
    write(tmp_path / "names.pdb", MOVES[:1])
    bonds = "CONECT    1    2    3\nCONECT    2    1\nEND\n"
    text = (tmp_path / "names.pdb").read_text()
    (tmp_path / "names.pdb").write_text(text.replace("END\n", bonds) if "ENDMDL" not in text else text + bonds)
    scene = read(path, ReadOptions(node_type="bead"))
    assert scene.node_types[:4].tolist() == ["O", "H", "H", "Cl"]
    assert sorted(map(tuple, scene.edges.tolist())) == [(0, 1), (0, 2)]
    assert scene.edge_types.tolist() == ["bond"] * 2
    assert scene.source.options["topology"] == "names.pdb"
    write(tmp_path / "water.gro", MOVES[0][None])
    assert read(path).source.options["topology"] == "water.gro"
    (tmp_path / "water.gro").unlink()
    write(tmp_path / "other.gro", MOVES[0][None])
    assert "topology" not in read(path).source.options


def test_bonds_of_psf(tmp_path: Path) -> None:
    atoms = "".join(
        f"{i + 1:8d} SEG  1    SOL  {'OH'[i % 2]}{i:<3d} {'OH'[i % 2]:4s} {0.5:14.6f}{16.0:14.4f}{0:12d}\n" for i in range(12)
    )
    psf = f"PSF\n\n{1:8d} !NTITLE\n REMARKS water\n\n{12:8d} !NATOM\n{atoms}\n{2:8d} !NBOND: bonds\n{1:8d}{2:8d}{3:8d}{4:8d}\n\n"
    psf += f"{0:8d} !NTHETA: angles\n\n{0:8d} !NPHI: dihedrals\n\n{0:8d} !NIMPHI: impropers\n\n"
    (tmp_path / "water.psf").write_text(psf)
    scene = read(write(tmp_path / "water.dcd"))
    assert scene.edges.tolist() == [[0, 1], [2, 3]]
    assert scene.node_types[:3].tolist() == ["O", "H", "O"]
    (tmp_path / "water.psf").write_text(psf.replace("12 !NATOM", "900000000 !NATOM"))
    with pytest.raises(DataError, match=r"water\.psf: it counts more than"):
        read(tmp_path / "water.dcd")


def test_topology_of_other_atoms(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "water.dcd")
    write(tmp_path / "other.pdb", MOVES[:1, :8])
    with caplog.at_level(logging.WARNING):
        assert set(read(path).node_types) == {"atom"}
    assert "names 8 atoms, the trajectory has 12" in caplog.text
    (tmp_path / "other.pdb").rename(tmp_path / "water.pdb")
    with pytest.raises(DataError, match=r"water\.pdb: it names 8 atoms, the trajectory has 12"):
        read(path)
    (tmp_path / "water.pdb").rename(tmp_path / "water.gro")
    with pytest.raises(DataError, match=r"water\.gro"):
        read(path)


def test_nothing_is_printed_or_warned(
    tmp_path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [write(tmp_path / f"water{suffix}") for suffix in (".pdb", ".dcd", ".xtc", ".nc")]
    recwarn.clear()
    for path in paths:
        read(path, RATED)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_dcd_of_other_machines_and_programs(tmp_path: Path) -> None:
    def record(kind: str, *values: Any) -> bytes:
        content = b"".join(np.asarray(value).astype(kind).tobytes() for value in values)
        return struct.pack(">i", len(content)) + content + struct.pack(">i", len(content))

    control = np.zeros(20, dtype=">i4")
    control[0], control[1], control[2], control[19] = 3, 10, 5, 24
    control[10:12] = 1
    control[9] = np.array([2 / AKMA / 5], ">f4").view(">i4")[0]
    body = b"".join(
        record(">f8", [30, 90, 31, 90, 90, 32]) + b"".join(record(">f4", x[:, k]) for k in (0, 1, 2, 0)) for x in MOVES[:3]
    )
    head = struct.pack(">i4s", 84, b"CORD") + control.tobytes() + struct.pack(">i", 84)
    content = head + record(">i4", [0]) + record(">i4", [ATOMS]) + body
    (tmp_path / "big.dcd").write_bytes(content)
    scene = read(tmp_path / "big.dcd")
    np.testing.assert_array_equal(scene.positions, MOVES[:3].astype(float))
    np.testing.assert_allclose(scene.time, [4e-12, 6e-12, 8e-12], rtol=1e-6)
    control[9] = 0
    (tmp_path / "big.dcd").write_bytes(content.replace(head[8:88], control.tobytes()))
    with pytest.raises(UsageError, match="--rate"):
        read(tmp_path / "big.dcd")


def test_dcd_of_an_interrupted_run_says_no_count(tmp_path: Path) -> None:
    path = write(tmp_path / "water.dcd")
    content = bytearray(path.read_bytes())
    content[8:12] = bytes(4)
    path.write_bytes(content)
    assert read(path).positions.shape == (5, ATOMS, 3)


@pytest.mark.parametrize(
    "stored",
    [
        [30, 80, 31, 95, 100, 32],
        [30, np.cos(np.radians(80)), 31, np.cos(np.radians(95)), np.cos(np.radians(100)), 32],
        [30, -0.5, 31, 1.25, -2, 200],
    ],
)
def test_boxes_of_dcd_are_those_of_mdanalysis(tmp_path: Path, stored: list[float]) -> None:
    from MDAnalysis.lib.mdamath import triclinic_vectors

    with DCDFile(str(tmp_path / "box.dcd"), "w") as file:
        file.write_header("", ATOMS, 0, 1, 1.0, 1)
        file.write(MOVES[0], np.array(stored, dtype=float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = MDAnalysis.coordinates.DCD.DCDReader(str(tmp_path / "box.dcd")).ts.dimensions
    ours = box_vectors(np.array([stored], dtype=float))[0]
    np.testing.assert_allclose(
        ours @ ours.T, (vectors := triclinic_vectors(other).astype(float)) @ vectors.T, rtol=1e-4, atol=1e-3
    )


def _changed(path: Path, place: int, content: bytes) -> None:
    found = bytearray(path.read_bytes())
    found[place : place + len(content)] = content
    path.write_bytes(found)


@pytest.mark.parametrize(
    ("name", "place", "content", "message"),
    [
        ("a.dcd", 8, struct.pack("<i", 9), "announces 9 frames of 12 atoms, there are 5"),
        ("a.dcd", 8 + 32, struct.pack("<i", 3), "3 atoms are fixed"),
        ("a.dcd", 88, struct.pack("<i", 3), "header is damaged"),
        ("a.xtc", 4, struct.pack(">i", 99), "begins neither like DCD, XTC"),
        ("a.xtc", 88, struct.pack(">i", 2**30), "frame 1 claims 10737419"),
        ("a.xtc", 84, struct.pack(">i", 3), "frame 1 does not unpack"),
        ("a.xtc", 60, struct.pack(">i", 2**31 - 1), "frame 1 does not unpack"),
        ("a.xtc", 16, struct.pack(">f", np.nan), "frame 1: the periodic box"),
        ("a.nc", 4, struct.pack(">i", 2), "2 frames of 12 atoms are announced, there are 5"),
        ("a.nc", 4, struct.pack(">I", 2**31), "frames of 12 atoms are announced"),
        ("a.nc", 12, struct.pack(">i", MOST + 1), "a list of"),
        ("a.nc", 3, b"\x05", "version 1 or 2"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, name: str, place: int, content: bytes, message: str) -> None:
    path = write(tmp_path / name)
    _changed(path, place, content)
    with pytest.raises(DataError, match=message):
        read(path)


def test_chain_of_xtc_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "water.xtc")
    content = path.read_bytes()
    second = xtc_frames(content)[1]
    for place, message in ((0, r"begins with 7 and 12 atoms"), (4, "begins with 1995 and 7 atoms")):
        path.write_bytes(content)
        _changed(path, second + place, struct.pack(">i", 7))
        with pytest.raises(DataError, match=rf"frame 2 \(byte {second}\) {message}"):
            read(path)
    path.write_bytes(content + write(tmp_path / "few.xtc", MOVES[:, :11]).read_bytes())
    with pytest.raises(DataError, match="frame 6 has 11 atoms, the first has 12"):
        read(path)


@pytest.mark.parametrize("suffix", [".dcd", ".xtc", ".nc"])
def test_every_cut_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"water{suffix}")
    content = path.read_bytes()
    for length in range(1, len(content) - 3, 7):
        path.write_bytes(content[:length])
        with contextlib.suppress(DataError):
            assert read(path).positions.shape[0] < 5
            assert suffix == ".xtc"
            assert length in xtc_frames(content)


PDB = (
    "CRYST1   30.000   31.000   32.000  90.00  90.00  90.00 P 1           1\n"
    "MODEL        1\n"
    "ATOM      1  O   SOL     1       1.000   2.000   3.000  1.00  0.00           O\n"
    "HETATM    2 CL   SOL     1      -1.000   2.500   3.125  1.00  0.00\n"
    "ENDMDL\n"
    "MODEL        2\n"
    "ATOM      1  O   SOL     1       1.500   2.000   3.000  1.00  0.00           O\n"
    "HETATM    2 CL   SOL     1      -1.000   2.500   3.250  1.00  0.00\n"
    "ENDMDL\n"
    "END\n"
)


@pytest.mark.parametrize("text", [PDB, PDB.replace("\n", "\r\n"), PDB.replace("END\n", "END"), PDB.replace("CRYST1", "REMARK")])
def test_pdb(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.pdb").write_bytes(text.encode())
    scene = read(tmp_path / "a.pdb", RATED)
    np.testing.assert_array_equal(scene.positions, [[[1, 2, 3], [-1, 2.5, 3.125]], [[1.5, 2, 3], [-1, 2.5, 3.25]]])
    assert scene.node_types.tolist() == ["O", "Cl"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("   3.250", "   3,250", "line 8, columns 47-54: '   3,250' is not a number"),
        ("HETATM    2 CL   SOL     1      -1.000   2.500   3.250  1.00  0.00\n", "", "line 7 on has 1 atoms, the first has 2"),
        ("   3.250  1.00  0.00", "", "line 8 is too short"),
        ("ENDMDL\nEND\n", "", "2 models begin and 1 end"),
        ("-1.000   2.500   3.250", "-1.000   2.500     nan", ""),
        ("  90.00  90.00  90.00 P", "  90.00 190.00  90.00 P", "box has impossible"),
    ],
)
def test_wrong_pdb(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert PDB.count(old) == 1
    (tmp_path / "a.pdb").write_text(PDB.replace(old, new))
    if message:
        with pytest.raises(DataError, match=message):
            read(tmp_path / "a.pdb", RATED)
    else:
        assert read(tmp_path / "a.pdb", RATED).valid.tolist() == [[True, True], [True, False]]


def test_models_of_other_atoms(tmp_path: Path) -> None:
    first, second = PDB.split("MODEL        2")
    (tmp_path / "a.pdb").write_text(first + "MODEL        2" + second.replace("CL ", "BR "))
    with pytest.raises(DataError, match="line 7 on has other atoms"):
        read(tmp_path / "a.pdb", RATED)


@given(
    data=st.binary(min_size=20, max_size=60),
    size=st.integers(0, 18),
    bits=st.integers(1, 40),
    kind=st.integers(8, 73),
    atoms=st.integers(10, 30),
)
def test_both_ways_to_follow_groups_agree(data: bytes, size: int, bits: int, kind: int, atoms: int) -> None:
    starts, sizes = np.zeros(3, dtype=np.int64), np.full(3, size)
    many = follow_all(np.frombuffer(data, np.uint8), starts, sizes, np.full(3, bits), np.full(3, kind), atoms)
    assert many.tolist() == [follow_one(data, size, bits, kind, atoms)] * 3


@pytest.mark.parametrize("frames", [5, FEW + 20])
def test_damaged_groups_are_never_decoded(tmp_path: Path, frames: int) -> None:
    moves = np.concatenate([MOVES] * 20)[:frames]
    moves = np.concatenate([moves, moves + 0.7, moves - 0.4], axis=1)
    content, rng = np.frombuffer(write(tmp_path / "water.xtc", moves).read_bytes(), np.uint8), np.random.default_rng(2)
    refused = 0
    for _ in range(200):
        other = content.copy()
        place = rng.integers(0, len(other) - 20)
        other[place : place + 20] = rng.integers(0, 256, size=20)
        (tmp_path / "water.xtc").write_bytes(other.tobytes())
        with contextlib.suppress(ForecastingError):
            read(tmp_path / "water.xtc")
            refused -= 1
        refused += 1
    assert refused > 100


def test_hostile_files_are_refused_quickly(tmp_path: Path) -> None:
    begin, many = time.monotonic(), 800_000
    head = struct.pack(">3if9f", 1995, many, 0, 0.0, *[0.0] * 9) + struct.pack(">if", many, 1000.0)
    head += struct.pack(">8i", 0, 0, 0, 0, 0, 0, 9, many)
    (tmp_path / "a.xtc").write_bytes(head + bytes(many))
    with pytest.raises(DataError, match="frame 1 does not unpack"):
        read(tmp_path / "a.xtc")
    (tmp_path / "a.pdb").write_bytes(b"MODEL\n" * 170_000)
    with pytest.raises(DataError, match="holds no atoms"):
        read(tmp_path / "a.pdb")
    assert time.monotonic() - begin < 4


def test_plumed(real_data: Path, tmp_path: Path) -> None:
    for name in ("trajout.0.xtc", "first.pdb"):
        shutil.copyfile(real_data / "molecules/plumed-md" / name, tmp_path / name)
    scene = read(tmp_path / "trajout.0.xtc")
    assert scene.positions.shape == (501, 132, 3)
    assert scene.source.options == {"kind": "xtc", "first_ps": 0.0, "step_ps": pytest.approx(0.1), "topology": "first.pdb"}
    assert scene.time[-1] == pytest.approx(50e-12)
    assert set(scene.node_types) == {"C", "N", "O"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shutil.copytree(tmp_path, tmp_path.with_name("other"))
        other = MDAnalysis.Universe(
            str(tmp_path.with_name("other") / "first.pdb"), str(tmp_path.with_name("other") / "trajout.0.xtc")
        )
        found = np.array([frame.positions.copy() for frame in other.trajectory])
    np.testing.assert_allclose(scene.positions, found, atol=1e-4)
    assert read(tmp_path / "first.pdb").positions.shape == (1, 132, 3)
