"""Tables whose rows stand anywhere: sorted on disk, the same scenes come out."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.errors import DataError
from forecasting.testing.formats import assert_same_trajectory
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.formats import FORMATS, ReadOptions, ScatteredRowsError, _external_sort, _scattered, csv_table
from forecasting.trajectories.formats._line_blocks import line_blocks
from forecasting.trajectories.ingest import IngestOptions, ingest
from forecasting.trajectories.reading import read_trajectories, write_trajectories
from forecasting.trajectories.trajectory import Trajectory


def shuffle(path: Path, seed: int) -> None:
    """Reorder the rows of a table; the notes before them stay."""
    if path.suffix == ".parquet":
        table, notes = pq.read_table(path), pq.read_metadata(path).metadata
        table = table.replace_schema_metadata({b"forecasting": notes[b"forecasting"]})
        mixed = table.take(np.random.default_rng(seed).permutation(len(table)))
        pq.write_table(mixed, path, row_group_size=7)
        return
    lines = path.read_text().splitlines()
    notes = [line for line in lines if line.startswith("#")]
    header, *rows = lines[len(notes) :]
    np.random.default_rng(seed).shuffle(rows)
    path.write_text("\n".join([*notes, header, *rows]) + "\n")


def scenes_of(seed: int, count: int) -> list[Trajectory]:
    rng = np.random.default_rng(seed)
    return [random_scene(rng, f"scene {index}", frames=5, nodes=3, velocity=True) for index in range(count)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.sampled_from(["csv", "parquet"]), st.sampled_from([1, 10, 1000]))
def test_shuffled_rows_give_the_same_scenes(seed: int, count: int, kind: str, run: int) -> None:
    expected = {scene.scene: scene for scene in scenes_of(seed, count)}
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_external_sort, "RUN", run)
        patch.setattr(_external_sort, "BATCH", 4)
        path = Path(folder) / f"t.{kind}"
        write_trajectories(path, expected.values())
        shuffle(path, seed)
        found = list(FORMATS[kind].read(path, ReadOptions(unsorted=True)))
    assert len(found) == count
    for scene in found:
        order = [scene.node_ids.tolist().index(identity) for identity in expected[scene.scene].node_ids]
        assert_same_trajectory(_reordered(scene, order), expected[scene.scene])


def _reordered(scene: Trajectory, order: list[int]) -> Trajectory:
    """The scene with its nodes in another order."""
    fields = {
        name: replace(item, values=item.values[:, order] if item.per_frame else item.values[order])
        for name, item in scene.fields.items()
    }
    place = np.argsort(order)
    return replace(
        scene,
        positions=scene.positions[:, order],
        valid=scene.valid[:, order],
        node_ids=scene.node_ids[order],
        node_types=scene.node_types[order],
        edges=place[scene.edges],
        fields=fields,
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_scattered_rows_are_noticed_by_samples(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"t.{kind}"
    write_trajectories(path, scenes_of(0, 3))
    assert [scene.scene for scene in read_trajectories(path)] == ["scene 0", "scene 1", "scene 2"]
    shuffle(path, 0)
    assert {scene.scene for scene in read_trajectories(path)} == {"scene 0", "scene 1", "scene 2"}


def long_table(path: Path) -> Path:
    """A sorted table but for one row of the first scene at the end of a block that no sample sees."""
    rows = [f"s{scene},{frame},{node},{frame}.0,{node}.0" for scene in range(300) for frame in range(20) for node in range(10)]
    rows.insert(len(rows) // 50, "s0,20,0,20.0,0.0")
    path.write_text("# unit: m\nscene,time,node,x,y\n" + "\n".join(rows) + "\n")
    return path


def test_what_the_samples_miss_starts_the_ingest_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scattered, "SAMPLE", 1 << 9)
    path = long_table(tmp_path / "t.csv")
    with pytest.raises(ScatteredRowsError, match=r"scene 's0' goes on at line 1203 after another one began.*--unsorted"):
        list(read_trajectories(path))
    found: Dataset = ingest([path], tmp_path / "set")
    assert "sorted on disk now" in caplog.text
    assert found.manifest.counts == {"scenes": 300, "frames": 6001, "rows": 60001, "shards": 1}
    assert len(found.trajectory(0).time) == 21
    assert sorted(item.name for item in tmp_path.iterdir()) == ["set", "t.csv"]


def test_faults_are_named_by_their_line_in_the_unsorted_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("# unit: m\nscene,frame,id,x,y\na,0,1,1,2\nb,0,1,1,2\na,0,2,1,2\nb,0,2,1,2\na,0,1,3,3\n")
    with pytest.raises(DataError, match="line 7 repeats node"):
        list(read_trajectories(path, ReadOptions(rate=1)))


def test_sorting_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = long_table(tmp_path / "t.csv")
    options = IngestOptions(read=ReadOptions(unsorted=True))
    ingest([path], tmp_path / "set", options)
    reading = read_trajectories(path, options.read)
    next(reading)
    assert list((tmp_path / "tmp").iterdir())
    reading.close()  # type: ignore[attr-defined]
    assert not list((tmp_path / "tmp").iterdir())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab,\u00e9", max_size=5), max_size=30), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 40))
def test_blocks_are_whole_lines(lines: list[str], end: str, size: int) -> None:
    content = end.join(lines).encode()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        blocks = list(line_blocks(path, 0, size))
    assert b"".join(blocks) == content
    assert [line for block in blocks for line in block.decode().splitlines()] == content.decode().splitlines()


def test_any_block_size_reads_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = long_table(tmp_path / "t.csv")
    found = []
    for size in (1 << 12, 1 << 20):
        monkeypatch.setattr(csv_table, "READ", size)
        found.append(list(read_trajectories(path, ReadOptions(unsorted=True))))
    assert pacsv.read_csv(path, pacsv.ReadOptions(skip_rows=1)).num_rows == sum(int(scene.valid.sum()) for scene in found[0])
    for first, second in zip(*found, strict=True):
        assert_same_trajectory(first, second)
