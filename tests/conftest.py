"""Fixtures of the whole suite: real data where the machine has them, packages made by hand, one thread, patient hypothesis."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from forecasting.graphs.build import schema_of
from forecasting.graphs.topology import Complete
from forecasting.models import build_model
from forecasting.packages import Package
from forecasting.testing.scenes import random_dataset, random_scene
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec

torch.set_num_threads(1)
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.load_profile("patient")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real trajectory files; tests that need it are skipped without it."""
    folder = os.environ.get("FORECASTING_TEST_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("set FORECASTING_TEST_DATA to the folder of real trajectory files")
    return Path(folder)


@pytest.fixture
def scene():
    return random_scene(np.random.default_rng(5), "new", frames=9, nodes=4)


@pytest.fixture
def package(tmp_path):
    """Makes packages by hand: untrained weights, every other thing real."""

    def make(model="egnn", arguments=None, spec=None, **kind):
        dataset = random_dataset(tmp_path / f"data-{model}", **kind)
        spec = spec or WindowSpec(3, (1, 2))
        schema = schema_of(dataset.manifest, spec, Complete())
        windows = dataset.windows(spec, dataset.anchors(spec))
        chosen = {"hidden": 6} if arguments is None and model in ("egnn", "mlp") else arguments or {}
        torch.manual_seed(0)
        weights = build_model(model, schema, chosen).state_dict()
        normalization = Normalization.fit(windows)
        card = {"data": {"content": dataset.manifest.content}, "split": {"kind": "scene", "arguments": {}}}
        made = Package(
            *(model, chosen, schema, spec, "complete", {}, normalization),
            *(0.1, "m", dataset.manifest.frame, dataset.manifest.fields, weights, card),
        )
        return made, dataset

    return make


@pytest.fixture
def as_up():
    return lambda scene, up: replace(scene, frame=Frame(up))
