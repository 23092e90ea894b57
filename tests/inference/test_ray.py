"""Workers of Ray make the shards that this process makes, also where one of them is killed."""

import os
import re
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.inference._ray import Ray
from forecasting.inference.batch import Plan, here
from forecasting.inference.job import Job
from forecasting.inference.pieces import pieces_of
from forecasting.inference.shard_folder import ShardFolder
from forecasting.numerics import configure
from forecasting.packages.package import save_package
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.reading import write_trajectories

FILES, SCENES, FRAMES = 6, 20, 300


@pytest.fixture
def job(package, tmp_path):
    made, _ = package("egnn", {"hidden": 32})
    save_package(made, tmp_path / "package")
    return Job(str(tmp_path / "package"), every=1, part=15_000)


@pytest.fixture
def files(tmp_path):
    pytest.importorskip("ray.data")
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(FILES):
        scenes = [random_scene(rng, f"{number}/{index}", frames=FRAMES, nodes=5) for index in range(SCENES)]
        write_trajectories(tmp_path / "in" / f"{number}.parquet", scenes)
    return tmp_path / "in"


def predict(job, files, folder, engine, **told):
    return Plan.of(job, ShardFolder(folder), pieces_of([files], job.read)).run(engine, **told)


def rows_of(folder):
    table = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])
    return table.sort_by([(name, "ascending") for name in ("scene", "anchor_time", "node", "step")])


def workers():
    """Actors that descend from this process."""
    parents, titles = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int(re.search(r"PPid:\s+(\d+)", (path / "status").read_text())[1])
            titles[int(path.name)] = (path / "cmdline").read_bytes().decode(errors="replace")
        except (OSError, TypeError):
            continue

    def ours(process):
        while process in parents and process != os.getpid():
            process = parents[process]
        return process == os.getpid()

    return [process for process, title in titles.items() if title.startswith("ray::") and "Worker" in title and ours(process)]


@pytest.mark.slow
def test_rows_are_equal_and_a_killed_worker_loses_and_duplicates_nothing(job, files, tmp_path):
    configure()
    expected = predict(job, files, tmp_path / "local", here)
    killed = []

    def kill():
        while not list((tmp_path / "ray").glob("*.parquet")):
            time.sleep(0.02)
        killed.append(workers()[0])
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    read = []
    counts = predict(job, files, tmp_path / "ray", Ray(workers=2), read=read.append)
    thread.join(timeout=10)
    assert killed
    assert counts == expected
    assert counts["shards"] > FILES
    assert sum(read) == FILES * SCENES * FRAMES * 5
    local, ray = rows_of(tmp_path / "local"), rows_of(tmp_path / "ray")
    assert ray.drop(["x", "y", "z"]).equals(local.drop(["x", "y", "z"]))
    for axis in "xyz":
        np.testing.assert_allclose(ray[axis].to_numpy(), local[axis].to_numpy(), rtol=1e-6)
    assert predict(job, files, tmp_path / "ray", here)["done_now"] == 0
    (files / "3.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"3\.parquet"):
        predict(job, files, tmp_path / "ray", Ray(workers=1))


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"forecasting\[scale\]"):
        Ray()


def test_what_ray_refuses(job):
    pytest.importorskip("ray.data")
    with pytest.raises(UsageError, match="--workers must not be negative"):
        Ray(workers=-1)
    assert list(Ray()(replace(job), None, (), print, print)) == []
