"""From a package to regions in files, as a person drives it."""

import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pyarrow.parquet as pq
import pytest

import forecasting
from forecasting.cli.main import main
from forecasting.errors import PackageError, UsageError
from forecasting.evaluation.calibrated import calibrated
from forecasting.inference.joint_calibration import kept_calibration, with_calibration
from forecasting.packages import load_package, save_package
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.dataset import Dataset, build_dataset
from forecasting.trajectories.recognition import Moves
from forecasting.trajectories.windows import WindowSpec


def call(capsys, *arguments):
    """Exit code, the one object on standard output, and standard error."""
    capsys.readouterr()
    code = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


@pytest.fixture
def kept(package, tmp_path):
    """A package in a folder, and its data: eleven windows with a future of each of forty scenes."""
    made, dataset = package("constant_velocity", spec=WindowSpec(2, (1, 2)), scenes=40, gaps=False)
    return save_package(made, tmp_path / "package"), dataset.folder


def test_calibrate_predict_evaluate(kept, tmp_path, capsys):
    package, data = kept
    code, found, _ = call(capsys, "calibrate", package, data, "--partition", "all", "--levels", 0.8, 0.9, "-o", tmp_path / "new")
    assert code == 0
    assert (found["levels"], found["about"]["alike"], found["about"]["groups"]) == ([0.8, 0.9], "scenes", 40)
    assert load_package(package).calibration is None
    assert load_package(tmp_path / "new").calibration["about"]["data"] == Dataset(data).manifest.content
    code, found, _ = call(capsys, "evaluate", tmp_path / "new", data, "--partition", "all")
    rows = found["regions"]["levels"]
    assert [row["level"] for row in rows] == [0.8, 0.9]
    assert all(abs(row["overall"] - row["level"]) < 0.06 for row in rows)
    assert main(["evaluate", str(tmp_path / "new"), str(data), "--partition", "all"]) == 0
    assert "share of truths in their regions (balls, calibrated on 40 scenes)" in capsys.readouterr().out
    table = tmp_path / "future.parquet"
    sums = []
    for options in ((), ("--joint",)):
        code, _, _ = call(capsys, "predict", tmp_path / "new", data, "-o", table, "--level", 0.8, 0.9, *options)
        assert code == 0
        rows = pq.read_table(table)
        smaller, larger = (rows[f"radius_{level}"].to_numpy() for level in (80, 90))
        assert (smaller > 0).all()
        assert (larger >= smaller).all()
        sums.append(larger.sum())
    assert sums[1] > sums[0]


def test_the_package_itself_is_calibrated_where_no_other_is_named(kept, capsys):
    package, data = kept
    assert call(capsys, "calibrate", package, data, "--partition", "all", "--levels", 0.5, "--shape", "ellipsoid")[0] == 0
    assert load_package(package).calibration["axes"] is not None
    assert main(["calibrate", str(package), str(data), "--partition", "all", "--levels", "0.5"]) == 0
    assert "calibrated on" in capsys.readouterr().out


def test_further_and_together(kept, tmp_path, capsys):
    package, data = kept
    code, _, _ = call(
        capsys, "predict", package, data, "-o", tmp_path / "f.parquet", "--steps", 5, "--ensemble", package, package
    )
    assert code == 0
    table = pq.read_table(tmp_path / "f.parquet")
    assert np.unique(table["step"]).tolist() == [1, 2, 3, 4, 5]
    assert np.unique(table["hypothesis"]).tolist() == [0, 1, 2]
    np.testing.assert_allclose(np.unique(table["weight"]), 1 / 3)


def test_several_are_calibrated_together(kept, tmp_path, capsys):
    """Kept beside the first package's own calibration, and used by exactly these members, in any order."""
    first, data = kept
    second, third = (
        save_package(replace(load_package(first), model=model), tmp_path / model) for model in ("static", "mean_velocity")
    )
    every = ("--partition", "all")
    assert call(capsys, "calibrate", first, data, *every, "--levels", 0.8)[0] == 0
    own = load_package(first).calibration
    code, found, _ = call(capsys, "calibrate", first, data, *every, "--levels", 0.8, 0.9, "--ensemble", second)
    assert (code, found["about"]["packages"]) == (0, 2)
    assert load_package(first).calibration == own

    def predict(package, *others, level=0.9):
        table = tmp_path / "f.parquet"
        code, found, _ = call(capsys, "predict", package, data, "-o", table, "--level", level, "--ensemble", *others)
        return (code, pq.read_table(table)["radius_90"].to_numpy()) if code == 0 else (code, found["error"])

    (code, sizes), (_, turned) = predict(first, second), predict(second, first)
    assert code == 0
    assert sorted(set(sizes)) == pytest.approx(sorted({size for kind in found["steps"][1] for size in kind}))
    assert sorted(set(turned)) == sorted(set(sizes))
    for members in ((first, third), (second, third), (first, second, third)):
        code, error = predict(*members)
        assert (code, "not calibrated together" in error) == (2, True)
    assert "calibrated for the levels 0.8, 0.9" in predict(first, second, level=0.5)[1]


def test_few_calibrations_of_ensembles_are_kept(kept):
    first = load_package(kept[0])
    calibration = calibrated(first, Dataset(kept[1]), Dataset(kept[1]).anchors(first.window), (0.8,))
    others = [replace(first, dt=0.1 * number) for number in range(2, 13)]
    for other in others:
        first = with_calibration([first, other], calibration)
    assert [kept_calibration([first, other]) is not None for other in others] == [False] * 3 + [True] * 8
    with pytest.raises(PackageError, match="ensembles are damaged"):
        kept_calibration([replace(first, card={"ensembles": {"a": 3}}), others[0]])


WRONG = {
    "level": (("--levels", "1.5"), 2, "between 0 and 1"),
    "few": (("--levels", "0.99"), 3, "it takes 124; calibrate on more data, or ask for lower --levels"),
    "most": (("--most", "0"), 2, "--most must be at least 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_calibrated(kept, capsys, case):
    package, data = kept
    options, code, message = WRONG[case]
    found = call(capsys, "calibrate", package, data, "--partition", "all", *options)
    assert found[0] == code
    assert message in found[1]["error"]


@pytest.mark.parametrize(("options", "message"), [(["--level", "0.9"], "not calibrated"), (["--joint"], "--level")])
def test_regions_that_nobody_can_give(kept, tmp_path, capsys, options, message):
    package, data = kept
    code, found, _ = call(capsys, "predict", package, data, "-o", tmp_path / "f.parquet", *options)
    assert code == 2
    assert message in found["error"]
    assert not (tmp_path / "f.parquet").exists()


def test_from_python(kept):
    package, data = kept
    loaded, dataset = forecasting.load(package), Dataset(data)
    calibrated = loaded.calibrate(dataset, "all", (0.8, 0.9))
    assert (loaded.calibration, calibrated.calibration["about"]["windows"]) == (None, 440)
    (scene,) = islice(dataset.trajectories(), 1)
    (forecast,) = calibrated.predict(scene, levels=(0.9,))
    assert (forecast.regions[0.9].radius > 0).all()
    (plain,) = calibrated.predict(scene)
    assert plain.regions == {}
    with pytest.raises(UsageError, match="calibrat"):
        loaded.predict(scene, levels=(0.9,))


KNOWN = {
    "made anew": (True, True, 1.0, "warning: 100 % of these windows are the package's training data"),
    "other recordings": (False, True, 0.0, ""),
    "other recordings, an older package": (False, False, None, "warning: nobody can tell whether"),
}


@pytest.mark.parametrize("case", KNOWN)
def test_training_data_are_known_again_in_another_data_set(kept, tmp_path, capsys, case):
    package, data = kept
    same, sampled, learned, said = KNOWN[case]
    loaded, own = load_package(package), Dataset(data)
    moves = Moves.of(own, loaded.window, own.anchors(loaded.window), loaded.normalization.length)
    save_package(replace(loaded, card={**loaded.card, **({"learned": moves.to_plain()} if sampled else {})}), package)
    rng = np.random.default_rng(7)
    old = [replace(scene, scene=f"again {scene.scene}") for scene in own.trajectories()][::-1]
    new = [random_scene(rng, f"other {number}", gaps=False) for number in range(40)]
    again = build_dataset(old if same else new, tmp_path / "again").folder
    code, found, err = call(capsys, "calibrate", package, again, "-o", tmp_path / "new")
    assert (code, found["about"]["learned"]) == (0, learned)
    assert [line[: len(said)] for line in err.splitlines() if "warning" in line] == ([said] if said else [])
