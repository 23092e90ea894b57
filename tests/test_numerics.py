"""One module sets the arithmetic up, and checks it."""

import subprocess
import sys

import pytest
import torch

from forecasting import numerics
from forecasting.errors import NumericalError, UsageError


@pytest.fixture
def fresh(monkeypatch):
    numerics.configure.cache_clear()
    before = torch.backends.mkldnn.matmul.fp32_precision
    yield monkeypatch
    torch.backends.mkldnn.matmul.fp32_precision = before
    numerics.configure.cache_clear()


def test_settings_say_what_is_true(fresh):
    settings = numerics.configure()
    assert settings.product_error == numerics.product_error() <= numerics.LARGEST_ERROR
    assert settings.threads == torch.get_num_threads()
    assert settings.product in ("oneDNN", "default")
    assert (torch.backends.mkldnn.matmul.fp32_precision == "bf16") == (settings.product == "oneDNN")
    assert numerics.configure() is settings


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


def test_importing_it_does_not_import_torch():
    code = "import sys, forecasting.numerics, forecasting.cli.main; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
