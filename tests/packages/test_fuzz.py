"""Packages from strangers: whatever is in their files, no code runs, no memory is lost, and one line says what is wrong."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forecasting.packages import save_package
from forecasting.testing.packages import small_package

SCRIPT = Path(__file__).parent / "mutate.py"
LARGEST_MEMORY = 1 << 30


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    return save_package(small_package(folder / "data")[0], folder / "package")


def fuzz(package, count, seed):
    found = subprocess.run([sys.executable, SCRIPT, package, str(count), str(seed)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    result = json.loads(found.stdout)
    assert sum(result["came"].values()) == count
    assert result["came"]["refused"] > count / 2
    assert result["peak_bytes"] < LARGEST_MEMORY


def test_mutated_packages_are_refused_or_the_same(package):
    fuzz(package, 60, seed=1)


@pytest.mark.slow
def test_a_thousand_mutated_packages_are_refused_or_the_same(package):
    fuzz(package, 1000, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("mutation", ["flip", "truncate", "exchange", "rewrite_header", "hostile_text"])
def test_the_program_refuses_in_one_line(package, tmp_path, mutation):
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import mutate
    finally:
        sys.path.pop(0)
    folder = Path(shutil.copytree(package, tmp_path / "copy"))
    getattr(mutate, mutation)(folder, random.Random(4))
    command = [sys.executable, "-m", "forecasting.cli.main", "package", "inspect", str(folder)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, len(found.stderr.splitlines())) == (4, "", 1), found
    assert "Traceback" not in found.stderr
