"""Ratios of paired errors and what is decided from several of them at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.evaluation import _decisions
from forecasting.evaluation._decisions import BROKEN, KEPT, LEVEL, LIMIT, RESAMPLES, UNKNOWN, Ratio, compare, decide


def ratio(kept=1.0, broken=1.0):
    return Ratio(1.0, 0.9, 1.1, kept, broken)


def errors(scenes, seed=0):
    return np.random.default_rng(seed).gamma(2.0, size=scenes)


@pytest.mark.parametrize("scenes", [2, 8, 500])
def test_equal_errors_have_the_ratio_one_exactly(scenes):
    free = errors(scenes)
    found = compare({"same": free.copy(), "twice": 2 * free}, free, 0)
    assert (found["same"].value, found["same"].low, found["same"].high) == (1.0, 1.0, 1.0)
    assert found["same"].kept == 1 / (RESAMPLES + 1)
    assert found["same"].broken == 1.0
    assert (found["twice"].value, found["twice"].low, found["twice"].high) == (2.0, 2.0, 2.0)
    assert found["twice"].broken == 1 / (RESAMPLES + 1)
    assert decide(found, 2) == {"same": KEPT, "twice": BROKEN}


@given(
    free=st.lists(st.floats(1e-6, 1e3), min_size=3, max_size=30),
    unit=st.sampled_from([1e-4, 0.5, 4096.0]),
    seed=st.integers(0, 5),
)
def test_units_do_not_matter_and_intervals_hold_their_value(free, unit, seed):
    free = np.array(free)
    held = free * np.random.default_rng(seed).uniform(0.5, 3.0, size=len(free))
    one, other = compare({"a": held}, free, seed)["a"], compare({"a": unit * held}, unit * free, seed)["a"]
    assert one.low <= one.high
    assert one.value == pytest.approx(held.mean() / free.mean())
    assert 0.5 <= one.low <= one.high <= 3.0
    for key, value in one.plain().items():
        assert other.plain()[key] == pytest.approx(value, rel=1e-9)


def test_the_same_scenes_are_drawn_for_every_group_and_again():
    free, held = errors(20), errors(20, 1)
    alone, among = compare({"b": held}, free, 3), compare({"a": free * 1.1, "b": held, "c": held}, free, 3)
    assert alone["b"] == among["b"] == among["c"]
    assert compare({"b": held}, free, 4)["b"] != alone["b"]


def test_the_interval_is_that_of_pairs():
    """Errors that differ much from scene to scene, and little between two networks: the ratio is known well."""
    free = errors(40) ** 3
    held = free * (1 + 0.01 * np.random.default_rng(1).normal(size=40))
    found = compare({"a": held}, free, 0)["a"]
    assert found.high - found.low < 0.03
    unpaired = compare({"a": np.random.default_rng(2).permutation(held)}, free, 0)["a"]
    assert unpaired.high - unpaired.low > 0.2


def test_the_standard_error_is_that_of_the_delta_method():
    free, held = errors(400), errors(400) + np.random.default_rng(5).normal(scale=0.2, size=400)
    found = compare({"a": held}, free, 0)["a"]
    value = held.mean() / free.mean()
    expected = (held - value * free).std(ddof=1) / free.mean() / 400**0.5
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(expected, rel=0.05)


def test_no_error_at_all_is_not_a_crash():
    found = compare({"a": np.zeros(10), "b": np.ones(10)}, np.zeros(10), 0)
    assert np.isfinite([value for one in found.values() for value in one.plain().values()]).all()
    assert decide(found, 2)["b"] == BROKEN


HOLM = {
    "the least p-value is held to LEVEL / 4, the next to LEVEL / 3, …": (
        {"a": ratio(kept=0.006), "b": ratio(broken=0.008), "c": ratio(kept=0.012), "d": ratio(broken=0.02)},
        4,
        {"a": KEPT, "b": BROKEN, "c": KEPT, "d": BROKEN},
    ),
    "who comes after a failure fails": (
        {"a": ratio(kept=0.006), "b": ratio(broken=0.0084), "c": ratio(kept=0.0085), "d": ratio(broken=0.02)},
        4,
        {"a": KEPT, "b": UNKNOWN, "c": UNKNOWN, "d": UNKNOWN},
    ),
    "the first fails": ({"a": ratio(kept=0.007), "b": ratio(broken=0.01)}, 4, {"a": UNKNOWN, "b": UNKNOWN}),
    "a single question": ({"a": ratio(kept=LEVEL)}, 1, {"a": KEPT}),
    "a single question, just missed": ({"a": ratio(kept=LEVEL + 1e-9)}, 1, {"a": UNKNOWN}),
    "questions that were not tried count": ({"a": ratio(kept=0.02)}, 3, {"a": UNKNOWN}),
    "order does not matter": ({"b": ratio(broken=0.012), "a": ratio(kept=0.001)}, 2, {"a": KEPT, "b": BROKEN}),
    "nothing asked": ({}, 0, {}),
}


@pytest.mark.parametrize("case", HOLM)
def test_holm(case):
    ratios, count, expected = HOLM[case]
    assert decide(ratios, count) == expected


@given(values=st.lists(st.tuples(st.floats(1e-4, 1), st.floats(1e-4, 1)), min_size=1, max_size=8), more=st.integers(0, 5))
def test_holm_lies_between_bonferroni_and_no_correction(values, more):
    ratios = {str(index): ratio(*pair) for index, pair in enumerate(values)}
    found = decide(ratios, len(values) + more)
    for name, one in ratios.items():
        least = min(one.kept, one.broken)
        if least <= LEVEL / (len(values) + more):
            assert found[name] != UNKNOWN
        if least > LEVEL:
            assert found[name] == UNKNOWN
    fewer = decide(ratios, len(values))
    assert all(fewer[name] == answer for name, answer in found.items() if answer != UNKNOWN)


def paired(rng, scenes, value, noise):
    """Errors of a free and of a restricted network, `value` times as large in the mean, in scenes that are alike in both."""
    free = rng.gamma(4.0, size=scenes)
    held = value * free * rng.gamma(1 / noise**2, noise**2, size=scenes)
    return held, free


@pytest.mark.parametrize(
    ("value", "answer"), [(LIMIT, BROKEN), (LIMIT, KEPT), (1.0, BROKEN), (1.1, KEPT)], ids=["edge", "edge", "inside", "outside"]
)
def test_wrong_answers_are_as_rare_as_they_should_be(monkeypatch, value, answer):
    """At most about 2.5 % of each kind where the truth is at the limit, none well inside of it."""
    monkeypatch.setattr(_decisions, "RESAMPLES", 1000)
    rng = np.random.default_rng(7)
    trials = 400
    wrong = sum(
        decide(compare({"a": held}, free, 0), 1)["a"] == answer
        for held, free in (paired(rng, 50, value, 0.1) for _ in range(trials))
    )
    assert wrong / trials < (0.055 if value == LIMIT else 0.005)
    if value == LIMIT:
        assert wrong / trials > 0.003  # a level of its own, not a test that never answers


@pytest.mark.parametrize(("value", "answer"), [(1.0, KEPT), (1.1, BROKEN)])
def test_clear_answers_are_given(monkeypatch, value, answer):
    monkeypatch.setattr(_decisions, "RESAMPLES", 1000)
    rng = np.random.default_rng(8)
    found = [decide(compare({"a": held}, free, 0), 1)["a"] for held, free in (paired(rng, 100, value, 0.03) for _ in range(50))]
    assert found.count(answer) > 45


@pytest.mark.parametrize("seed", range(6))
def test_kept_means_that_the_upper_end_is_below_the_limit(seed):
    held, free = paired(np.random.default_rng(seed), 60, [1.0, 1.01, LIMIT, 1.03, 1.05, 1.005][seed], 0.05)
    found = compare({"a": held}, free, seed)["a"]
    answer = decide({"a": found}, 1)["a"]
    expected = KEPT if found.high < LIMIT else BROKEN if found.low > LIMIT else UNKNOWN
    assert answer == expected
