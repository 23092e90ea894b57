import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import assert_same_trajectory
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.reading import read_trajectories, sniff, write_trajectories

SCENES = [random_scene(np.random.default_rng(0), "a"), random_scene(np.random.default_rng(1), "b")]
ETH = "0 1 1.0 2.0\n10 1 1.5 2.0\n"


def names(paths: object, options: ReadOptions | None = None, format: str = "") -> list[str]:
    return [scene.scene for scene in read_trajectories(paths, options, format)]  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_the_suffix_chooses_what_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    write_trajectories(path, SCENES)
    assert sniff(path).name == suffix
    for found, expected in zip(read_trajectories(path), SCENES, strict=True):
        assert_same_trajectory(found, expected)


def test_format_overrides_the_suffix(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "out.dat", SCENES, format="parquet")
    assert sniff(tmp_path / "out.dat").name == "parquet"
    with pytest.raises(UsageError, match=r"'\.dat' names no format that can be written"):
        write_trajectories(tmp_path / "other.dat", SCENES)
    with pytest.raises(UsageError, match="unknown format 'parkuet'; did you mean 'parquet'"):
        write_trajectories(tmp_path / "other.dat", SCENES, format="parkuet")
    with pytest.raises(UsageError, match="read only"):
        write_trajectories(tmp_path / "other.txt", SCENES, format="eth_ucy")


def test_wide_means_a_wide_table(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(DataError, match="no known format"):
        names(tmp_path / "p.csv")
    with pytest.raises(UsageError, match="stands nowhere"):
        names(tmp_path / "p.csv", ReadOptions(unit="m", rate=1, wide=("x0", "y0")))
    (tmp_path / "p.csv").write_text("left_x,left_y\n1,2\n3,4\n")
    assert names(tmp_path / "p.csv", ReadOptions(unit="m", rate=1, wide=("left_x", "left_y"))) == ["p"]


def test_folders_are_read_in_order_and_others_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b.txt", "a.txt", "deeper/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(ETH)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".hidden").write_text(ETH)
    (tmp_path / "strange.json").write_text("{}")
    with caplog.at_level(logging.INFO):
        assert names(tmp_path) == ["a", "b", "c"]
    assert {Path(record.args[0].args[0].split(":")[0]).name: record.levelname for record in caplog.records} == {
        "README.md": "INFO",
        "strange.json": "WARNING",
    }


def test_a_format_chosen_for_a_folder_reads_its_suffixes(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(ETH)
    (tmp_path / "notes.md").write_text("about")
    assert names(tmp_path, format="eth_ucy") == ["a"]
    with pytest.raises(DataError, match="no npz file in this folder"):
        names(tmp_path, format="npz")


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file of a known format"):
        names(tmp_path)
    with pytest.raises(DataError, match="no such file or folder"):
        names(tmp_path / "absent")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DataError, match="the file is empty"):
        names(tmp_path / "empty.csv")


def test_refusals_name_what_was_tried(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataError) as caught:
        sniff(tmp_path / "a.json")
    assert all(name in str(caught.value) for name in (*FORMATS.names(), "--format"))


def test_scenes_of_one_name_are_told_apart_by_file(tmp_path: Path) -> None:
    for stem in ("first", "second"):
        write_trajectories(tmp_path / f"{stem}.npz", SCENES)
    assert names([tmp_path / "first.npz", tmp_path / "second.npz"]) == ["a", "b", "second/a", "second/b"]
    (tmp_path / "more").mkdir()
    write_trajectories(tmp_path / "more" / "second.npz", SCENES)
    with pytest.raises(DataError, match="scene 'second/a' exists already"):
        names([tmp_path / "first.npz", tmp_path / "second.npz", tmp_path / "more" / "second.npz"])


def test_a_file_named_twice(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "a.npz", SCENES)
    with pytest.raises(UsageError, match="named twice"):
        names([tmp_path / "a.npz", tmp_path / "." / "a.npz"])


def test_one_scene_of_one_name_in_a_file(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "a.npz", [SCENES[0], replace(SCENES[1], scene="a")])
    assert names(tmp_path / "a.npz") == ["a", "a/a"]
