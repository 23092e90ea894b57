"""`forecast predict` into a folder: done once, said plainly, from and to other places."""

import json
import subprocess
import sys

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecasting.cli.main import main
from forecasting.packages.package import save_package
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.reading import write_trajectories


@pytest.fixture
def made(package, tmp_path):
    save_package(package("constant_velocity")[0], tmp_path / "package")
    rng = np.random.default_rng(0)
    (tmp_path / "days").mkdir()
    for name in ("monday", "tuesday"):
        scenes = [random_scene(rng, f"{name}-{index}", nodes=4) for index in range(3)]
        write_trajectories(tmp_path / "days" / f"{name}.parquet", scenes)
    return str(tmp_path / "package"), tmp_path / "days"


def result(capsys, *words):
    code = main(["predict", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_a_folder_and_a_file_hold_the_same_rows(made, tmp_path, capsys):
    package, days = made
    code, counts, _ = result(capsys, package, days, "-o", f"{tmp_path}/out/", "--every", 2, "--shard-positions", 60)
    assert (code, counts["inputs"], counts["done_now"]) == (0, 2, 2)
    assert counts["shards"] > 2
    code, file, _ = result(capsys, package, days, "-o", tmp_path / "out.parquet", "--every", 2)
    assert (file["forecasts"], file["rows"]) == (counts["forecasts"], counts["rows"])
    tables = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))])
    assert tables.sort_by("scene").equals(pq.read_table(tmp_path / "out.parquet").sort_by("scene"))
    code, again, said = result(capsys, package, days, "-o", tmp_path / "out", "--every", 2, "--shard-positions", 60)
    assert (code, again) == (0, {**counts, "output": str(tmp_path / "out"), "done_now": 0})
    assert "2 of 2 inputs are done already" in said
    assert main(["predict", package, str(days), "-o", f"{tmp_path}/out/", "--every", "2", "--shard-positions", "60"]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_nothing_to_do_needs_no_torch(made, tmp_path):
    package, days = made
    words = ["predict", package, str(days), "-o", f"{tmp_path}/out/"]
    assert main(words) == 0
    ending = "sys.exit(code or 9 * ('torch' in sys.modules))"
    script = f"import sys; from forecasting.cli.main import main; code = main({words!r}); {ending}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "nothing to do" in done.stdout) == (0, True), done.stderr


def test_elsewhere(made, tmp_path, capsys):
    package, days = made
    system = fsspec.filesystem("memory")
    system.put(f"{days}/", "/days/", recursive=True)
    try:
        code, counts, _ = result(capsys, package, "memory://days", "-o", "memory://futures/")
        assert (code, counts["shards"]) == (0, 2)
        assert len(system.glob("/futures/*.parquet")) == 2
        assert result(capsys, package, "memory://days/monday.parquet", "-o", tmp_path / "m.parquet")[1]["forecasts"] == 3
    finally:
        system.rm("/", recursive=True)


REFUSED = {
    "ray into one file": (["-o", "{out}.parquet", "--engine", "ray"], "end the output with /"),
    "a format in a folder": (["-o", "{out}/", "--output-format", "csv"], "leave --output-format out"),
    "no positions": (["-o", "{out}/", "--shard-positions", "0"], "--shard-positions must be at least 1"),
    "every": (["-o", "{out}/", "--every", "0"], "--every must be at least 1"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_go_together_is_said(made, tmp_path, capsys, words, message):
    package, days = made
    code = main(["predict", package, str(days), *(word.format(out=tmp_path / "new") for word in words)])
    assert code == 2
    assert message in capsys.readouterr().err
