"""`forecast inspect --symmetry` as a person or a program uses it."""

import json

import numpy as np
import pytest

from forecasting.cli.main import main
from forecasting.testing.scenes import random_dataset


@pytest.fixture
def tracks(tmp_path):
    """Thirty walkers who all go along x, some slower."""
    rng = np.random.default_rng(0)
    rows = ["time,node,x,y"]
    for frame in range(40):
        rows += [f"{frame * 0.4:.1f},{n},{n % 5 + frame * (0.3 + n / 100):.4f},{n + 0.02 * rng.normal():.4f}" for n in range(30)]
    path = tmp_path / "tracks.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def call(capsys, *arguments):
    capsys.readouterr()
    code = main(["inspect", *map(str, arguments), "--symmetry"])
    return code, *capsys.readouterr()


def test_a_table_and_sentences(tracks, capsys):
    code, out, _ = call(capsys, tracks, "--unit", "m")
    assert code == 0
    for words in (
        "cannot tell from these data",
        "R1: one direction",
        "one scene: nothing to draw",
        "SO(2)(z)",
        "this cannot say",
    ):
        assert words in out


def test_one_object(tracks, tmp_path, capsys):
    random_dataset(tmp_path / "set", scenes=5)
    code, out, _ = call(capsys, tracks, tmp_path / "set", "--unit", "m", "--json")
    assert code == 0
    folder, files = json.loads(out)["symmetry_of_data"]
    assert (folder["data"], files["data"]) == (str(tmp_path / "set"), str(tracks))
    assert files["coverage"]["covers_yaw"] is False
    assert files["coverage"]["heading"]["R1"] > 0.99
    assert files["coverage"]["heading"]["R1_interval"] is None
    assert {row["group"] for row in files["two_sample"] if row["different"]} >= {"SO(2)(z)", "mirror(x)", "time reversal"}
    assert folder["coverage"]["sphere"] is not None
    assert folder["coverage"]["heading"]["R1_interval"] is not None


def test_too_little_to_compare_is_said_and_the_rest_shown(tracks, capsys):
    code, out, _ = call(capsys, tracks, "--unit", "m", "--resample", "2.4")
    assert code == 0
    assert "R1: one direction" in out
    assert "5 moments are too few" in out


def test_every_second_frame(tracks, capsys):
    plain, second = (json.loads(call(capsys, tracks, "--unit", "m", "--json", *more)[1]) for more in ((), ("--step", 2)))
    windows = [one["symmetry_of_data"][0]["coverage"]["windows"] for one in (plain, second)]
    assert windows == [38, 36]


MISTAKES = {
    "a still scene": (("still.csv", "--unit", "m"), 3, "nothing moves"),
    "a picture": (("tracks.csv", "--unit", "m", "--picture", "a.png"), 2, "--symmetry takes no --picture"),
    "a step of nothing": (("tracks.csv", "--unit", "m", "--step", "0"), 2, "must be at least 1"),
    "a data set resampled": (("set", "--resample", "1"), 2, "is a data set"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(tracks, tmp_path, capsys, monkeypatch, name):
    arguments, expected, words = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    random_dataset(tmp_path / "set")
    still = "\n".join(f"{frame},{node},{node},0" for frame in range(9) for node in range(3))
    (tmp_path / "still.csv").write_text(f"time,node,x,y\n{still}\n")
    code, _, err = call(capsys, *arguments)
    assert (code, words in err) == (expected, True), err


def test_step_and_resample_belong_to_symmetry(tracks, capsys):
    assert main(["inspect", str(tracks), "--unit", "m", "--step", "2"]) == 2
    assert "belong to --symmetry" in capsys.readouterr().err
