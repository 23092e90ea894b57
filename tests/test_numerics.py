"""One module sets the arithmetic up, and checks it."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from forecasting import numerics
from forecasting.errors import NumericalError, UsageError


@pytest.fixture
def fresh(monkeypatch):
    numerics._set_up.cache_clear()
    before, threads = torch.backends.mkldnn.matmul.fp32_precision, torch.get_num_threads()
    yield monkeypatch
    torch.backends.mkldnn.matmul.fp32_precision = before
    torch.set_num_threads(threads)
    numerics._set_up.cache_clear()


def test_settings_say_what_is_true(fresh):
    settings = numerics.configure()
    assert settings.product_error == numerics.product_error() <= numerics.LARGEST_ERROR
    assert settings.threads == torch.get_num_threads()
    assert settings.product in ("oneDNN", "default")
    assert (torch.backends.mkldnn.matmul.fp32_precision == "bf16") == (settings.product == "oneDNN")


def test_later_calls_measure_nothing_and_keep_what_was_set(fresh):
    settings = numerics.configure()
    fresh.setattr(numerics, "product_error", lambda: pytest.fail("measured twice"))
    assert numerics.configure() == settings
    assert numerics.configure(settings.threads + 1) == replace(settings, threads=settings.threads + 1)
    assert numerics.configure().threads == torch.get_num_threads() == settings.threads + 1


def test_a_rounding_path_is_detected_and_left(fresh):
    true_error = numerics.product_error

    def rounding():
        return 1e-3 if torch.backends.mkldnn.matmul.fp32_precision == "bf16" else true_error()

    fresh.setattr(numerics, "product_error", rounding)
    settings = numerics.configure()
    assert settings.product == "default"
    assert torch.backends.mkldnn.matmul.fp32_precision == "none"


def test_the_check_sees_bfloat16():
    """What the check measures is what rounding to bfloat16 would do."""
    a = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    exact = a.double() @ a.double().T
    rounded = (a.bfloat16().float() @ a.bfloat16().float().T).double()
    assert float((rounded - exact).norm() / exact.norm()) > 100 * numerics.LARGEST_ERROR


def test_no_accurate_path_is_an_error(fresh):
    fresh.setattr(numerics, "product_error", lambda: 1e-2)
    with pytest.raises(NumericalError, match=r"1\.0e-02"):
        numerics.configure()


def test_threads_below_one_are_refused(fresh):
    with pytest.raises(UsageError, match="at least 1"):
        numerics.configure(0)


@pytest.mark.parametrize(("first", "expected"), [("", "True"), ("import torch; ", "False")])
def test_it_says_whether_openmp_was_told_in_time(first, expected):
    """The OpenMP runtime reads its environment once, when torch loads it."""
    code = f"{first}from forecasting.numerics import configure; print(configure(1).short_spins)"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_importing_it_does_not_import_torch():
    code = "import sys, forecasting.numerics, forecasting.cli.main; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
