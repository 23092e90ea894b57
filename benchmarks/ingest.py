"""Rows per second and peak memory from a table file to a finished data set.

    python benchmarks/ingest.py --rows 1e6 1e7 5e7 --kind csv parquet --order sorted
    python benchmarks/ingest.py --rows 1e7 --order shuffled

Every run is a fresh `forecast ingest` of a file of its own; the rate counts from the start of reading to the finished
folder, without the start of Python (printed beside it); the memory is the peak of the whole process.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

NODES, FRAMES = 50, 200
BLOCK = 100
"""Scenes made at a time."""


def tables(rows: int) -> Iterator[pa.Table]:
    """Walks of 50 nodes over 200 frames in space, to 0.1 mm, scene by scene, a block of 100 scenes at a time."""
    rng = np.random.default_rng(0)
    per_scene = NODES * FRAMES
    scenes = max(rows // per_scene, 1)
    names = pa.array([f"scene-{index:06d}" for index in range(scenes)])
    for start in range(0, scenes, BLOCK):
        count = min(BLOCK, scenes - start)
        walk = rng.normal(scale=0.05, size=(count, FRAMES, NODES, 3)).cumsum(axis=1).round(4).reshape(-1, 3)
        scene = np.repeat(np.arange(start, start + count, dtype=np.int32), per_scene)
        columns = {
            "scene": pa.DictionaryArray.from_arrays(pa.array(scene), names),
            "time": np.tile(np.repeat(np.arange(FRAMES) * 0.1, NODES).round(1), count),
            "node": np.tile(np.arange(NODES), count * FRAMES),
        }
        yield pa.table({**columns, **{axis: walk[:, index] for index, axis in enumerate("xyz")}})


def transposed(rows: int) -> Iterator[pa.Table]:
    """Rows ordered by time over all scenes, as a logger of many scenes at once writes them: nothing is where it belongs."""
    scenes = max(rows // (NODES * FRAMES), 1)
    rng = np.random.default_rng(0)
    names = pa.array([f"scene-{index:06d}" for index in range(scenes)])
    at = np.zeros((scenes, NODES, 3))
    scene, node = np.divmod(np.arange(scenes * NODES), NODES)
    for frame in range(FRAMES):
        at = (at + rng.normal(scale=0.05, size=at.shape)).round(4)
        mixed = rng.permutation(len(scene))
        flat = at.reshape(-1, 3)[mixed]
        columns = {
            "scene": pa.DictionaryArray.from_arrays(pa.array(scene[mixed].astype(np.int32)), names),
            "time": np.full(len(scene), round(frame * 0.1, 1)),
            "node": node[mixed],
        }
        yield pa.table({**columns, **{axis: flat[:, index] for index, axis in enumerate("xyz")}})


def write(path: Path, kind: str, parts: Iterator[pa.Table]) -> None:
    """Write the table as CSV or Parquet."""
    writer = None
    for part in parts:
        if kind == "csv":
            table = part.set_column(0, "scene", part["scene"].cast(pa.string()))
            writer = writer or pacsv.CSVWriter(path, table.schema, write_options=pacsv.WriteOptions(quoting_style="none"))
            writer.write(table)
        else:
            writer = writer or pq.ParquetWriter(path, part.schema, compression="zstd")
            writer.write_table(part, row_group_size=1 << 20)
    if writer:
        writer.close()


def make(path: Path, kind: str, rows: int, order: str) -> None:
    """Write a table of so many rows in this order."""
    write(path, kind, tables(rows) if order == "sorted" else transposed(rows))


def ingest(path: Path, folder: Path) -> dict[str, float]:
    """Seconds, start-up seconds and peak memory [MiB] of one ingest in a process of its own."""
    command = [sys.executable, "-m", "forecasting.cli.main", "ingest", str(path), "-o", str(folder), "--unit", "m", "--up", "z"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()  # type: ignore[union-attr]
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(errors)
    return {"seconds": seconds, "rows": json.loads(output)["rows"], "peak": usage.ru_maxrss / 1024}


def startup() -> float:
    """Seconds from nothing to the imports of an ingest."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import forecasting.trajectories.ingest"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Make each file, ingest it, print a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6])
    parser.add_argument("--kind", nargs="+", default=["csv", "parquet"])
    parser.add_argument("--order", default="sorted", choices=("sorted", "shuffled"))
    parser.add_argument("--folder", type=Path, help="for the files (default: a temporary one)")
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    print(f"start-up {startup():.2f} s")
    print("kind      order         rows   file MB   seconds   M rows/s   peak MiB")
    for kind in options.kind:
        for rows in map(int, options.rows):
            path = folder / f"{options.order}-{rows}.{kind}"
            maker = multiprocessing.get_context("spawn").Process(target=make, args=(path, kind, rows, options.order))
            maker.start()  # in a process of its own: a child's peak memory counts what its parent had
            maker.join()
            for _ in range(options.repeat):
                found = ingest(path, folder / "set")
                rate = found["rows"] / found["seconds"] / 1e6
                size = path.stat().st_size / 1e6
                print(
                    f"{kind:<9} {options.order:<9} {rows:>8.1e} {size:>9.0f} {found['seconds']:>9.2f} {rate:>10.2f} "
                    f"{found['peak']:>10.0f}",
                    flush=True,
                )
                shutil.rmtree(folder / "set")
            path.unlink()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
