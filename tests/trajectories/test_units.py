import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.errors import UsageError
from forecasting.trajectories.units import METRES, Unit, conversion, parse_unit


@pytest.mark.parametrize(
    ("text", "dim", "unit"),
    [
        ("m", 3, Unit("m")),
        ("px", 2, Unit("px")),
        ("asf", 3, Unit("asf")),
        ("0.056444m", 3, Unit("m", (0.056444,) * 3)),
        ("1m", 2, Unit("m")),
        ("x=1.05m,y=0.68m", 2, Unit("m", (1.05, 0.68))),
        ("y=2m, x=1m", 2, Unit("m", (1.0, 2.0))),
        ("x=m,y=m,z=2m", 3, Unit("m", (1.0, 1.0, 2.0))),
        ("1e-3m", 2, Unit("m", (1e-3, 1e-3))),
        ("2E2cm", 2, Unit("cm", (200.0, 200.0))),
        ("em", 2, Unit("em")),
        ("e3m", 2, Unit("e3m")),
        ("2em", 2, Unit("em", (2.0, 2.0))),
        ("E", 2, Unit("E")),
    ],
)
def test_units_are_read(text: str, dim: int, unit: Unit) -> None:
    assert parse_unit(text, dim) == unit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a unit"),
        ("1.5", "not a unit"),
        ("m/s", "not a unit"),
        ("1.2.3m", "not a unit"),
        ("-1m", "not a positive number"),
        ("0m", "not a positive number"),
        ("1e999m", "not a positive number"),
        ("x=1m,y=2px", "mixes m, px"),
        ("x=1m", "must name the axes x, y"),
        ("x=1m,y=1m,z=1m", "must name the axes x, y"),
        ("x=1m,m", "names an axis in one part only"),
    ],
)
def test_what_is_no_unit(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_unit(text, 2)


FACTORS = st.floats(1e-6, 1e6).map(lambda value: float(f"{value:.6g}"))


@given(st.lists(FACTORS, min_size=2, max_size=3).map(tuple), st.sampled_from(("m", "px", "em")))
def test_text_of_a_unit_reads_back(per_axis: tuple[float, ...], name: str) -> None:
    unit = Unit(name, per_axis)
    back = parse_unit(str(unit), len(per_axis))
    np.testing.assert_allclose(back.from_file(np.ones(len(per_axis))), per_axis)
    assert back.name == name


@given(st.lists(FACTORS, min_size=3, max_size=3).map(tuple))
def test_to_file_undoes_from_file(per_axis: tuple[float, ...]) -> None:
    values = np.arange(12.0).reshape(4, 3)
    unit = Unit("m", per_axis)
    np.testing.assert_allclose(unit.to_file(unit.from_file(values)), values, rtol=1e-15)


@given(st.sampled_from(sorted(METRES)), st.sampled_from(sorted(METRES)))
def test_conversions_are_inverse(source: str, target: str) -> None:
    assert conversion(source, target) * conversion(target, source) == pytest.approx(1.0)


def test_conversion() -> None:
    assert conversion("cm", "m") == pytest.approx(0.01)
    assert conversion("px", "px") == 1.0
    with pytest.raises(UsageError, match="'px' is not a known length"):
        conversion("px", "m")
