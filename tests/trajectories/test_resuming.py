"""An ingest that is stopped goes on where it stopped, and ends with the same data set."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.scenes import random_scene
from forecasting.trajectories import shards
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, ingest
from forecasting.trajectories.reading import write_trajectories
from forecasting.trajectories.unfinished import unfinished_folder

MASKED = IngestOptions(read=ReadOptions(on_error="mask"))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 200)
    rng = np.random.default_rng(0)
    for index, name in enumerate(("first.parquet", "second.csv")):
        scenes = [random_scene(rng, f"{index}-{number}") for number in range(12)]
        scenes[5].positions[3, 0] = 1e9
        write_trajectories(tmp_path / name, scenes)
    return [tmp_path / "first.parquet", tmp_path / "second.csv"]


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def _ingest_until(rows: int, files: list[Path], folder: Path) -> None:
    def progress(done: int) -> None:
        if done >= rows:
            os._exit(9)

    ingest(files, folder, MASKED, progress=progress)


def killed(files: list[Path], folder: Path, rows: int) -> None:
    """Ingest in a process that dies, without a word, after so many rows."""
    process = multiprocessing.get_context("fork").Process(target=_ingest_until, args=(rows, files, folder))
    process.start()
    process.join()
    assert process.exitcode == 9


@pytest.mark.parametrize("rows", [1, 600, 1100])
def test_killed_and_asked_again(files: list[Path], tmp_path: Path, rows: int, caplog: pytest.LogCaptureFixture) -> None:
    whole = ingest(files, tmp_path / "whole", MASKED)
    assert whole.manifest.counts["shards"] > 5
    killed(files, tmp_path / "again", rows)
    assert not (tmp_path / "again").exists()
    again = ingest(files, tmp_path / "again", MASKED)
    assert ("going on behind scene" in caplog.text) == (rows > 1)
    assert tables(again.folder) == tables(whole.folder)
    assert again.manifest == whole.manifest
    assert whole.manifest.provenance["findings_count"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "first.parquet", "second.csv", "whole"]


def test_killed_twice(files: list[Path], tmp_path: Path) -> None:
    killed(files, tmp_path / "set", 500)
    killed(files, tmp_path / "set", 1200)
    assert tables(ingest(files, tmp_path / "set", MASKED).folder) == tables(ingest(files, tmp_path / "whole", MASKED).folder)


def test_a_changed_file_begins_anew(files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed(files, tmp_path / "set", 600)
    write_trajectories(files[0], [random_scene(np.random.default_rng(1), "other")])
    found = ingest(files, tmp_path / "set", MASKED)
    assert "going on" not in caplog.text
    assert found.scenes[0] == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.parquet", "second.csv", "set"]


def test_every_scene_is_found_in_its_shard(files: list[Path], tmp_path: Path) -> None:
    found = ingest(files, tmp_path / "set", MASKED)
    names = [f"{file}-{number}" for file in range(2) for number in range(12)]
    assert list(found.scenes) == names
    assert [found.trajectory(index).scene for index in range(24)] == names
    assert found.trajectory(14).valid.shape == (14, 5)


def test_one_at_a_time(tmp_path: Path) -> None:
    with unfinished_folder(tmp_path / "set", "key") as work:
        (work / "part").write_text("x")
        with (
            pytest.raises(UsageError, match="another process is making it"),
            unfinished_folder(tmp_path / "set", "key"),
        ):
            pass
        with unfinished_folder(tmp_path / "set", "other"):
            pass
        assert work.exists()


def _interrupted(target: Path) -> None:
    with unfinished_folder(target, "key") as work:
        (work / "part").write_text("x")
        raise KeyboardInterrupt


def test_an_error_leaves_nothing_and_an_interruption_keeps_what_was_done(tmp_path: Path) -> None:
    with pytest.raises(DataError), unfinished_folder(tmp_path / "set", "key") as work:
        raise DataError("no")
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "set")
    with unfinished_folder(tmp_path / "set", "key") as work:
        assert (work / "part").read_text() == "x"
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["part"]


def test_a_finished_set_is_replaced_only_when_the_new_one_is_whole(files: list[Path], tmp_path: Path) -> None:
    before = tables(ingest(files[:1], tmp_path / "set", MASKED).folder)
    killed(files, tmp_path / "set", 600)
    assert tables(Dataset(tmp_path / "set").folder) == before
    assert ingest(files, tmp_path / "set", MASKED).manifest.counts["scenes"] == 24
