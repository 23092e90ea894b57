"""Several packages in one table and one picture; the whole report of one."""

import json
from dataclasses import replace

import pytest

from forecasting.cli.main import main
from forecasting.packages.package import save_package
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec


@pytest.fixture
def data(package):
    return package("egnn")[1].folder


@pytest.fixture
def kept(package, tmp_path):
    """Makes a package folder; changes replace its parts."""

    def make(name, model="egnn", **changes):
        made, _ = package(model)
        return save_package(replace(made, **changes), tmp_path / name)

    return make


def call(capsys, *arguments):
    """Run `evaluate`; returns exit code, standard output and standard error."""
    capsys.readouterr()
    code = main(["evaluate", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_each_package_has_the_numbers_it_has_alone(kept, data, tmp_path, capsys):
    packages = [kept("one"), kept("two", "mlp"), kept("three", "gnn")]
    alone = [json.loads(call(capsys, package, data, "--partition", "all", "--json")[1]) for package in packages]
    first, *others = packages
    where = ("--partition", "all", "--report", tmp_path / "both")
    code, out, _ = call(capsys, first, data, *where, "--json", "--also", *others)
    assert code == 0
    together = json.loads(out)
    assert [one["name"] for one in together["packages"]] == ["one", "two", "three"]
    assert [one["package"] for one in together["packages"]] == list(map(str, packages))
    for one, other in zip(together["packages"], alone, strict=True):
        assert {key: one[key] for key in other} == other
        assert one["seconds"] > 0
    kept_numbers = json.loads((tmp_path / "both" / "comparison.json").read_text())
    assert [one["plain"]["mse"] for one in kept_numbers["models"]] == [one["plain"]["mse"] for one in alone]
    assert (tmp_path / "both" / "figures" / "accuracy-against-symmetry.svg").is_file()


def test_one_row_for_each_package(kept, data, capsys):
    first, second = kept("one"), kept("two", "mlp")
    code, out, err = call(capsys, first, data, "--partition", "all", "--also", second)
    assert code == 0
    header, *rows = out.splitlines()[1:]
    assert {"windows", "MSE", "ADE", "FDE", "yaw", "so3", "translated", "mirrored", "seconds"} <= set(header.split())
    assert [row.split()[0] for row in rows] == ["one", "two", "constant_velocity"]
    assert "same windows" not in err


def test_packages_of_one_name_are_told_apart_by_their_path(kept, data, capsys):
    first, second = kept("a/run/package"), kept("b/run/package")
    _, out, _ = call(capsys, first, data, "--partition", "all", "--also", second)
    assert [row.split()[0] for row in out.splitlines()[2:4]] == [str(first), str(second)]


def test_other_windows_are_said(kept, data, capsys):
    longer = kept("two", "static", window=WindowSpec(3, (1, 2), stride=2), arguments={}, weights={})
    assert "not evaluated on the same windows" in call(capsys, kept("one"), data, "--partition", "all", "--also", longer)[2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"unit": "cm"}, "has unit cm, but"), ({"frame": Frame("+y")}, "has frame Frame(up='+y'")],
    ids=["unit", "frame"],
)
def test_packages_that_cannot_be_compared_are_refused_before_anything_is_computed(changes, said, kept, tmp_path, capsys):
    code, _, err = call(capsys, kept("one"), tmp_path / "not there", "--also", kept("same"), kept("odd", **changes))
    assert code == 2
    assert said in err
    assert "odd" in err


def test_the_report_of_one_package_has_every_section(kept, data, tmp_path, capsys):
    package = kept("one")
    flat = json.loads(call(capsys, package, data, "--partition", "train", "--json")[1])
    code, out, _ = call(capsys, package, data, "--partition", "train", "--report", tmp_path / "report", "--json")
    assert code == 0
    whole = json.loads(out)
    assert {key: whole[key] for key in flat} == flat
    sections = {"verdicts", "coverage", "two_sample", "robustness", "lie", "drift"}
    assert set(whole) - set(flat) == sections | {"report"}
    assert "learned from" in whole["verdicts"]["failed"]
    assert whole["robustness"]["curves"]
    assert sections <= set(json.loads((tmp_path / "report" / "report.json").read_text()))
