"""Files behind URLs."""

import zipfile
from pathlib import Path

import fsspec
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, ingest
from forecasting.trajectories.reading import read_trajectories

TABLE = b"time,node,x,y\n" + b"".join(b"%.1f,%d,%d,0.%d\n" % (t / 10, n, n, t) for t in range(9) for n in (1, 2))
METRES = ReadOptions(unit="m")


@pytest.fixture
def store() -> fsspec.AbstractFileSystem:
    system = fsspec.filesystem("memory")
    system.pipe({"/walks/a.csv": TABLE, "/walks/deep/b.csv": TABLE, "/walks/README.md": b"# Walks"})
    yield system
    system.rm("/walks", recursive=True)


def test_one_file(store: fsspec.AbstractFileSystem) -> None:
    (scene,) = read_trajectories("memory://walks/a.csv", METRES)
    assert (scene.scene, scene.positions.shape) == ("a", (9, 2, 2))
    assert scene.source.path == "memory://walks/a.csv"


def test_a_folder_beside_a_local_file(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(TABLE)
    scenes = list(read_trajectories(["memory://walks", tmp_path / "c.csv"], METRES))
    assert [scene.source.path for scene in scenes] == [
        "memory://walks/a.csv",
        "memory://walks/deep/b.csv",
        str(tmp_path / "c.csv"),
    ]


def test_a_member_of_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("in/a.csv", TABLE)
    (scene,) = read_trajectories(f"zip://in/a.csv::{tmp_path}/all.zip", METRES)
    assert scene.scene == "a"


def test_provenance_names_the_url(store: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    found = ingest(["memory://walks"], tmp_path / "set", IngestOptions(read=METRES))
    files = found.manifest.provenance["files"]
    assert [item["path"] for item in files] == [
        "memory://walks/README.md",
        "memory://walks/a.csv",
        "memory://walks/deep/b.csv",
    ]


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("memory://walks/none.csv", DataError, "no such file or folder"),
        ("nowhere://walks/a.csv", UsageError, "nowhere"),
        ("zip://a.csv::/absent.zip", DataError, "no such file"),
    ],
)
def test_what_cannot_be_opened(store: fsspec.AbstractFileSystem, url: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        list(read_trajectories(url, METRES))
    assert "\n" not in str(caught.value)
