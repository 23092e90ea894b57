import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ase.io
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import NAMES, FormatContract, assert_same_trajectory, trajectories_strategy
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.formats._extxyz_comment import number, parse_comment, parse_pairs
from forecasting.trajectories.trajectory import Field, Trajectory
from forecasting.trajectories.validation import validate

RATED = ReadOptions(rate=10)
PLAIN = ReadOptions(unit="nm", rate=10)
WATER = 'Properties=species:S:1:pos:R:3:forces:R:3:charge:R:1 energy={energy} note="a b" pbc="F F F"'


def water(frame: int) -> str:
    rows = [f"{name} {frame}.5 {index}e0 -1.25 0.{frame} 0 {index} -0.5" for index, name in enumerate("OHH")]
    return "\n".join(["3", WATER.format(energy=-7.5 - frame), *rows]) + "\n"


def write(folder: Path, text: str, name: str = "water.xyz") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


def read(path: Path, options: ReadOptions = RATED) -> Trajectory:
    (scene,) = FORMATS["extxyz"].read(path, options)
    return scene


def back(folder: Path, *scenes: Trajectory, name: str = "out.extxyz") -> list[Trajectory]:
    FORMATS["extxyz"].write(folder / name, iter(scenes))
    return list(FORMATS["extxyz"].read(folder / name, ReadOptions()))


class Contract(FormatContract):
    format = "extxyz"
    kin = ("water.xyz",)

    def truncated(self, content: bytes) -> bytes:
        return content[: content.rstrip().rfind(b"\n")]


class TestExtended(Contract):
    options = RATED
    shapes = ((4, 3, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder, "".join(map(water, range(4))), "water.extxyz")


class TestPlumed(Contract):
    options = PLAIN
    shapes = ((3, 2, 3),)

    def example(self, folder: Path) -> Path:
        return write(folder, "".join(f"2\n5. 5. 5.\nCL {x} 0.1 0.2\nHL1 0.5 {x} 0.5\n" for x in (0.1, 0.2, 0.3)))


class TestOurs(Contract):
    shapes = ((3, 2, 3), (3, 2, 3))

    def example(self, folder: Path) -> Path:
        scene = replace(read(TestPlumed().example(folder), PLAIN), node_ids=np.array(["left one", 'the "other" \\ one']))
        gone = np.array([[True, True], [False, True], [True, False]])
        masked = replace(scene, scene="gone", valid=gone, positions=np.where(gone[..., None], scene.positions, np.nan))
        FORMATS["extxyz"].write(folder / "ours.xyz", iter([scene, masked]))
        (folder / "water.xyz").unlink()
        return folder / "ours.xyz"


def test_what_is_read(tmp_path: Path) -> None:
    scene = read(write(tmp_path, "".join(map(water, range(4)))))
    assert scene.scene == "water"
    np.testing.assert_array_equal(scene.time, np.arange(4) / 10)
    np.testing.assert_array_equal(scene.positions[1], [[1.5, 0, -1.25], [1.5, 1, -1.25], [1.5, 2, -1.25]])
    assert scene.node_ids.tolist() == [0, 1, 2]
    assert scene.node_types.tolist() == ["O", "H", "H"]
    assert (str(scene.unit), scene.frame.up, scene.frame.handedness) == ("angstrom", "none", "right")
    assert {name: (item.irreps, item.unit) for name, item in scene.fields.items()} == {
        "forces": ("1o", ""),
        "charge": ("0e", ""),
        "energy": ("0e", ""),
    }
    np.testing.assert_array_equal(scene.fields["forces"].values[3, 2], [0.3, 0, 2])
    np.testing.assert_array_equal(scene.fields["energy"].values[:, :, 0], np.tile([[-7.5], [-8.5], [-9.5], [-10.5]], 3))
    assert scene.source.options == {"rate": 10.0}


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1 b=x", {"a": "1", "b": "x"}),
        ('a="1 2" b=\'c "d"\' c={3 4} d=[1, 2]', {"a": "1 2", "b": 'c "d"', "c": "3 4", "d": "[1, 2]"}),
        (r'a="say \"hi\" \\ n" flag', {"a": 'say "hi" \\ n', "flag": "T"}),
        ("i =  3, E = -1.5", {"i": "3", "E": "-1.5"}),
        ('"odd key"=1 ""', {"odd key": "1", "": "T"}),
        ("m=[[1,0],[0,1]] a=", {"m": "[[1,0],[0,1]]", "a": ""}),
        ('unclosed="a b', {"unclosed": '"a', "b": "T"}),
    ],
)
def test_pairs(text: str, pairs: dict[str, str]) -> None:
    assert parse_pairs(text) == pairs


@given(st.text(max_size=40))
def test_any_comment_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_comment(text).cell.shape == (3, 3)


@given(st.floats())
def test_numbers(value: float) -> None:
    np.testing.assert_equal(number(repr(value)), value)


@pytest.mark.parametrize("text", ["", "1_0", "0x1", "1e", "T", ".", "١"])
def test_not_numbers(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("comment", "cell", "periodic"),
    [
        ("5 6 7", np.diag([5.0, 6, 7]), (True, True, True)),
        ("1 2 3 4 5 6 7 8 10", [[1, 2, 3], [4, 5, 6], [7, 8, 10]], (True, True, True)),
        ('Lattice="1 0 0 0 2 0 0 0 3"', np.diag([1.0, 2, 3]), (True, True, True)),
        ('Lattice="1 0 0 0 2 0 0 0 3" pbc="T F true"', np.diag([1.0, 2, 3]), (True, False, True)),
        ('lattice="1 0 0 0 2 0 0 0 3" pbc=F', np.diag([1.0, 2, 3]), (False, False, False)),
        ("generated by hand", np.zeros((3, 3)), (False, False, False)),
        ("", np.zeros((3, 3)), (False, False, False)),
    ],
)
def test_boxes(comment: str, cell: Any, periodic: tuple[bool, ...]) -> None:
    found = parse_comment(comment)
    np.testing.assert_array_equal(found.cell, cell)
    assert found.periodic == periodic


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ('Lattice="1 2"', "three lengths or nine"),
        ('Lattice="1 0 0 0 inf 0 0 0 1"', "three lengths or nine"),
        ('Lattice="1 0 0 0 1 0 0 0 1" pbc="T x F"', "not three of T and F"),
    ],
)
def test_wrong_boxes(tmp_path: Path, comment: str, message: str) -> None:
    with pytest.raises(DataError, match=f"line 2.*{message}"):
        read(write(tmp_path, f"1\n{comment}\nH 0 0 0\n"), PLAIN)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("species:S:1:pos:R", "not triples"),
        ("species:S:1:pos:X:3", "one of R I S L"),
        ("species:S:1:pos:R:99999", "a count"),
        ("species:S:1", "no pos:R:3"),
        ("pos:R:3:pos:R:3", "twice"),
        ("pos:R:3:a:R:9999", "more than 4096"),
    ],
)
def test_wrong_properties(tmp_path: Path, properties: str, message: str) -> None:
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        read(write(tmp_path, f"1\nProperties={properties}\nH 0 0 0\n"))


def test_kinds_of_columns(tmp_path: Path) -> None:
    columns = "pos:R:3:move_mask:L:1:tags:I:1:label:S:1:color:R:3:magmoms:R:3:strain:R:6:velocity:R:3:flags:L:2"
    row = "1 2 3 T 7 a\u00e9 .1 .2 .3 1 2 3 1 2 3 4 5 6 +7 8 9 F true"
    scene = read(write(tmp_path, f"1\nProperties={columns} time=0.5 velocity=2 on=T\n{row}\n"), ReadOptions())
    assert {name: item.irreps for name, item in scene.fields.items()} == {
        "move_mask": "0e",
        "tags": "0e",
        "color": "3x0e",
        "magmoms": "1e",
        "strain": "6x0e",
        "file_velocity": "1o",
        "flags": "2x0e",
        "file_time": "0e",
        "file_file_velocity": "0e",
    }
    assert scene.node_types.tolist() == ["atom"]
    np.testing.assert_array_equal(scene.fields["flags"].values, [[[0.0, 1.0]]])
    np.testing.assert_array_equal(scene.fields["file_velocity"].values, [[[7.0, 8.0, 9.0]]])


def test_ways_to_write_rows(tmp_path: Path) -> None:
    text = "\n2 \r\n  \r\n\tNA\t1.0   2.e1 -.5  nan\r\n H  +1e-3 0 inf 2\r\n\n 2\nplain\nNA 0 0 0 1\nH 1 1 1 0"
    scene = read(write(tmp_path, text), PLAIN)
    np.testing.assert_array_equal(scene.positions[0], [[1.0, 20.0, -0.5], [0.001, 0.0, np.inf]])
    assert scene.node_types.tolist() == ["NA", "H"]
    np.testing.assert_array_equal(scene.fields["column_5"].values[..., 0], [[np.nan, 2], [1, 0]])


def test_ids_bring_order_and_gaps(tmp_path: Path) -> None:
    head = "Properties=species:S:1:pos:R:3:id:I:1"
    text = f"2\n{head}\nO 1 1 1 7\nH 2 2 2 3\n3\n{head}\nH 2 2 3 3\nO 1 1 2 7\nC 9 9 9 1\n"
    scene = read(write(tmp_path, text))
    assert scene.node_ids.tolist() == [7, 3, 1]
    assert scene.node_types.tolist() == ["O", "H", "C"]
    assert scene.valid.tolist() == [[True, True, False], [True, True, True]]
    np.testing.assert_array_equal(scene.positions[:, :2, 2], [[1, 2], [2, 3]])
    texts = read(write(tmp_path, text.replace("id:I", "ids:S")))
    assert texts.node_ids.tolist() == ["7", "3", "1"]
    np.testing.assert_array_equal(texts.positions, scene.positions)


def test_repeated_ids(tmp_path: Path) -> None:
    path = write(tmp_path, "2\nProperties=species:S:1:pos:R:3:id:I:1\nO 1 1 1 7\nO 2 2 2 7\n")
    with pytest.raises(DataError, match="line 4 repeats an atom"):
        read(path)
    scene = read(path, replace(RATED, on_error="mask"))
    assert not scene.valid.any()
    assert [finding.check for finding in validate(scene, 1) if finding.severity == "error"] == ["duplicate_node"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n\nH 0 0 0\n1\n\nC 0 0 0\n", r"line 6 is 'C' where .* 'H'.*split the file by molecule"),
        ("1\n\nH 0 0 0\n2\n\nH 0 0 0\nH 1 1 1\n", "line 4 counts 2 atoms, the frames before it 1"),
        ("2\n\nH 0 0 0\nH 0 x 0\n", "line 4 has 'x' in column 3, expected a number"),
        ("2\n\nH 0 0 0\nH 0 0\n", "line 4 has 3 columns, expected 4"),
        ("1\n\nH 0 0 0\n1\n\nH 0 0 0 0\n", "line 6 has 5 columns, expected 4"),
        ("1\n\nH 0 0 0\nrest\n", "line 4 is 'rest', expected the number of atoms"),
        ("3\n\nH 0 0 0\nH 0 0 0\n", "line 1 claims 3 atoms"),
        ("999999999999\n\nH 0 0 0\n", "line 1 claims 999999999999 atoms, but only"),
        ("0\n\n", "line 1 counts no atoms"),
        ("1\n\nH 0 0 0\n1\nProperties=species:S:1:pos:R:3\nH 0 0 0\n", "line 5 has the columns species"),
        ("1\n" + " ".join(f"a{i}=1" for i in range(300)) + "\nH 0 0 0\n", "line 2 holds 300 numbers"),
        ("1\nProperties=pos:R:3:tags:I:1\n0 0 0 1.5\n", "'1.5' in column 4, expected a whole number"),
        ("1\nProperties=pos:R:3:mask:L:1\n0 0 0 maybe\n", "'maybe' in column 4, expected T or F"),
    ],
)
def test_faults_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, text), PLAIN)


def test_the_line_of_a_late_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecasting.trajectories.formats._extxyz_scene.BLOCK", 300)
    frames = list(map(water, range(9)))
    np.testing.assert_array_equal(read(write(tmp_path, "".join(frames))).positions[:, 0, 0], np.arange(9) + 0.5)
    frames[7] = frames[7].replace("2e0", "2e0e")
    with pytest.raises(DataError, match=f"line {7 * 5 + 5} has '2e0e'"):
        read(write(tmp_path, "".join(frames)))


@pytest.mark.parametrize(
    ("options", "message"), [(ReadOptions(rate=1), "--unit"), (ReadOptions(unit="nm"), "--rate"), (ReadOptions(), "--unit")]
)
def test_what_must_be_said(tmp_path: Path, options: ReadOptions, message: str) -> None:
    path = write(tmp_path, "1\n\nH 0 0 0\n" * 2)
    with pytest.raises(UsageError, match=message):
        read(path, options)


def test_users_unit_and_axis_win(tmp_path: Path) -> None:
    scene = read(write(tmp_path, water(0) + water(1)), ReadOptions(unit="10angstrom", rate=1, up="z"))
    assert scene.positions[1, 1].tolist() == [15, 10, -12.5]
    assert (scene.unit.name, scene.frame.up) == ("angstrom", "+z")


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_periodic_boxes_are_unwrapped(seed: int, plumed: bool) -> None:
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(4, 6, size=3)) + (0 if plumed else np.tril(rng.uniform(-1, 1, size=(3, 3)), -1))
    truth = np.cumsum(rng.uniform(-0.4, 0.4, size=(20, 3, 3)), axis=0) @ cell
    wrapped = truth - np.floor(truth @ np.linalg.inv(cell)) @ cell
    box = " ".join(map(str, np.diag(cell) if plumed else cell.ravel()))
    comment = box if plumed else f'Lattice="{box}" pbc="T T T"'
    rows = ["\n".join(f"Ar {x!r} {y!r} {z!r}" for x, y, z in frame.tolist()) for frame in wrapped]
    with TemporaryDirectory() as folder:
        path = write(Path(folder), "".join(f"3\n{comment}\n{row}\n" for row in rows))
        found = read(path, PLAIN).positions
        second = ase.io.read(path, ":", format="extxyz") if not plumed else []
    np.testing.assert_array_equal(found[0], wrapped[0])
    np.testing.assert_allclose(found - found[0], truth - truth[0], atol=1e-9)
    for ours, theirs in zip(found, second, strict=False):
        images = (ours - theirs.positions) @ np.linalg.inv(cell)
        np.testing.assert_allclose(images, np.rint(images), atol=1e-9)


class TestWriting:
    @pytest.fixture
    def scene(self, tmp_path: Path) -> Trajectory:
        return read(write(tmp_path, "".join(map(water, range(4)))))

    def test_other_programs_read_it(self, tmp_path: Path, scene: Trajectory) -> None:
        back(tmp_path, scene)
        frames = ase.io.read(tmp_path / "out.extxyz", ":")
        assert len(frames) == 4
        for ours, forces, energy, frame in zip(
            scene.positions, scene.fields["forces"].values, scene.fields["energy"].values, frames, strict=True
        ):
            np.testing.assert_array_equal(frame.positions, ours)
            np.testing.assert_array_equal(frame.get_forces(), forces)
            assert frame.get_potential_energy() == energy[0, 0]
            assert frame.get_chemical_symbols() == ["O", "H", "H"]

    def test_a_number_per_frame_stays_in_the_comment(self, tmp_path: Path, scene: Trajectory) -> None:
        (found,) = back(tmp_path, scene)
        assert_same_trajectory(found, scene)
        assert (tmp_path / "out.extxyz").read_text().count(" energy=") == 4

    def test_what_only_nodes_that_are_absent_hold(self, tmp_path: Path, scene: Trajectory) -> None:
        values = np.full((4, 3, 1), np.nan)
        values[2, 1] = 5.0
        hidden = replace(
            scene,
            valid=np.zeros((4, 3), dtype=bool),
            positions=np.full((4, 3, 3), np.nan),
            fields={"charge of": Field(values, "0e", "e"), "mass": Field(np.arange(3.0)[:, None], "0e", "u")},
        )
        (found,) = back(tmp_path, hidden)
        assert_same_trajectory(found, hidden)

    @pytest.mark.parametrize("name", ["pos", "Lattice", "node", "time", "stress", "9 lives", "é", ""])
    def test_fields_with_names_that_mean_something_else(self, tmp_path: Path, scene: Trajectory, name: str) -> None:
        same = Field(np.ones((4, 3, 1)), "0e")
        taken = replace(scene, fields={name: scene.fields["forces"], f"{name}_": same, f"{name}__": same})
        (found,) = back(tmp_path, taken)
        assert_same_trajectory(found, taken)
        assert len(ase.io.read(tmp_path / "out.extxyz", ":")) == 4

    def test_blocks_of_frames(self, tmp_path: Path, scene: Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("forecasting.trajectories.formats._extxyz_write.ROWS", 6)
        (found,) = back(tmp_path, scene)
        assert_same_trajectory(found, scene)

    @pytest.mark.parametrize("change", [{"node_ids": np.array([None, 1, 2])}, {"node_types": np.array([1, 2, 3])}])
    def test_refused(self, tmp_path: Path, scene: Trajectory, change: dict[str, Any]) -> None:
        with pytest.raises(UsageError, match="'water'"):
            back(tmp_path, replace(scene, **change))
        assert [item.name for item in tmp_path.iterdir()] == ["water.xyz"]

    def test_nothing_to_write(self, tmp_path: Path, scene: Trajectory) -> None:
        with pytest.raises(UsageError, match="no scenes"):
            back(tmp_path)
        none = {name: replace(item, values=item.values[:0]) for name, item in scene.fields.items()}
        empty = replace(scene, time=np.zeros(0), positions=np.zeros((0, 3, 3)), valid=np.zeros((0, 3), dtype=bool), fields=none)
        with pytest.raises(UsageError, match="no frames"):
            back(tmp_path, empty)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('\\"dim\\":3', '\\"dim\\":5', "line 2: the notes.*damaged"),
            ('\\"ids\\":[0,1,2]', '\\"ids\\":[0,1]', "damaged"),
            ('\\"ids\\":[0,1,2]', '\\"ids\\":[0,true,2]', "damaged"),
            ('\\"up\\":\\"none\\"', '\\"up\\":\\"w\\"', "damaged"),
            ('\\"edges\\":[]', '\\"edges\\":[[0,9]]', "damaged"),
            ('\\"key\\":\\"forces\\"', '\\"key\\":\\"moved\\"', "columns 'moved'"),
            ("time=0.2", "tim=0.2", "line 12 has no time"),
        ],
    )
    def test_damaged_notes(self, tmp_path: Path, scene: Trajectory, old: str, new: str, message: str) -> None:
        back(tmp_path, scene)
        text = (tmp_path / "out.extxyz").read_text()
        assert old in text
        with pytest.raises(DataError, match=message):
            read(write(tmp_path, text.replace(old, new)), ReadOptions())

    def test_nodes_that_are_not_there(self, tmp_path: Path) -> None:
        text = TestOurs().example(tmp_path).read_text()
        with pytest.raises(DataError, match=r"is about node 8 of 2"):
            list(FORMATS["extxyz"].read(write(tmp_path, text.replace("0.5 1\n", "0.5 8\n")), ReadOptions()))


@settings(max_examples=40)
@given(trajectories_strategy())
def test_ase_reads_everything_we_write(scenes: list[Trajectory]) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "out.xyz"
        FORMATS["extxyz"].write(path, iter(scenes))
        frames = iter(ase.io.read(path, ":"))
        for scene in scenes:
            for positions, valid in zip(scene.positions, scene.valid, strict=True):
                found = next(frames).positions
                there = ~np.isnan(found).any(axis=1)
                np.testing.assert_array_equal(found[there, : scene.dim], positions[valid])


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_types_need_not_be_elements(types: list[str]) -> None:
    with TemporaryDirectory() as folder:
        nodes = len(types)
        scene = read(write(Path(folder), "".join(f"{nodes}\n\n" + "H 1 2 3\n" * nodes for _ in range(2))), PLAIN)
        scene = replace(scene, node_types=np.array(types))
        (found,) = back(Path(folder), scene)
        assert_same_trajectory(found, scene)


REAL = {
    "acac-botnet/test_MD_300K.xyz": (RATED, (650, 15, 3), ["forces", "dihedral_angle", "energy"]),
    "rmd17-ethanol-100/ethanol_reduced_100.xyz": (RATED, (100, 9, 3), ["forces", "energy"]),
    "plumed-md/diala_traj_nm.xyz": (PLAIN, (546, 22, 3), []),
    "plumed-md/trajectory.xyz": (ReadOptions(unit="sigma", rate=1), (50, 108, 3), []),
}


def steps_across(positions: Any, box: float) -> int:
    return int((np.abs(np.diff(positions, axis=0)).max(axis=(1, 2)) > box / 2).sum())


@pytest.mark.parametrize("name", REAL)
def test_real_files(real_data: Path, name: str, tmp_path: Path) -> None:
    options, shape, fields = REAL[name]
    path = real_data / "molecules" / name
    scene = read(path, options)
    assert scene.positions.shape == shape
    assert list(scene.fields) == fields
    assert scene.valid.all()
    raw = np.array(list(_raw(path)))
    box = {"trajectory.xyz": 5.0388, "diala_traj_nm.xyz": 10.0}.get(path.name, np.inf)
    if path.name == "trajectory.xyz":
        assert (steps_across(raw, box), steps_across(scene.positions, box)) == (17, 0)
        images = (scene.positions - raw) / box
        np.testing.assert_allclose(images, np.rint(images), atol=1e-12)
    else:
        np.testing.assert_array_equal(scene.positions, raw)
    if fields:
        frames = ase.io.read(path, ":")
        np.testing.assert_array_equal([frame.positions for frame in frames], scene.positions)
        np.testing.assert_array_equal([frame.get_forces() for frame in frames], scene.fields["forces"].values)
        energies = [frame.get_potential_energy() for frame in frames]
        np.testing.assert_array_equal(energies, scene.fields["energy"].values[:, 0, 0])
        assert [frame.get_chemical_symbols() for frame in frames] == [scene.node_types.tolist()] * len(frames)
    (found,) = back(tmp_path, scene)
    assert_same_trajectory(found, scene)


def _raw(path: Path) -> Iterator[list[list[float]]]:
    lines = iter(path.read_text().splitlines())
    for line in lines:
        next(lines)
        yield [[float(cell) for cell in next(lines).split()[1:4]] for _ in range(int(line))]


def test_real_plumed_names(real_data: Path) -> None:
    scene = read(real_data / "molecules/plumed-md/diala_traj_nm.xyz", PLAIN)
    assert {"CLP", "HL1", "CA"} <= set(scene.node_types)
    assert (scene.unit.name, scene.frame.up) == ("nm", "none")


def test_real_single_atoms_are_no_trajectory(real_data: Path) -> None:
    with pytest.raises(DataError, match="line 6 is 'C' where the frames before it have 'H'"):
        read(real_data / "molecules/acac-botnet/isolated_atoms.xyz")
