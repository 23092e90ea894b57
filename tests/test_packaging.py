"""The wheel holds the configuration files, and finds them as a checkout does."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from forecasting.config_files import config_directory

ROOT = Path(__file__).parents[1]


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.yaml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_a_checkout_finds_its_own_configs():
    assert config_directory() == ROOT / "configs"


def test_an_installed_wheel_finds_the_same_configs(wheel, tmp_path):
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    code = "from forecasting.config_files import config_directory; print(config_directory())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    found = Path(done.stdout.strip())
    assert found == tmp_path / "forecasting" / "configs"
    assert listing(found) == listing(ROOT / "configs")
    assert len(listing(found)) > 15


def test_a_wheel_made_from_the_source_archive_holds_the_same_files(wheel, tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    assert (tmp_path / f"{wheel.name.removesuffix('-py3-none-any.whl')}.tar.gz").is_file()
    again = next(tmp_path.glob("*.whl"))
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_what_the_program_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "forecasting/py.typed" in names
    wanted = ("evaluation/report.html.j2", "evaluation/report.schema.json", "player/player.js", "player/player.css")
    page = ("index.html", "main.js", "viewer.css", "favicon.svg", "three/three.min.js", "three/LICENSE.txt")
    assert {f"forecasting/{name}" for name in (*wanted, *(f"service/viewer/{name}" for name in page))} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert "forecast = forecasting.cli.main:main" in zipfile.ZipFile(wheel).read(entry).decode()


def test_constraints_pin_what_pyproject_asks_for():
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    from importlib.metadata import requires

    for requirement in requires("forecasting") or []:
        if "extra" not in requirement:
            name = requirement
            for mark in "<>=!~ ;[":
                name = name.split(mark)[0]
            assert name.lower() in pinned, requirement
