"""Which groups are asked about, what they mean, and what follows from what."""

from itertools import product

import numpy as np
import pytest

from forecasting.evaluation._decisions import BROKEN, KEPT, UNKNOWN
from forecasting.evaluation._questions import implied, questions
from forecasting.symmetry.groups import parse_group

N = np.array([2.0, -1.0, 2.0]) / 3
M = np.array([0.6, 0.8, 0.0])
CASES = {"space, n": (3, N), "space": (3, None), "plane, n": (2, M), "plane": (2, None)}
SPACE = ("O(3)", "C∞v(n)", "C∞h(n)", "SO(2)(n)", "D∞h(n)", "SO(3)", "inversion", "O_h")
PLANE = ("O(2)", "SO(2)", "mirror(n)", "C_4", "C_2")
SHIFTS = ("translations", "translations along n", "translations across n")


def asked(dim, axis):
    return {question.name: question for question in questions(dim, axis)}


@pytest.mark.parametrize(
    ("dim", "axis", "names"),
    [
        (3, N, SPACE + SHIFTS),
        (3, None, ("O(3)", "SO(3)", "inversion", "O_h", "translations")),
        (2, M, PLANE + SHIFTS),
        (2, None, ("O(2)", "SO(2)", "C_4", "C_2", "translations")),
    ],
)
def test_the_list(dim, axis, names):
    assert tuple(asked(dim, axis)) == names
    for question in asked(dim, axis).values():
        assert question.group.for_dimension(dim) is question.group
        assert question.moves == question.name.startswith("translations")


@pytest.mark.parametrize("case", CASES)
def test_meanings_are_plain_words_of_their_own(case):
    found = [question.meaning for question in questions(*CASES[case])]
    assert len(set(found)) == len(found)
    for meaning in found:
        assert meaning.split()[0] in ("turned", "mirrored", "shifted")
        assert "{" not in meaning
        assert CASES[case][1] is not None or " n" not in meaning


@pytest.mark.parametrize(
    ("name", "kept", "moved"),
    [
        ("C∞v(n)", [N], []),
        ("SO(2)(n)", [N], []),
        ("C∞h(n)", [], [N]),
        ("D∞h(n)", [], [N]),
    ],
)
def test_groups_about_the_axis_do_with_it_what_they_should(name, kept, moved):
    group = asked(3, N)[name].group
    elements = group.components()
    np.testing.assert_allclose(group.axis, N, atol=1e-8)
    for vector in kept:
        assert all(np.allclose(element @ vector, vector, atol=1e-8) for element in elements)
    for vector in moved:
        assert any(np.allclose(element @ vector, -vector, atol=1e-8) for element in elements)


def test_the_mirror_of_the_plane_holds_the_axis():
    (element,) = asked(2, M)["mirror(n)"].group.discrete()
    np.testing.assert_allclose(element @ M, M, atol=1e-8)
    np.testing.assert_allclose(element @ [0, 0, 1], [0, 0, 1], atol=1e-12)
    assert np.linalg.det(element) == pytest.approx(-1)


@pytest.mark.parametrize(("dim", "axis"), [(3, N), (2, M)])
def test_what_is_read_of_a_place_changes_under_no_shift_that_is_kept(dim, axis):
    found = asked(dim, axis)
    across = np.diag([0.0, 0.0, 1.0]) if dim == 2 else np.zeros((3, 3))
    np.testing.assert_allclose(found["translations"].across(), across, atol=1e-12)
    np.testing.assert_allclose(found["translations along n"].across(), np.eye(3) - np.outer(axis, axis), atol=1e-8)
    flat = np.diag([1.0, 1.0, 0.0]) if dim == 2 else np.eye(3)
    expected = np.eye(3) - flat + np.outer(axis, axis)
    np.testing.assert_allclose(found["translations across n"].across(), expected, atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_what_follows_is_what_groups_contain(case):
    """Over all pairs: a kept group keeps its subgroups, a broken one breaks what holds it, and nothing else follows."""
    every = questions(*CASES[case])
    for one, other in product(every, every):
        alike = one.moves == other.moves
        kept, broken = implied(one, [(other, KEPT)]), implied(one, [(other, BROKEN)])
        assert (kept is not None) == (alike and other.group.contains(one.group)), (one.name, other.name)
        assert (broken is not None) == (alike and one.group.contains(other.group)), (one.name, other.name)
        assert kept in (None, (other, KEPT))
        assert broken in (None, (other, BROKEN))
        assert implied(one, [(other, UNKNOWN)]) is None


BELOW = {
    "O(3)": {"SO(2)(n)", "C∞v(n)", "C∞h(n)", "D∞h(n)", "SO(3)", "inversion", "O_h"},
    "SO(3)": {"SO(2)(n)"},
    "D∞h(n)": {"SO(2)(n)", "C∞v(n)", "C∞h(n)", "inversion"},
    "C∞v(n)": {"SO(2)(n)"},
    "C∞h(n)": {"SO(2)(n)", "inversion"},
    "O_h": {"inversion"},
    "O(2)": {"SO(2)", "mirror(n)", "C_4", "C_2"},
    "SO(2)": {"C_4", "C_2"},
    "C_4": {"C_2"},
    "translations": {"translations along n", "translations across n"},
}


@pytest.mark.parametrize("case", ["space, n", "plane, n"])
def test_the_lattice_by_hand(case):
    every = questions(*CASES[case])
    for one, other in product(every, every):
        expected = one is other or one.name in BELOW.get(other.name, ())
        assert (implied(one, [(other, KEPT)]) is not None) == expected, (one.name, other.name)


def test_the_first_answer_that_settles_it_is_named():
    found = asked(3, N)
    answers = [(found["O(3)"], BROKEN), (found["C∞v(n)"], KEPT), (found["C∞h(n)"], KEPT), (found["inversion"], BROKEN)]
    assert implied(found["SO(2)(n)"], answers) == (found["C∞v(n)"], KEPT)
    assert implied(found["D∞h(n)"], answers) == (found["inversion"], BROKEN)
    assert implied(found["SO(3)"], answers) is None
    assert implied(found["translations"], answers) is None


def test_directions_on_the_axes_of_the_data():
    for axis in np.eye(3):
        group = asked(3, axis)["C∞v(n)"].group
        assert group == parse_group(f"C∞v({'xyz'[int(np.argmax(axis))]})")
