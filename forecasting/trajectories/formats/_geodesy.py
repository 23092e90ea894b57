"""Geodetic coordinates on the WGS84 ellipsoid, Earth-centred ones (ECEF), and a plane that touches the Earth (ENU).

Latitudes and longitudes are in degrees, heights above the ellipsoid and all other lengths in metres. ECEF has z along the
pole and x through longitude 0; ENU has x east, y north and z up at its reference point.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEMI_MAJOR = 6378137.0
FLATTENING = 1 / 298.257223563
SEMI_MINOR = SEMI_MAJOR * (1 - FLATTENING)
ECCENTRICITY_2 = FLATTENING * (2 - FLATTENING)

_SECOND_ECCENTRICITY_2 = ECCENTRICITY_2 / (1 - ECCENTRICITY_2)
_ROUNDS = 5
"""Rounds of Bowring's iteration; from -100 km to far above the Earth three reach the last digit."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LocalFrame:
    """East, north and up at a reference point: the tangent plane of the ellipsoid there is z = ``-height``.

    Attributes:
        latitude, longitude: [degrees] of the reference point.
        height: [m] of the origin above the ellipsoid.
    """

    latitude: float
    longitude: float
    height: float = 0.0

    @classmethod
    def amid(cls, latitude: Array, longitude: Array) -> "LocalFrame":
        """The frame on the ellipsoid at the median of (N,) points, also where longitudes jump from 180 to -180 degrees."""
        middle = np.median(to_ecef(latitude, longitude, np.zeros_like(latitude)), axis=0)
        found = to_geodetic(middle)
        return cls(float(found[0]), float(found[1]))

    def to_local(self, latitude: Array, longitude: Array, height: Array) -> Array:
        """(...,) each -> (..., 3) east, north, up [m]."""
        return (to_ecef(latitude, longitude, height) - self._origin) @ self._axes.T

    def to_geodetic(self, local: Array) -> Array:
        """(..., 3) east, north, up [m] -> (..., 3) latitude, longitude [degrees], height [m]; undoes `to_local`."""
        return to_geodetic(local @ self._axes + self._origin)

    def turn_vectors(self, latitude: Array, longitude: Array, vectors: Array) -> Array:
        """(N, 3) vectors in the east, north and up of (N,) places -> the same in this frame."""
        return np.einsum("nij,ni->nj", axes_at(latitude, longitude), vectors) @ self._axes.T

    @property
    def _origin(self) -> Array:
        return to_ecef(np.array(self.latitude), np.array(self.longitude), np.array(self.height))

    @property
    def _axes(self) -> Array:
        return axes_at(np.array(self.latitude), np.array(self.longitude))


def to_ecef(latitude: Array, longitude: Array, height: Array) -> Array:
    """(...,) each -> (..., 3) ECEF [m]."""
    phi, lam = np.radians(latitude), np.radians(longitude)
    normal = SEMI_MAJOR / np.sqrt(1 - ECCENTRICITY_2 * np.sin(phi) ** 2)
    axial = (normal + height) * np.cos(phi)
    return np.stack([axial * np.cos(lam), axial * np.sin(lam), (normal * (1 - ECCENTRICITY_2) + height) * np.sin(phi)], axis=-1)


def to_geodetic(ecef: Array) -> Array:
    """(..., 3) ECEF [m] -> (..., 3) latitude, longitude [degrees] and height [m]; undoes `to_ecef` near and above the ground."""
    x, y, z = np.moveaxis(np.asarray(ecef, dtype=np.float64), -1, 0)
    axial = np.hypot(x, y)
    tan_sin, tan_cos = z * SEMI_MAJOR, axial * SEMI_MINOR
    for _ in range(_ROUNDS):
        beta = np.arctan2(tan_sin, tan_cos)
        up = z + _SECOND_ECCENTRICITY_2 * SEMI_MINOR * np.sin(beta) ** 3
        out = axial - ECCENTRICITY_2 * SEMI_MAJOR * np.cos(beta) ** 3
        tan_sin, tan_cos = SEMI_MINOR * up, SEMI_MAJOR * out
    phi = np.arctan2(up, out)
    height = axial * np.cos(phi) + z * np.sin(phi) - SEMI_MAJOR * np.sqrt(1 - ECCENTRICITY_2 * np.sin(phi) ** 2)
    return np.stack([np.degrees(phi), np.degrees(np.arctan2(y, x)), height], axis=-1)


def axes_at(latitude: Array, longitude: Array) -> Array:
    """(...,) places -> (..., 3, 3): rows are east, north and up there, in ECEF."""
    phi, lam = np.radians(latitude), np.radians(longitude)
    sin, cos, zero = np.sin(lam), np.cos(lam), np.zeros_like(lam)
    east = np.stack([-sin, cos, zero], axis=-1)
    north = np.stack([-np.sin(phi) * cos, -np.sin(phi) * sin, np.cos(phi)], axis=-1)
    up = np.stack([np.cos(phi) * cos, np.cos(phi) * sin, np.sin(phi)], axis=-1)
    return np.stack([east, north, up], axis=-2)
