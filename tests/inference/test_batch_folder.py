"""Folders of shards: done once, gone on with after a crash, brought up to date, here and elsewhere."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecasting.errors import DataError, PackageError, UsageError
from forecasting.inference.batch import Plan, forecasts, here
from forecasting.inference.job import Job
from forecasting.inference.pieces import DatasetPiece, FilePiece, UrlPiece, pieces_of, positions_in
from forecasting.inference.places import LocalPlace
from forecasting.inference.predictor import Predictor
from forecasting.inference.shard_folder import ShardFolder
from forecasting.packages.package import load_package, save_package
from forecasting.testing.scenes import random_dataset, random_scene
from forecasting.trajectories.dataset import build_dataset
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions
from forecasting.trajectories.reading import write_trajectories
from forecasting.trajectories.units import Unit

QUIET = {"note": lambda finding: None, "read": lambda count: None}


@pytest.fixture
def job(package, tmp_path):
    made, _ = package("constant_velocity")
    save_package(made, tmp_path / "package")
    return Job(str(tmp_path / "package"), IngestOptions(ReadOptions()), every=2, part=150)


@pytest.fixture
def files(tmp_path):
    """Three files, one of 7 scenes (several shards), one of a format in text."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name, count in (("a.parquet", 7), ("b.parquet", 1), ("c.csv", 2)):
        stem = name.partition(".")[0]
        scenes = [random_scene(rng, f"{stem}{index}", nodes=4) for index in range(count)]
        write_trajectories(tmp_path / "in" / name, scenes)
    return tmp_path / "in"


def predict(job, paths, folder, engine=here):
    plan = Plan.of(job, ShardFolder(folder), pieces_of(paths, job.read))
    return plan.run(engine)


def rows_of(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    names = [shard["name"] for one in manifest["inputs"] for shard in one["shards"]]
    assert sorted(names) == sorted(path.name for path in folder.glob("*.parquet"))
    return pa.concat_tables([pq.read_table(folder / name) for name in names])


def in_one_table(job, paths):
    batches = forecasts(job.predictor(), job, pieces_of(paths, job.read), QUIET["note"], QUIET["read"])
    return pa.concat_tables([batch.to_table() for batch in batches])


def test_shards_hold_the_rows_of_one_table(job, files, tmp_path):
    counts = predict(job, [files], tmp_path / "out")
    whole = in_one_table(job, [files])
    assert rows_of(tmp_path / "out").equals(whole)
    assert counts["rows"] == whole.num_rows
    assert (counts["inputs"], counts["done_now"]) == (3, 3)
    assert counts["shards"] == len(list((tmp_path / "out").glob("a-*.parquet"))) + 2 > 4
    assert not (tmp_path / "out" / "done").exists() or not list((tmp_path / "out" / "done").iterdir())


def new_input(job, files, name="d.parquet"):
    write_trajectories(files / name, [random_scene(np.random.default_rng(7), f"{name}0", nodes=3)])
    return job


def no_work(*about):
    raise AssertionError("there was nothing to do")


def test_nothing_is_done_twice(job, files, tmp_path, monkeypatch):
    first = predict(job, [files], tmp_path / "out")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")}
    monkeypatch.setattr(Predictor, "batches", no_work)
    again = predict(job, [files], tmp_path / "out")
    assert again == {**first, "done_now": 0}
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet")} == before


def changed_input(job, files):
    scenes = [random_scene(np.random.default_rng(9), "b0", nodes=3)]
    write_trajectories(files / "b.parquet", scenes)
    return job


def changed_input_of_the_same_size_and_time(job, files):
    path = files / "c.csv"
    about = path.stat()
    head, comma, last = path.read_text().rstrip("\n").rpartition(",")
    path.write_text(f"{head}{comma}{'1' * len(last)}\n"[: about.st_size].ljust(about.st_size, "\n"))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    return job


def changed_package(job, files):
    save_package(replace(load_package(job.package), card={"note": "trained anew"}), job.package)
    return job


CHANGES = {
    "input": (changed_input, 1),
    "input, same size and time": (changed_input_of_the_same_size_and_time, 1),
    "package": (changed_package, 3),
    "option": (lambda job, files: replace(job, every=3), 3),
    "new input": (new_input, 1),
    "input gone": (lambda job, files: (files / "a.parquet").unlink() or job, 0),
    "nothing but the time": (lambda job, files: os.utime(files / "a.parquet") or job, 0),
    "another computer's memory": (lambda job, files: replace(job, device="cpu:0"), 0),
}


@pytest.mark.parametrize(("change", "wanted"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_redoes_just_its_shards(job, files, tmp_path, change, wanted):
    predict(job, [files], tmp_path / "out")
    job = change(job, files)
    assert predict(job, [files], tmp_path / "out")["done_now"] == wanted
    assert rows_of(tmp_path / "out").equals(in_one_table(job, [files]))


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_damaged_shard_is_made_again(job, files, tmp_path, damage):
    predict(job, [files], tmp_path / "out")
    shard = next((tmp_path / "out").glob("b-*.parquet"))
    shard.unlink() if damage == "missing" else shard.write_bytes(shard.read_bytes()[:-100])
    assert predict(job, [files], tmp_path / "out")["done_now"] == 1
    assert rows_of(tmp_path / "out").equals(in_one_table(job, [files]))


def test_after_an_error_the_finished_part_stays(job, files, tmp_path, monkeypatch):
    (files / "b.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"b\.parquet"):
        predict(job, [files], tmp_path / "out")
    changed_input(job, files)
    assert predict(job, [files], tmp_path / "out")["done_now"] == 2
    assert rows_of(tmp_path / "out").equals(in_one_table(job, [files]))


KILLED = """
import os, signal, sys
from forecasting.inference import batch
from forecasting.inference.job import Job
from forecasting.inference.pieces import pieces_of
from forecasting.inference.shard_folder import ShardFolder
package, files, out, after = sys.argv[1:]
job = Job(package, every=2, part=150)
count = 0
def counted(function):
    def call(*arguments):
        global count
        count += 1
        if count == int(after):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call
ShardFolder.keep_shard = counted(ShardFolder.keep_shard)
ShardFolder.keep = counted(ShardFolder.keep)
ShardFolder.finish = counted(ShardFolder.finish)
batch.Plan.of(job, ShardFolder(out), pieces_of([files], job.read)).run(batch.here)
"""


@pytest.mark.parametrize("after", [2, 9])
def test_a_killed_run_is_completed_by_the_next(job, files, tmp_path, after):
    script = [sys.executable, "-c", KILLED, job.package, str(files), str(tmp_path / "out"), str(after)]
    assert subprocess.run(script, check=False, capture_output=True).returncode == -signal.SIGKILL
    there = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("a-*.parquet")}
    assert len(there) == min(after, 3)
    predict(job, [files], tmp_path / "out")
    assert rows_of(tmp_path / "out").equals(in_one_table(job, [files]))
    kept = [name for name, when in there.items() if (tmp_path / "out" / name).stat().st_mtime_ns == when]
    assert len(kept) >= len(there) - 1
    assert not list((tmp_path / "out").glob(".*"))


def test_a_folder_of_something_else_is_refused(job, files, tmp_path):
    with pytest.raises(UsageError, match="not shards of forecasts"):
        predict(job, [files], files)
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "manifest.json").write_text('{"version": 7}')
    with pytest.raises(UsageError, match="a manifest of something else"):
        predict(job, [files], tmp_path / "strange")


def test_inputs_without_a_future(job, tmp_path):
    scene = random_scene(np.random.default_rng(0), "s", frames=4, gaps=False)
    (tmp_path / "short").mkdir()
    cut = replace(scene, time=scene.time[:2], positions=scene.positions[:2], valid=scene.valid[:2], fields={
        name: replace(item, values=item.values[:2]) if item.per_frame else item for name, item in scene.fields.items()
    })  # fmt: skip
    write_trajectories(tmp_path / "short" / "a.parquet", [cut])
    with pytest.raises(DataError, match="nothing to forecast"):
        predict(job, [tmp_path / "short"], tmp_path / "out")
    write_trajectories(tmp_path / "short" / "b.parquet", [replace(scene, scene="t")])
    assert predict(job, [tmp_path / "short"], tmp_path / "out")["shards"] == 1
    assert predict(job, [tmp_path / "short"], tmp_path / "out")["done_now"] == 0


def test_places_elsewhere(job, files, tmp_path):
    system = fsspec.filesystem("memory")
    system.put(f"{files}/", "/days/", recursive=True)
    try:
        counts = predict(job, ["memory://days"], "memory://futures")
        assert (counts["inputs"], counts["done_now"]) == (3, 3)
        assert predict(job, ["memory://days"], "memory://futures")["done_now"] == 0
        new_input(job, files, "a.parquet")
        system.put(str(files / "a.parquet"), "/days/a.parquet")
        assert predict(job, ["memory://days"], "memory://futures")["done_now"] == 1
        system.get("/futures/", str(tmp_path / "copied"), recursive=True)
        assert rows_of(tmp_path / "copied").equals(in_one_table(job, [files]))
    finally:
        system.rm("/", recursive=True)
    with pytest.raises(UsageError, match="magic"):
        ShardFolder("magic://there")


def test_a_data_set_is_cut_into_pieces(job, tmp_path, monkeypatch):
    monkeypatch.setattr("forecasting.inference.pieces.POSITIONS", 100)
    dataset = random_dataset(tmp_path / "set")
    pieces = pieces_of([dataset.folder], job.read)
    assert all(isinstance(piece, DatasetPiece) for piece in pieces)
    assert [(one.first, one.last) for one in pieces] == [(0, 2), (2, 4), (4, 6)]
    assert positions_in(pieces, job.read.read) == pytest.approx(dataset.manifest.counts["rows"], abs=3)
    predict(job, [dataset.folder], tmp_path / "out")
    assert rows_of(tmp_path / "out").equals(in_one_table(job, [dataset.folder]))


STORED = {
    "as it is": (lambda job: job, True),
    "the last frame": (lambda job: replace(job, every=None), True),
    "fields to be chosen": (lambda job: replace(job, read=replace(job.read, fields=("charge", "heading"))), False),
}


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize(("change", "direct"), STORED.values(), ids=STORED.keys())
def test_scenes_of_a_data_set_are_forecast_from_its_arrays(job, tmp_path, monkeypatch, change, direct, integers):
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng, f"s{index}", nodes=1 + index % 3, types=("b", "a")) for index in range(5)]
    scenes = [replace(one, unit=Unit("m", (2.0, 0.5, 4.0)) if index > 2 else one.unit) for index, one in enumerate(scenes)]
    if not integers:
        scenes = [replace(one, node_ids=np.array([f"p{name}" for name in one.node_ids])) for one in scenes]
    folder = build_dataset(scenes, tmp_path / "set").folder
    job = change(job)
    predictor, pieces = job.predictor(), pieces_of([folder], job.read)
    whole = [one for piece in pieces for one in predictor.trajectories(piece.scenes(job.read), job.anchors())]
    if direct:
        monkeypatch.setattr(Predictor, "batches", no_work)
    found = [one for batch in forecasts(predictor, job, pieces, **QUIET) for one in batch]
    assert len(found) == len(whole) > 4
    for one, other in zip(found, whole, strict=True):
        assert (one.scene, one.unit, one.frame, one.source) == (other.scene, other.unit, other.frame, other.source)
        assert one.to_table().equals(other.to_table())


def test_a_data_set_of_another_unit_is_converted(job, tmp_path):
    scenes = [random_scene(np.random.default_rng(3), "s").in_unit("cm")]
    folder = build_dataset(scenes, tmp_path / "set").folder
    (batch,) = forecasts(job.predictor(), job, pieces_of([folder], job.read), **QUIET)
    assert batch.unit.name == "cm"


def test_how_much_there_is_to_read(job, files):
    pieces = pieces_of([files], job.read)
    assert [piece.name for piece in pieces] == [str(files / name) for name in ("a.parquet", "b.parquet", "c.csv")]
    exact = [pq.read_metadata(files / "a.parquet").num_rows, pq.read_metadata(files / "b.parquet").num_rows]
    assert positions_in(pieces[:2], job.read.read) == sum(exact)
    lines = len((files / "c.csv").read_text().splitlines())
    assert positions_in(pieces[2:], job.read.read) == pytest.approx(lines, rel=0.1)
    assert positions_in([FilePiece(files, "npz")], job.read.read) is None


def test_what_belongs_to_a_file_counts(tmp_path):
    (tmp_path / "walk.amc").write_text("1\nroot 0 0 0 0 0 0\n")
    (tmp_path / "walk.asf").write_text("one")
    (tmp_path / "loc_test_a.npy").write_text("places")
    (tmp_path / "vel_test_a.npy").write_text("speeds")
    long_ago(tmp_path)
    for piece, beside in (
        (FilePiece(tmp_path / "walk.amc", "amc"), "walk.asf"),
        (FilePiece(tmp_path / "loc_test_a.npy", "egnn"), "vel_test_a.npy"),
    ):
        token, content = piece.token(), piece.content()
        assert token == piece.token() != ""
        (tmp_path / beside).write_text("something else")
        assert piece.token() == "", "what has just changed could change again"
        long_ago(tmp_path)
        assert (piece.token() != token, piece.content() != content) == (True, True)


def long_ago(folder):
    for path in folder.iterdir():
        os.utime(path, (1e9, 1e9))


def test_content_that_was_looked_at_once_is_not_looked_at_again(job, files, tmp_path, monkeypatch):
    predict(job, [files], tmp_path / "out")
    long_ago(files)
    predict(job, [files], tmp_path / "out")
    monkeypatch.setattr(FilePiece, "content", no_work)
    assert predict(job, [files], tmp_path / "out")["done_now"] == 0


def test_what_another_run_left_does_not_stay(job, files, tmp_path, monkeypatch):
    predict(job, [files], tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(ShardFolder, "finish", lambda *about: None)
        predict(replace(job, every=3), [files], tmp_path / "out")
    assert predict(job, [files], tmp_path / "out")["done_now"] == 0
    assert rows_of(tmp_path / "out").equals(in_one_table(job, [files]))


def test_another_version_of_the_program_does_all_anew(job, files, tmp_path, monkeypatch):
    predict(job, [files], tmp_path / "out")
    monkeypatch.setattr("forecasting.inference.job.__version__", "another")
    assert predict(job, [files], tmp_path / "out")["done_now"] == 3


@pytest.mark.parametrize(
    ("about", "tells"),
    [
        ({"size": 5}, False),
        ({"size": 5, "ETag": None}, False),
        ({"size": 5, "Last-Modified": "Mon"}, True),
        ({"size": 5, "created": 1.5}, True),
    ],
)
def test_what_tells_that_a_url_has_changed(monkeypatch, about, tells):
    """A size alone tells nothing; of a folder, the files in it tell."""

    class System:
        def info(self, path):
            return {"type": "file", **about} if path == "file" else {"type": "directory", "size": 0, "created": 1}

        def find(self, path, detail):
            return {"one": about, "two": about}

    monkeypatch.setattr("forecasting.inference.pieces.file_system", lambda url: (System(), url))
    for name in ("file", "folder"):
        token = UrlPiece(name).token()
        assert bool(token) == tells
        about["size"] = 6
        assert (UrlPiece(name).token() != token) == tells
        about["size"] = 5


def test_two_runs_do_not_share_a_folder(tmp_path):
    folder = LocalPlace(tmp_path / "out")
    with (
        folder.alone(),
        pytest.raises(UsageError, match="another forecast predict is at work"),
        LocalPlace(tmp_path / "out").alone(),
    ):
        pass
    with folder.alone():
        assert not list((tmp_path / "out").iterdir())


def test_what_a_job_refuses(tmp_path):
    with pytest.raises(UsageError, match="--every must be at least 1"):
        Job("p", every=0)
    with pytest.raises(UsageError, match="--shard-positions must be at least 1"):
        Job("p", part=0)
    with pytest.raises(PackageError, match="not a model package"):
        Job(str(tmp_path)).about()
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(PackageError, match="damaged"):
        Job(str(tmp_path)).fallback()
