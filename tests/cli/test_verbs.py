"""The program as a person or another program drives it, from files to forecasts."""

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from forecasting.cli.main import VERBS, main
from forecasting.packages import load_package
from forecasting.trajectories.reading import read_trajectories

SMALL = ["model.arguments.hidden=6", "model.arguments.layers=2", "training.epochs=2", "training.batch_size=16"]


@pytest.fixture
def tracks(tmp_path):
    """Six walkers on straight lines with a wiggle, as a table in centimetres."""
    rng = np.random.default_rng(0)
    time_, walkers = np.arange(200) * 0.4, range(6)
    start, slope = rng.uniform(-500, 500, (2, 6, 2))
    rows = ["scene,time,node,x,y"]
    for scene in ("morning", "evening"):
        for t in time_:
            for walker in walkers:
                x, y = start[walker] + slope[walker] / 5 * t + 10 * np.sin(t + walker)
                rows.append(f"{scene},{t:.1f},{walker + 100},{x:.6f},{y:.6f}")
    path = tmp_path / "tracks.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def trained(tracks, tmp_path, capsys):
    run = tmp_path / "run"
    code, result, _ = call(
        capsys,
        "train",
        f"data.path={tracks}",
        "data.read.unit=cm",
        f"data_root={tmp_path / 'sets'}",
        f"run={run}",
        *SMALL,
    )
    assert code == 0
    assert result["stopped"] == "finished"
    return run


def call(capsys, *arguments):
    """Run a verb with --json; returns exit code, the one object on standard output, and standard error."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_help_is_quick_and_complete():
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "forecasting.cli.main", "--help"], capture_output=True, text=True, check=True)
    assert time.monotonic() - start < 1.0
    for verb in VERBS:
        assert f"\n    {verb} " in done.stdout
        assert (
            "forecast " + verb
            in subprocess.run(
                [sys.executable, "-m", "forecasting.cli.main", verb, "--help"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )


def test_train_predict_evaluate_on_a_table(tracks, trained, tmp_path, capsys):
    out = tmp_path / "future.parquet"
    code, result, err = call(capsys, "predict", trained, tracks, "-o", out)
    assert code == 0
    assert result == {"output": str(out), "forecasts": 2, "rows": 2 * 6 * 12}
    assert "the package's is taken: cm" in err
    table = pq.read_table(out)
    assert set(table["node"].to_pylist()) == {100, 101, 102, 103, 104, 105}
    assert set(table["scene"].to_pylist()) == {"morning", "evening"}
    assert table.schema.metadata[b"unit"] == b"cm"
    back = tmp_path / "future.ndjson"
    assert call(capsys, "predict", trained, tracks, "-o", back)[0] == 2  # centimetres, which TrajNet++ cannot hold
    assert not back.exists()
    code, result, _ = call(capsys, "predict", trained, tracks, "-o", tmp_path / "out.dat", "--output-format", "same")
    assert result == {"output": str(tmp_path / "out.dat"), "forecasts": 2, "rows": 2 * 6 * 12}
    assert [scene.scene for scene in read_trajectories(tmp_path / "out.dat")] == ["morning", "evening"]
    last = 199 * 0.4
    np.testing.assert_allclose(sorted(set(table["time"].to_pylist())), last + 0.4 * np.arange(1, 13))
    report = tmp_path / "report"
    code, result, _ = call(
        capsys, "evaluate", trained, tracks, "--unit", "cm", "--data-root", tmp_path / "sets", "--report", report
    )
    assert code == 0
    assert set(result["copies"]) == {"yaw", "translated", "mirrored"}
    assert all(copy["residual"] < 1e-5 for copy in result["copies"].values())
    for copy in result["copies"].values():
        assert copy["mse"] == pytest.approx(result["plain"]["mse"], rel=1e-4)
    assert set(result["baselines"]) == {"static", "constant_velocity", "mean_velocity"}
    page = (report / "report.html").read_text()
    assert "could not be drawn" not in page
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", page)  # nothing is fetched; names of SVG's vocabulary stay
    assert json.loads((report / "report.json").read_text())["plain"]["mse"] == result["plain"]["mse"]


def test_a_file_in_metres_is_forecast_in_metres(tracks, trained, tmp_path, capsys):
    header, *rows = tracks.read_text().splitlines()
    metres = tmp_path / "metres.csv"
    scaled = (row.split(",") for row in rows)
    metres.write_text(
        "\n".join([header, *(f"{s},{t},{n},{float(x) / 100:.10f},{float(y) / 100:.10f}" for s, t, n, x, y in scaled)])
    )
    call(capsys, "predict", trained, tracks, "-o", tmp_path / "cm.parquet")
    call(capsys, "predict", trained, metres, "--unit", "m", "-o", tmp_path / "m.parquet")
    one, two = (pq.read_table(tmp_path / f"{unit}.parquet") for unit in ("cm", "m"))
    np.testing.assert_allclose(two["x"].to_numpy() * 100, one["x"].to_numpy(), atol=1e-3)
    assert two.schema.metadata[b"unit"] == b"m"


def test_ingest_inspect_and_the_ways_in(tracks, tmp_path, capsys):
    code, result, _ = call(capsys, "ingest", tracks, "-o", tmp_path / "set", "--unit", "cm")
    assert (code, result["scenes"], result["rows"]) == (0, 2, 2400)
    code, inspected, _ = call(capsys, "inspect", tmp_path / "set", "--picture", tmp_path / "a.png", "--scene", "evening")
    assert inspected["total"]["positions"] == 2400
    assert inspected["scenes"][0]["rate"] == pytest.approx(2.5)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    code, again, _ = call(capsys, "inspect", tracks, "--unit", "cm")
    assert again["scenes"][0]["speed"] == pytest.approx(inspected["scenes"][0]["speed"])


def test_simulate_declares_its_symmetry(tmp_path, capsys):
    arguments = [
        "simulate",
        "nbody_charged_clean",
        "-o",
        tmp_path / "w",
        "--train",
        "3",
        "--test",
        "2",
        "--set",
        "steps=301",
    ]
    code, result, _ = call(capsys, *arguments)
    assert (code, result["scenes"], result["frames"]) == (0, 5, 15)
    assert result["symmetry"] == "O(3), translations"


def test_doctor_knows_everything(capsys):
    code, result, _ = call(capsys, "doctor")
    assert code == 0
    assert result["arithmetic"]["product_error"] <= 1e-6
    assert {"csv", "parquet", "npz", "eth_ucy", "juelich", "cmu_npz", "egnn", "wide_csv"} <= set(result["formats"])
    assert "missing" not in result["versions"].values()


def test_inspect_a_package(trained, capsys):
    code, card, _ = call(capsys, "inspect", trained)
    assert (code, card["model"], card["unit"], card["history"]) == (0, "egnn", "cm", 8)
    assert ("learned" in load_package(trained).card, "learned" in card["card"]) == (True, False)


def test_show_prints_the_configuration(capsys):
    code, result, _ = call(
        capsys, "train", "--show", "experiment=cmu_run", "data.path=x", "data.split.arguments.file=y", "model=gnn"
    )
    assert code == 0
    assert result["config"]["model"]["name"] == "gnn"
    assert result["config"]["data"]["window"]["horizon"] == [25, 26, 27, 28, 29]


ERRORS = {
    "unknown key": (2, ["train", "data.path=x", "trainin.epochs=3"], "did you mean 'training"),
    "unknown inner key": (2, ["train", "data.path=x", "training.epoch=3"], "did you mean 'training.epochs'"),
    "unknown added key": (2, ["train", "data.path=x", "+surprise=1"], "unknown config key 'surprise'"),
    "unknown model": (2, ["train", "data.path=x", "model=egnnn"], "did you mean 'egnn'"),
    "missing path": (2, ["train"], "data.path must be given"),
    "not key=value": (2, ["train", "data.path=x", "egnn"], "KEY=VALUE"),
    "no such file": (3, ["train", "data.path=nowhere.csv"], "nowhere.csv"),
    "no unit": (2, ["ingest", "{tracks}", "-o", "{tmp}/o"], "--unit"),
    "bad unit": (2, ["ingest", "{tracks}", "-o", "{tmp}/o", "--unit", "x=1m"], "axes"),
    "bad column map": (2, ["ingest", "{tracks}", "-o", "{tmp}/o", "--columns", "node"], "--columns"),
    "unknown format": (2, ["ingest", "{tracks}", "-o", "{tmp}/o", "--format", "cvs"], "did you mean 'csv'"),
    "not a package": (4, ["predict", "{tmp}", "{tracks}", "-o", "{tmp}/f.parquet"], "not a model package"),
    "not a run": (2, ["train", "--resume", "{tmp}"], "not a run folder"),
    "unknown world": (2, ["simulate", "nbody_chargd", "-o", "{tmp}/w", "--train", "1"], "did you mean"),
    "unknown parameter": (
        2,
        ["simulate", "nbody_charged", "-o", "{tmp}/w", "--train", "1", "--set", "gravty=1"],
        "gravity",
    ),
    "not a file": (3, ["inspect", "{junk}"], "junk"),
}


@pytest.mark.parametrize("case", ERRORS, ids=ERRORS.keys())
def test_errors_are_one_line_with_a_code_and_leave_nothing_behind(case, tracks, tmp_path, capsys):
    code, arguments, said = ERRORS[case]
    junk = tmp_path / "junk.bin"
    junk.write_bytes(os.urandom(500))
    before = sorted(path.name for path in tmp_path.iterdir())
    filled = [item.format(tracks=tracks, tmp=tmp_path, junk=junk) for item in arguments]
    if arguments[0] == "train" and "--resume" not in arguments:
        filled += [f"data_root={tmp_path}/sets", f"run={tmp_path}/run"]
    found, result, err = call(capsys, *filled)
    assert found == code, result
    assert result["exit_code"] == code
    assert said in result["error"]
    last = err.strip().splitlines()[-1]
    assert last == f"forecast: error: {result['error']}"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "sets") == before


def test_a_damaged_package_is_refused(trained, tracks, tmp_path, capsys):
    weights = trained / "package" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    code, result, _ = call(capsys, "predict", trained, tracks, "-o", tmp_path / "f.parquet")
    assert code == 4
    assert "damaged" in result["error"]
    assert not (tmp_path / "f.parquet").exists()


def test_a_wrong_rate_is_refused(tracks, trained, tmp_path, capsys):
    slow = tmp_path / "slow.csv"
    header, *rows = tracks.read_text().splitlines()
    slow.write_text(
        "\n".join([header, *(f"{s},{2 * float(t)},{n},{x},{y}" for s, t, n, x, y in (row.split(",") for row in rows))])
    )
    code, result, _ = call(capsys, "predict", trained, slow, "-o", tmp_path / "f.parquet")
    assert code == 3
    assert "1.25 frames/s" in result["error"]
    assert "2.5" in result["error"]


def test_plain_output_for_people(trained, tracks, tmp_path, capsys):
    assert main(["evaluate", str(trained), str(tracks), "--unit", "cm", "--data-root", str(tmp_path / "sets")]) == 0
    out, _ = capsys.readouterr()
    assert "constant_velocity" in out
    assert "lead [s]" in out


def test_python_api(tracks, tmp_path):
    import forecasting

    scenes = forecasting.read(tracks, unit="cm")
    dataset = forecasting.build_dataset(scenes, tmp_path / "set")
    plain = {
        "data.path": tmp_path / "set",
        "model": "egnn",
        "training.epochs": 1,
        "model.arguments.hidden": 4,
        "data.only": [],
    }
    package = forecasting.train(plain, run=tmp_path / "run")
    forecasts = package.predict(scenes)
    assert [one.scene for one in forecasts] == ["morning", "evening"]
    assert forecasts[0].positions.shape == (6, 1, 12, 2)
    assert package.evaluate(dataset)["plain"]["windows"] > 0
    assert forecasting.load(tmp_path / "run").model == "egnn"
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        _ = forecasting.trane
