from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract, assert_same_trajectory
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.validation import validate

EXAMPLE = """\
# recorded by hand
# unit: m
scene,frame,id,type,x,y,v_x,v_y,mood
a,0,7,car,0.0,1.0,0.5,0.0,3
a,2,7,car,1.0,1.0,0.5,0.0,4
a,2,9,bus,5.0,,0.5,0.0,4
b,5,9,bus,5.0,2.0,0.5,0.0,4
"""
RATE = ReadOptions(rate=10)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, options: ReadOptions = RATE, format: str = "csv") -> list[Trajectory]:
    return list(FORMATS[format].read(path, options))


class TestCsv(FormatContract):
    format = "csv"
    options = RATE
    shapes = ((2, 2, 2), (1, 1, 2))

    def example(self, folder: Path) -> Path:
        return write(folder / "table.csv", EXAMPLE)

    def truncated(self, content: bytes) -> bytes:
        return content[: content.rstrip().rfind(b"\n") + 2]


class TestParquet(FormatContract):
    format = "parquet"
    options = ReadOptions(rate=10, unit="m")
    shapes = ((2, 2, 2), (1, 1, 2))

    def example(self, folder: Path) -> Path:
        table = pacsv.read_csv(pa.BufferReader(EXAMPLE.encode()), pacsv.ReadOptions(skip_rows=2))
        pq.write_table(table, folder / "table.parquet")
        return folder / "table.parquet"


def test_example_in_detail(tmp_path: Path) -> None:
    first, second = read(write(tmp_path / "t.csv", EXAMPLE), ReadOptions(rate=10, columns={"velocity": "v"}))
    assert (first.scene, second.scene) == ("a", "b")
    np.testing.assert_allclose(first.time, [0.0, 0.2])
    assert first.node_ids.tolist() == [7, 9]
    assert first.node_types.tolist() == ["car", "bus"]
    assert first.valid.tolist() == [[True, False], [True, False]]
    assert first.fields["velocity"].irreps == "1o"
    assert first.fields["velocity"].unit == "m/s"
    assert first.fields["mood"].values[:, 0, 0].tolist() == [3.0, 4.0]
    assert first.unit == Unit("m")
    np.testing.assert_allclose(second.time, [0.5])


def test_rows_of_a_scene_may_be_shuffled(tmp_path: Path) -> None:
    scene = random_scene(np.random.default_rng(0), frames=20, nodes=6)
    path = tmp_path / "t.csv"
    FORMATS["csv"].write(path, [scene])
    lines = path.read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if not line.startswith("#")) + 1
    order = np.random.default_rng(1).permutation(len(lines) - start)
    shuffled = "\n".join(lines[:start] + [lines[start + index] for index in order]) + "\n"
    (found,) = read(write(tmp_path / "u.csv", shuffled))
    back = np.argsort(found.node_ids)
    np.testing.assert_array_equal(found.positions[:, back], scene.positions)
    np.testing.assert_array_equal(found.fields["heading"].values[:, back], scene.fields["heading"].values)


def test_many_scenes_over_many_blocks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, f"scene {index}", frames=int(rng.integers(1, 60)), nodes=40) for index in range(80)]
    for format in ("csv", "parquet"):
        FORMATS[format].write(tmp_path / "t", scenes)
        for found, expected in zip(FORMATS[format].read(tmp_path / "t", ReadOptions()), scenes, strict=True):
            assert_same_trajectory(found, expected)


def test_scene_without_a_scene_column_is_named_after_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "yard.csv", "time;node;x;y\n0.5;n1;1;2\n1.5;n1;2;3\n")
    (scene,) = read(path, ReadOptions(unit="m"))
    assert scene.scene == "yard"
    assert scene.node_ids.tolist() == ["n1"]
    assert scene.time.tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["1", "2"], [1, 2]),
        (["1.0", "2.0"], [1, 2]),
        (["007", "8"], ["007", "8"]),
        (["1", "1.0"], ["1", "1.0"]),
        (["-3", "NA"], ["-3", "NA"]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
    ],
)
def test_ids_keep_their_meaning(tmp_path: Path, ids: list[str], expected: list[object]) -> None:
    rows = "".join(f"0,{name},1,2\n" for name in ids)
    (scene,) = read(write(tmp_path / "t.csv", "frame,id,x,y\n" + rows), ReadOptions(rate=1, unit="m"))
    assert scene.node_ids.tolist() == expected


def test_columns_can_be_renamed_and_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "t,who,px,py,z,note,mark\n0,1,1,2,,hello,5\n1,1,1,2,,hello,5\n")
    columns = {"time": "t", "node": "who", "x": "px", "y": "py", "z": "-", "mark": "-"}
    (scene,) = read(path, ReadOptions(unit="m", columns=columns))
    assert scene.dim == 2
    assert not scene.fields
    assert scene.valid.all()


def test_velocity_is_multiplied_like_positions(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "time,id,x,y,velocity_x,velocity_y\n0,1,1,2,10,10\n")
    (scene,) = read(path, ReadOptions(unit="x=2m,y=3m"))
    assert scene.positions[0, 0].tolist() == [2.0, 6.0]
    assert scene.fields["velocity"].values[0, 0].tolist() == [20.0, 30.0]


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "frame,x,y\n0,1,2\n")
    with pytest.raises(DataError, match=r"no column for node among frame, x, y; .*--columns node=NAME"):
        read(path)
    with pytest.raises(UsageError, match=r"no column 'nod' \(for node\)"):
        read(path, ReadOptions(columns={"node": "nod"}))
    with pytest.raises(UsageError, match="no column 'speeed'"):
        read(write(path, "frame,id,x,y,speed\n0,1,1,2,3\n"), ReadOptions(unit="m", rate=1, columns={"v": "speeed"}))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,0,1,1,2\na,1,1,oops,2\n", "line 4, column 4: 'oops' is not a number"),
        ("a,0,1,1,2\n\na,1,1,2\n", "line 5 has 4 columns, expected 5"),
        ("a,0,1,1,2\na,,1,1,2\n", "line 4 has no finite time"),
        ("a,0,1,1,2\na,1,,1,2\n", "line 4 has no node"),
        ("a,0,1,1,2\n,1,1,1,2\n", "line 4 has no scene"),
        ("a,0,1,1,2\na,0,2,1,2\na,0,1,3,2\n", "line 5 repeats node"),
        ("", "no rows"),
    ],
)
def test_faults_are_located(tmp_path: Path, rows: str, message: str) -> None:
    path = write(tmp_path / "t.csv", f"# unit: m\nscene,frame,id,x,y\n{rows}")
    with pytest.raises(DataError, match=message):
        read(path)


def test_types_do_not_change(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "# unit: m\nframe,id,type,x,y\n0,1,car,1,2\n1,1,bus,1,2\n")
    with pytest.raises(DataError, match="line 4 gives a node another type"):
        read(path)
    (scene,) = read(path, ReadOptions(rate=1, columns={"type": "-"}, node_type="vehicle"))
    assert scene.node_types.tolist() == ["vehicle"]


@pytest.mark.parametrize("on_error", ["mask", "drop"])
def test_duplicate_rows_are_handed_to_validation(tmp_path: Path, on_error: str) -> None:
    path = write(tmp_path / "t.csv", "# unit: m\nframe,id,x,y\n0,1,1,2\n1,1,1,2\n1,1,9,9\n1,2,3,3\n0,2,4,4\n")
    (scene,) = read(path, ReadOptions(rate=1, on_error=on_error))
    assert scene.valid.tolist() == [[True, True], [False, True]]
    (finding,) = (one for one in validate(scene) if one.check == "duplicate_node")
    assert (finding.node, finding.frames, finding.place) == (1, (1,), "line 5")


def test_spread_rows_do_not_exhaust_memory(tmp_path: Path) -> None:
    rows = "".join(f"{index},{index},1,2\n" for index in range(12_000))
    with pytest.raises(DataError, match="12000 frames x 12000 nodes"):
        read(write(tmp_path / "t.csv", "# unit: m\nframe,id,x,y\n" + rows))


def test_partial_coordinates_are_missing_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "t.csv", "# unit: m\n# up: +z\nframe,id,x,y,z\n0,1,1,2,\n1,1,1,2,3\n")
    (scene,) = read(path)
    assert scene.valid.tolist() == [[False], [True]]
    assert "1 entries with some coordinates only" in caplog.text


@pytest.mark.parametrize(
    ("note", "message"),
    [
        ("fields: {]", "note 'fields' is damaged"),
        ('fields: {"speed": {"columns": ["speed"]}}', "note 'fields' is damaged"),
        (
            'fields: {"s": {"columns": ["s"], "irreps": "0e", "unit": "", "translates": false, "per_frame": true}}',
            "notes put field 's'",
        ),
        ("per_axis: [1]", "1 factors for 2"),
        ('edges: [[[[1, 9]], ["bone"], ["t"]]]', "names node 9 in scene 't', which has no row"),
        ('edges: [[[[[1], 1]], ["bone"], ["t"]]]', "note 'edges' is damaged"),
        ("rate: fast", "note 'rate' is damaged"),
    ],
)
def test_damaged_notes(tmp_path: Path, note: str, message: str) -> None:
    path = write(tmp_path / "t.csv", f"# unit: m\n# {note}\nframe,id,x,y\n0,1,1,2\n")
    with pytest.raises(DataError, match=message):
        read(path)


def test_rate_may_be_noted(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "# unit: m\n# rate: 5\nframe,id,x,y\n0,1,1,2\n1,1,1,2\n")
    (scene,) = read(path, ReadOptions())
    assert scene.dt == pytest.approx(0.2)


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_scenes_of_one_table_must_agree(tmp_path: Path, format: str) -> None:
    scene = random_scene(np.random.default_rng(0))
    with pytest.raises(UsageError, match="scene 'other' has unit cm, those before it m"):
        FORMATS[format].write(tmp_path / "t", [scene, replace(scene, scene="other", unit=Unit("cm"))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_nothing_to_write(tmp_path: Path, format: str) -> None:
    scene = random_scene(np.random.default_rng(0))
    empty = replace(scene, time=scene.time[:0], positions=scene.positions[:0], valid=scene.valid[:0], fields={})
    with pytest.raises(UsageError, match="no scenes"):
        FORMATS[format].write(tmp_path / "t", [])
    with pytest.raises(UsageError, match="no rows to write"):
        FORMATS[format].write(tmp_path / "t", [empty])


def test_line_breaks_in_names_are_refused_by_csv(tmp_path: Path) -> None:
    scene = replace(random_scene(np.random.default_rng(0)), scene="two\nlines")
    with pytest.raises(UsageError, match="line break"):
        FORMATS["csv"].write(tmp_path / "t.csv", [scene])
    FORMATS["parquet"].write(tmp_path / "t.parquet", [scene])
    (found,) = read(tmp_path / "t.parquet", ReadOptions(), "parquet")
    assert found.scene == "two\nlines"


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    scene = random_scene(np.random.default_rng(0))
    with pytest.raises(UsageError, match="two columns named 'x'"):
        FORMATS["csv"].write(tmp_path / "t.csv", [replace(scene, fields={"x": scene.fields["charge"]})])
    with pytest.raises(DataError, match="line 1 names two columns 'x'"):
        read(write(tmp_path / "u.csv", "frame,id,x,x,y\n0,1,2,2,3\n"))


def test_writing_streams(tmp_path: Path) -> None:
    scene, asked = random_scene(np.random.default_rng(0)), []

    def scenes() -> Iterator[Trajectory]:
        for index in range(3):
            asked.append(index)
            yield replace(scene, scene=str(index))

    FORMATS["parquet"].write(tmp_path / "t.parquet", scenes())
    assert asked == [0, 1, 2]
    assert len(read(tmp_path / "t.parquet", ReadOptions(), "parquet")) == 3


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()), pa.int16(), pa.float64()]
)
def test_parquet_of_other_programs(tmp_path: Path, kind: pa.DataType) -> None:
    names = pa.array(["3", "1", "3", "1"]).cast(kind.value_type if pa.types.is_dictionary(kind) else kind)
    if pa.types.is_dictionary(kind):
        names = names.dictionary_encode().cast(kind)
    numbers = {"time": [0, 0, 1, 1], "x": [1, 2, 3, None], "y": [1.0, 2.0, 3.0, 4.0]}
    pq.write_table(pa.table({**numbers, "node": names}), tmp_path / "t.parquet")
    (scene,) = read(tmp_path / "t.parquet", ReadOptions(unit="m"), "parquet")
    assert scene.node_ids.tolist() == [3, 1]
    assert scene.valid.tolist() == [[True, True], [True, False]]
    assert scene.positions[1, 0].tolist() == [3.0, 3.0]
