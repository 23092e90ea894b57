import numpy as np
import pytest
from hypothesis import given, settings

from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Projector
from forecasting.symmetry.transforms import parse_irreps
from forecasting.testing.maps import irreps_strategy, random_map

EXACT = 1e-12


def blocks(irreps):
    start = 0
    for count, degree, parity in parse_irreps(irreps):
        for _ in range(count):
            yield slice(start, start + 2 * degree + 1), degree, parity
            start += 2 * degree + 1


def turning_about_y(block, low, high):
    """SO(2) about y: complex-linear 2x2 blocks of equal |m|, a and b as in the table of closed forms."""
    kept = np.zeros_like(block)
    kept[high, low] = block[high, low]
    for m in range(1, min(low, high) + 1):
        a = (block[high - m, low - m] + block[high + m, low + m]) / 2
        b = (block[high + m, low - m] - block[high - m, low + m]) / 2
        kept[high - m, low - m] = kept[high + m, low + m] = a
        kept[high + m, low - m], kept[high - m, low + m] = b, -b
    return kept


def mirror_signs(degree, parity, axis):
    m = np.arange(-degree, degree + 1)
    negative = np.where(m < 0, -1, 1)
    return parity * (-1) ** degree * {"x": negative, "y": (-1.0) ** (degree - np.abs(m)), "z": (-1.0) ** m * negative}[axis]


def mirrored(block, low, p, high, q, axis):
    return block * (np.outer(mirror_signs(high, q, axis), mirror_signs(low, p, axis)) > 0)


CLOSED = {
    "SO(3)": lambda block, low, p, high, q: np.eye(2 * low + 1) * np.trace(block) / (2 * low + 1) if low == high else 0 * block,
    "O(3)": lambda block, low, p, high, q: (
        np.eye(2 * low + 1) * np.trace(block) / (2 * low + 1) if (low, p) == (high, q) else 0 * block
    ),
    "inversion": lambda block, low, p, high, q: block * (p == q),
    "SO(2)(y)": lambda block, low, p, high, q: turning_about_y(block, low, high),
    "C∞v(y)": lambda block, low, p, high, q: mirrored(turning_about_y(block, low, high), low, p, high, q, "x"),
    "C∞h(y)": lambda block, low, p, high, q: mirrored(turning_about_y(block, low, high), low, p, high, q, "y"),
    **{f"mirror({axis})": lambda block, low, p, high, q, axis=axis: mirrored(block, low, p, high, q, axis) for axis in "xyz"},
    "identity": lambda block, low, p, high, q: block,
}


@pytest.mark.parametrize("group", CLOSED)
@settings(max_examples=15)
@given(irreps_in=irreps_strategy(), irreps_out=irreps_strategy())
def test_closed_forms(group, irreps_in, irreps_out):
    matrix = random_map(irreps_in, irreps_out)
    expected = matrix.numpy().copy()
    outputs = list(blocks(irreps_out))
    for columns, low, p in blocks(irreps_in):
        for rows, high, q in outputs:
            expected[rows, columns] = CLOSED[group](matrix.numpy()[rows, columns], low, p, high, q)
    found = Projector(parse_group(group), irreps_in, irreps_out).project(matrix).numpy()
    np.testing.assert_allclose(found, expected, atol=EXACT)
