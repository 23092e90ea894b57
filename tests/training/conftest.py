from pathlib import Path

import pytest

from forecasting.testing.runs import SMALLEST
from forecasting.testing.scenes import random_dataset
from forecasting.training import assemble


def config(data: Path, relaxation="strict", model="egnn", head=None, **training):
    """A small configuration as the command line would compose it; a relaxation is a name, or a name and its arguments."""
    name, arguments = (relaxation, {}) if isinstance(relaxation, str) else relaxation
    settings = {"epochs": 3, "batch_size": 8, "checkpoint_every_steps": 1, "learning_rate": 1e-2, "validate_every": 1}
    return {
        "data": {
            "path": str(data),
            "format": "",
            "read": {"wide": []},
            "only": [],
            "fields": None,
            "types": "type",
            "resample": None,
            "window": {"history": 2, "horizon": [1, 2], "stride": 2},
            "split": {"kind": "scene", "arguments": {}},
            "length": None,
        },
        "graph": {"name": "complete", "arguments": {}},
        "model": {"name": model, "arguments": {**SMALLEST[model], **({"head": head} if head else {})}},
        "relaxation": {"name": name, "arguments": arguments},
        "training": {**settings, **training},
        "seed": 0,
        "data_root": str(data.parent),
    }


@pytest.fixture
def data(tmp_path):
    return random_dataset(tmp_path / "data", scenes=9).folder


@pytest.fixture
def plain_config(data):
    """A small configuration of that data."""
    return config(data)


@pytest.fixture
def problem(data):
    """Makes (problem, settings) anew: training changes a model in place."""
    return lambda **training: assemble(config(data, **training))
