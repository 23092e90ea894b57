"""The course of training, read from the files of a run."""

import pytest

from forecasting.errors import DataError
from forecasting.evaluation.trace import training_trace

METRICS = (
    "step,epoch,train_loss,validation_loss,learning_rate,seconds\n10,1,0.5,0.6,0.001,2\n20,2,nan,0.4,0.001,4\n30,3,0.2,,0,6\n"
)
LEVELS = "step,name,value\n10,c/relaxed.0/1,0.5\n10,gamma/relaxed.0/1,1\n20,c/relaxed.0/1,0.25\n30,lambda/O(3),nan\n"


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_relaxed_run(tmp_path):
    assert training_trace(write(tmp_path, metrics=METRICS, relaxation=LEVELS)) == {
        "epochs": [1.0, 2.0, 3.0],
        "steps": [10, 20, 30],
        "series": {"train loss": [0.5, None, 0.2], "validation loss": [0.6, 0.4, None]},
        "levels": {
            "c/relaxed.0/1": [[10, 20], [0.5, 0.25]],
            "gamma/relaxed.0/1": [[10], [1.0]],
            "lambda/O(3)": [[30], [None]],
        },
    }


def test_a_strict_run_has_no_levels(tmp_path):
    assert training_trace(str(write(tmp_path, metrics=METRICS)))["levels"] == {}


def test_what_training_writes_is_what_is_read(tmp_path):
    from forecasting.training.log import COLUMNS, append_log, append_trace

    append_log(tmp_path / "metrics.csv", dict.fromkeys(COLUMNS, 2.0))
    append_trace(tmp_path / "relaxation.csv", 2, {"c/a/1": 0.125})
    found = training_trace(tmp_path)
    assert (found["epochs"], found["series"]["train loss"]) == ([2.0], [2.0])
    assert found["levels"] == {"c/a/1": [[2], [0.125]]}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no metrics.csv"),
        ({"metrics": "step,epoch\n"}, "no column 'train_loss'"),
        ({"metrics": METRICS.replace("0.4", "0.4x")}, "line 3: .0.4x. is not a number"),
        ({"metrics": METRICS + "x,1,1,1,1,1\n"}, "line 5: 'x' is not a number"),
        ({"metrics": METRICS, "relaxation": LEVELS + ",c,1\n"}, "line 6: there is no step"),
        ({"metrics": METRICS, "relaxation": "step,value\n"}, "no column 'name'"),
    ],
)
def test_damage_is_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        training_trace(write(tmp_path, **files))
