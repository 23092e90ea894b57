import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from forecasting.trajectories.formats._geodesy import SEMI_MAJOR, SEMI_MINOR, LocalFrame, axes_at, to_ecef, to_geodetic

LATITUDES, LONGITUDES, HEIGHTS = st.floats(-90, 90), st.floats(-180, 180), st.floats(-1e4, 1e6)
POINTS = st.tuples(LATITUDES, LONGITUDES, HEIGHTS)


@pytest.mark.parametrize(
    ("geodetic", "expected"),
    [
        ((0, 0, 0), (SEMI_MAJOR, 0, 0)),
        ((0, 90, 100), (0, SEMI_MAJOR + 100, 0)),
        ((0, 180, 0), (-SEMI_MAJOR, 0, 0)),
        ((90, 0, 0), (0, 0, SEMI_MINOR)),
        ((-90, 77, 1000), (0, 0, -SEMI_MINOR - 1000)),
        # where sin² latitude = 1/2, the normal is a² / sqrt((a² + b²) / 2)
        (
            (45, 0, 0),
            (SEMI_MAJOR**2 / np.sqrt(SEMI_MAJOR**2 + SEMI_MINOR**2), 0, SEMI_MINOR**2 / np.sqrt(SEMI_MAJOR**2 + SEMI_MINOR**2)),
        ),
    ],
)
def test_places_known_by_geometry(geodetic: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(to_ecef(*np.array(geodetic, dtype=float)), expected, atol=2e-9)
    np.testing.assert_allclose(to_geodetic(np.array(expected, dtype=float))[[0, 2]], np.array(geodetic)[[0, 2]], atol=2e-9)


def test_semi_minor_axis() -> None:
    assert pytest.approx(6356752.314245, abs=1e-6) == SEMI_MINOR


@given(POINTS)
def test_points_lie_on_the_ellipsoid_shifted_along_its_normal(point: tuple[float, float, float]) -> None:
    latitude, longitude, height = np.array(point)
    ground = to_ecef(latitude, longitude, np.zeros(()))
    weights = np.array([SEMI_MAJOR, SEMI_MAJOR, SEMI_MINOR]) ** -2
    assert (ground**2 @ weights) == pytest.approx(1, abs=1e-14)
    normal = ground * weights / np.linalg.norm(ground * weights)
    np.testing.assert_allclose(axes_at(latitude, longitude)[2], normal, atol=1e-14)
    np.testing.assert_allclose(to_ecef(latitude, longitude, height), ground + height * normal, atol=1e-8)


@given(st.lists(POINTS, min_size=1, max_size=20))
def test_geodetic_and_back(points: list[tuple[float, float, float]]) -> None:
    ecef = to_ecef(*np.array(points).T)
    found = to_geodetic(ecef)
    np.testing.assert_allclose(to_ecef(*found.T), ecef, atol=1e-8)
    np.testing.assert_allclose(found[:, 2], np.array(points)[:, 2], atol=1e-8)


@given(POINTS, st.lists(POINTS, min_size=1, max_size=20))
def test_local_and_back(reference: tuple[float, float, float], points: list[tuple[float, float, float]]) -> None:
    frame = LocalFrame(*reference)
    local = frame.to_local(*np.array(points).T)
    found = frame.to_geodetic(local)
    np.testing.assert_allclose(frame.to_local(*found.T), local, atol=1e-6)
    np.testing.assert_allclose(to_ecef(*found.T), to_ecef(*np.array(points).T), atol=1e-6)


@given(POINTS, POINTS)
def test_local_frame_keeps_distances(reference: tuple[float, float, float], point: tuple[float, float, float]) -> None:
    local = LocalFrame(*reference).to_local(*np.array(point))
    straight = np.linalg.norm(to_ecef(*np.array(point)) - to_ecef(*np.array(reference)))
    assert np.linalg.norm(local) == pytest.approx(straight, abs=1e-8)


@given(LATITUDES, LONGITUDES)
def test_axes_are_a_right_handed_frame(latitude: float, longitude: float) -> None:
    axes = axes_at(np.array(latitude), np.array(longitude))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(axes) == pytest.approx(1)


@pytest.mark.parametrize(("step", "axis"), [((0, 1e-6, 0), 0), ((1e-6, 0, 0), 1), ((0, 0, 0.1), 2)])
@pytest.mark.parametrize("place", [(0, 0), (47.4, 8.5), (-33.9, 151.2), (89, -120)])
def test_steps_go_east_north_and_up(place: tuple[float, float], step: tuple[float, float, float], axis: int) -> None:
    moved = LocalFrame(*place).to_local(*(np.array([*place, 0.0]) + step))
    assert moved[axis] > 1e-3
    assert np.abs(np.delete(moved, axis)).max() < 1e-6 * moved[axis] + 1e-8


@given(POINTS, POINTS, st.tuples(*[st.floats(-300, 300)] * 3))
def test_turned_vectors_are_differences_of_points(
    reference: tuple[float, float, float], point: tuple[float, float, float], vector: tuple[float, float, float]
) -> None:
    frame, place = LocalFrame(*reference), LocalFrame(*point)
    head, tail = (place.to_geodetic(np.array(end)) for end in (vector, (0.0, 0.0, 0.0)))
    expected = frame.to_local(*head) - frame.to_local(*tail)
    turned = frame.turn_vectors(np.array([point[0]]), np.array([point[1]]), np.array([vector]))
    np.testing.assert_allclose(turned[0], expected, atol=1e-6)


def test_median_across_the_date_line() -> None:
    frame = LocalFrame.amid(np.array([10.0, 11.0, 12.0]), np.array([179.5, 180.0, -179.5]))
    assert abs(frame.longitude) == pytest.approx(180, abs=0.01)
    assert frame.latitude == pytest.approx(11, abs=0.01)
    assert frame.height == 0


def test_missing_numbers_stay_missing() -> None:
    local = LocalFrame(1.0, 2.0).to_local(np.array([1.0, np.nan]), np.array([2.0, 2.0]), np.array([3.0, 3.0]))
    assert np.isfinite(local[0]).all()
    assert np.isnan(local[1]).all()
