"""Fixtures of the whole suite: real data where the machine has them, one thread, patient hypothesis."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

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
