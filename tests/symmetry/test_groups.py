import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from forecasting.errors import UsageError
from forecasting.symmetry.groups import GROUPS, parse_group
from forecasting.symmetry.groups.finite import Identity
from forecasting.testing.groups import GroupContract

NAMED = {
    **dict.fromkeys(("SO(3)", "O(3)", "SE(3)", "E(3)", "T(3)", "O", "O_h", "inversion"), False),
    **dict.fromkeys(("identity", "T(2)"), True),
    **{f"{symbol}({axis})": False for symbol in ("C∞h", "D∞", "D∞h") for axis in ("z", "0.1,0.2,0.97")},
    **{f"{symbol}({axis})": axis == "z" for symbol in ("SO(2)", "C∞v", "O(2)", "C_4", "C_7") for axis in "yz"},
    **{f"{symbol}(-1,2,0.5)": False for symbol in ("SO(2)", "C∞v", "C_3", "mirror")},
    **{"T∥(x)": True, "T∥(1,2,3)": False, "T⊥(z)": True, "T⊥(y)": False},
    **{"mirror(x)": True, "mirror(z)": False, "mirror(1,-2,0)": True, "C_1(x)": True},
}
for _name, _planar in NAMED.items():
    globals()[f"Test_{_name}"] = type(f"Test_{_name}", (GroupContract,), {"group_name": _name, "planar": _planar})


def test_every_registered_group_is_tested():
    assert {type(parse_group(name)) for name in NAMED} == {GROUPS[name] for name in GROUPS.names()}


@dataclass(frozen=True)
class AxisPermutations(Identity):
    @property
    def name(self):
        return "S_3"

    def discrete(self):
        return np.stack([np.eye(3)[[1, 0, 2]], np.eye(3)[[1, 2, 0]]])


@pytest.fixture
def from_outside(monkeypatch):
    """As an installed package would add it: one entry point, no edit."""
    monkeypatch.setattr(EntryPoint, "load", lambda self: AxisPermutations)
    point = EntryPoint("S_3", "elsewhere:AxisPermutations", GROUPS.group)
    monkeypatch.setattr("forecasting.registry.entry_points", lambda group: [point] if group == GROUPS.group else [])
    monkeypatch.setattr(GROUPS, "_loaded", False)
    monkeypatch.setattr(GROUPS, "_members", dict(GROUPS._members))


@pytest.mark.usefixtures("from_outside")
class TestAGroupFromOutside(GroupContract):
    group_name = "S_3"

    def test_it_is_read_by_name(self):
        assert len(parse_group("S_3").components()) == 6
        assert "S_3" in GROUPS.names()
        assert parse_group("O_h").contains(parse_group("S_3"))


@pytest.mark.parametrize(
    ("large", "small"),
    [
        *[
            ("E(3)", "O(3)"),
            ("E(3)", "SE(3)"),
            ("SE(3)", "T(3)"),
            ("T(3)", "T(2)"),
            ("O(3)", "SO(3)"),
            ("O(3)", "O_h"),
            ("O_h", "O"),
        ],
        *[("O", "C_4(y)"), ("SO(3)", "O"), ("O(3)", "D∞h(z)"), ("D∞h(z)", "C∞v(z)"), ("D∞h(z)", "C∞h(z)"), ("D∞h(z)", "D∞(z)")],
        *[("C∞v(z)", "SO(2)(z)"), ("C∞v(z)", "mirror(1,-2,0)"), ("C∞h(z)", "mirror(z)"), ("SO(2)(1,1,1)", "C_3(2,2,2)")],
        *[("C_6(x)", "C_3(x)"), ("C_6(x)", "C_2(-x)"), ("C∞h(x)", "inversion"), ("O(2)(y)", "C∞v(y)"), ("C∞v(y)", "O(2)(y)")],
    ],
)
def test_subgroups(large, small):
    assert parse_group(large).contains(parse_group(small))
    assert parse_group(small).contains(parse_group(large)) == (parse_group(small) == parse_group(large))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SO(2)(x)", "SO(2)(z)"),
        ("C∞v(z)", "C∞h(z)"),
        ("SO(3)", "inversion"),
        ("C_4(z)", "C_6(z)"),
        ("O(3)", "T(2)"),
        ("O", "inversion"),
    ],
)
def test_groups_without_order(one, other):
    assert not parse_group(one).contains(parse_group(other))
    assert not parse_group(other).contains(parse_group(one))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *[
            ("Cinfv(y)", "C∞v(y)"),
            ("Cinfh( -z )", "C∞h(z)"),
            ("Dinf(0,0,3)", "D∞(z)"),
            ("Dinfh(x)", "D∞h(x)"),
            ("O(2)(z)", "C∞v(z)"),
        ],
        *[("C_12(y)", "C_12(y)"), ("SO(2)(0.1, 0.2, 0.97)", "SO(2)(0.1,0.2,0.97)"), ("mirror(+x)", "mirror(x)")],
    ],
)
def test_ways_to_write_a_group(text, name):
    assert parse_group(text).name == name
    assert parse_group(text) == parse_group(name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *[("SO3", r"did you mean 'SO\(3\)'"), ("Oh", "'O_h'"), ("C4(z)", "C_n"), ("", "unknown group"), ("Cinfw(z)", "'C∞v'")],
        *[
            ("SO(2)", "needs a direction"),
            ("mirror", "needs a normal"),
            ("C_n(z)", "needs an order"),
            ("C_4", "needs a direction"),
        ],
        *[
            ("O(z)", "takes nothing"),
            ("SO(3)(z)", "takes nothing"),
            ("SO(2)(q)", "no direction"),
            ("SO(2)(0,0,0)", "no direction"),
        ],
        *[("SO(2)(nan,1,0)", "no direction"), ("SO(2)(1,0)", "no direction"), ("C_0(z)", "order"), ("C_1001(z)", "order")],
    ],
)
def test_what_is_no_group(text, says):
    with pytest.raises(UsageError, match=says):
        parse_group(text)


def test_planar_data_need_no_axis():
    assert parse_group("SO(2)", dim=2).name == "SO(2)(z)"
    assert parse_group("O(2)", dim=2) == parse_group("C∞v(z)")
    assert parse_group("C_5", dim=2).name == "C_5(z)"
    for text in ("SO(3)", "O(3)", "E(3)", "T(3)", "C∞v(x)", "D∞(z)", "C∞h(z)", "mirror(z)", "inversion", "O"):
        with pytest.raises(UsageError, match="two dimensions"):
            parse_group(text, dim=2)
    with pytest.raises(UsageError, match="normal"):
        parse_group("mirror", dim=2)


def test_elements_that_close_to_no_group_are_refused():
    @dataclass(frozen=True)
    class Irrational(Identity):
        name = "irrational"

        def discrete(self):
            return parse_group("C_1000(z)").sample(np.random.default_rng(0), 1) @ parse_group("SO(2)(z)").sample(
                np.random.default_rng(0), 1
            )

    with pytest.raises(UsageError, match="exact"):
        Irrational().components()


def test_groups_need_no_torch():
    work = "from forecasting.symmetry.groups import parse_group; parse_group('O_h').components()"
    code = f"import sys; {work}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
