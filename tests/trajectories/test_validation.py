import logging
from dataclasses import replace

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.trajectory import Field, Source, Trajectory
from forecasting.trajectories.units import Unit
from forecasting.trajectories.validation import ENTRY_CHECKS, Finding, apply, validate


def scene(frames: int = 20, nodes: int = 4) -> Trajectory:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(frames, nodes, 2))
    return Trajectory(
        scene="yard",
        time=np.arange(frames) * 0.1,
        positions=np.cumsum(steps, axis=0),
        valid=np.ones((frames, nodes), dtype=bool),
        node_ids=np.array([11, 12, 13, 14][:nodes]),
        node_types=np.full(nodes, "car"),
        unit=Unit("m"),
        edges=np.array([[0, 1], [1, 3]]),
        edge_types=np.array(["tow", "tow"]),
        fields={"speed": Field(np.ones((frames, nodes, 1))), "mass": Field(np.ones((nodes, 1)))},
        source=Source("yard.csv", "csv"),
    )


def changed(frame: int, node: int, value: object) -> Trajectory:
    base = scene()
    base.positions[frame, node] = value
    return base


def errors(trajectory: Trajectory) -> list[Finding]:
    return [finding for finding in validate(trajectory) if finding.severity == "error"]


def test_good_data_pass() -> None:
    assert validate(scene()) == []
    assert apply(scene(), []) is not None


def test_missing_points_are_no_fault() -> None:
    base = scene()
    base.valid[3, 1] = False
    base.positions[3, 1] = np.nan
    assert validate(base) == []


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_non_finite_positions(value: float) -> None:
    (finding,) = errors(changed(5, 2, [value, 0.0]))
    assert (finding.check, finding.frames, finding.node, finding.path) == ("non_finite", (5,), 13, "yard.csv")


def test_non_finite_fields_and_times() -> None:
    base = scene()
    base.fields["speed"].values[4, 1] = np.inf
    base.fields["mass"].values[2] = -np.inf
    base.time[7] = np.nan
    found = {(one.check, one.frames, one.node) for one in errors(base)}
    assert found == {("non_finite", (7,), None), ("non_finite", (4,), 12), ("non_finite", (), 13)}
    masked = apply(base, validate(base), "mask")
    assert len(masked.time) == 19
    assert not masked.valid[:, 2].any()
    assert all(np.isfinite(item.values[~np.isnan(item.values)]).all() for item in masked.fields.values())
    assert errors(masked) == []


def test_infinite_time_does_not_hide_the_rest() -> None:
    base = scene()
    base.time[7] = np.inf
    assert [(one.check, one.frames) for one in errors(base)] == [("non_finite", (7,))]


def test_clocks() -> None:
    base = scene()
    base.time[5] = base.time[4]
    base.time[9] = base.time[2]
    found = {(one.check, one.frames) for one in errors(base)}
    assert found == {("repeated_time", (5,)), ("backward_time", (9,))}
    for how in ("mask", "drop"):
        mended = apply(base, validate(base), how)
        assert mended.positions.shape == (18, 4, 2)
        assert (np.diff(mended.time) > 0).all()


def test_duplicate_ids_and_rows() -> None:
    base = replace(scene(), node_ids=np.array([11, 12, 12, 14]))
    (finding,) = errors(base)
    assert (finding.check, finding.node) == ("duplicate_node", 12)
    assert apply(base, [finding], "drop").node_ids.tolist() == [11, 14]
    noted = replace(scene(), source=Source("yard.csv", "csv", {"duplicate_rows": [[3, 1, "line 9"], [5, 1, "line 12"]]}))
    (finding,) = errors(noted)
    assert (finding.node, finding.frames, finding.place) == (12, (3, 5), "line 9")
    assert "yard.csv: scene 'yard', line 9, frame 3 and 1 more, node 12: duplicate_node" in str(finding)
    mended = apply(noted, [finding], "mask")
    assert not mended.valid[[3, 5], 1].any()
    assert errors(mended) == []


def test_a_single_wrong_point_is_one_jump() -> None:
    (finding,) = errors(changed(8, 0, [1e5, 0.0]))
    assert (finding.check, finding.frames, finding.node) == ("jump", (8,), 11)


def test_a_leap_to_another_place_is_one_jump() -> None:
    base = scene()
    base.positions[8:, 0] += 1e5
    (finding,) = errors(base)
    assert (finding.check, finding.frames) == ("jump", (8,))


def test_jumps_across_gaps_count_the_time_that_went_by() -> None:
    base = scene()
    base.valid[5:15, 0] = False
    base.positions[5:15, 0] = np.nan
    assert errors(base) == []


def test_a_moving_node_among_resting_ones_is_no_jump() -> None:
    base = scene()
    base.positions[:, 1:] = base.positions[0, 1:]
    assert errors(base) == []
    resting = scene()
    resting.positions[:] = 1.0
    assert errors(resting) == []


def test_too_short() -> None:
    base = scene(frames=3)
    assert errors(base) == []
    (finding,) = validate(base, min_frames=8)
    assert (finding.check, finding.severity) == ("too_short", "warning")
    assert str(finding).endswith("it has 3 frames, fewer than 8; nothing to do: it takes part in no window")
    assert apply(base, [finding], "drop") is base


def test_warnings_change_nothing() -> None:
    base = scene()
    base.positions[:, 3] = 2.0
    base.valid[1:, 2] = False
    base.positions[1:, 2] = np.nan
    base.fields["speed"].values[2, 0] = np.nan
    findings = validate(base)
    found = {(one.check, one.severity, one.node) for one in findings}
    assert found == {
        ("constant_node", "warning", 14),
        ("seldom_seen", "warning", 13),
        ("missing_field", "warning", 11),
    }
    for how in ("fail", "mask", "drop"):
        assert apply(base, findings, how) is base


def test_fail_lists_the_first_and_counts_all() -> None:
    base = scene()
    base.positions[5] = np.inf
    with pytest.raises(
        DataError, match=r"yard\.csv: scene 'yard', frame 5, node 11: non_finite: .*4 errors.*--on-error"
    ) as caught:
        apply(base, validate(base))
    assert "\n" not in str(caught.value)


def test_mask_touches_the_entries_only(caplog: pytest.LogCaptureFixture) -> None:
    base = changed(5, 2, np.inf)
    with caplog.at_level(logging.WARNING):
        masked = apply(base, validate(base), "mask")
    assert "mask: yard.csv: scene 'yard', frame 5, node 13: non_finite" in caplog.text
    assert not masked.valid[5, 2]
    assert masked.valid.sum() == base.valid.sum() - 1
    assert np.isnan(masked.positions[5, 2]).all()
    assert np.isnan(masked.fields["speed"].values[5, 2]).all()
    assert base.valid.all()


def test_drop_removes_the_node_and_its_edges() -> None:
    base = changed(5, 0, np.inf)
    dropped = apply(base, validate(base), "drop")
    assert dropped.node_ids.tolist() == [12, 13, 14]
    assert dropped.edges.tolist() == [[0, 2]]
    assert dropped.edge_types.tolist() == ["tow"]
    assert dropped.fields["mass"].values.shape == (3, 1)
    assert dropped.fields["speed"].values.shape == (20, 3, 1)


def test_findings_of_other_scenes_are_not_ours() -> None:
    base = changed(5, 0, np.inf)
    assert apply(scene(), [replace(one, scene="other") for one in validate(base)]).valid.all()


def test_unknown_way_to_go_on() -> None:
    with pytest.raises(UsageError, match="did you mean 'drop'"):
        apply(scene(), [], "dropp")


@settings(max_examples=200)
@given(
    moves=npst.arrays(
        np.float64,
        st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(2, 3)),
        elements=st.sampled_from([0.0, 1.0, 1.5, -1.0, 49.0, 51.0, 70.0, 1e160, 1e308, np.inf]),
    ),
    steps=st.lists(st.sampled_from([0.1, 0.1, 0.1, 1.0, 0.0, -0.1]), min_size=6, max_size=6),
)
def test_the_quick_look_never_hides_what_the_checks_would_find(moves, steps):
    with np.errstate(all="ignore"):
        positions = np.cumsum(moves, axis=0)
    frames, nodes, _ = positions.shape
    scene = Trajectory(
        scene="s",
        time=np.cumsum(steps)[:frames],
        positions=positions,
        valid=np.ones((frames, nodes), dtype=bool),
        node_ids=np.arange(nodes),
        node_types=np.full(nodes, "node"),
        unit=Unit("m"),
    )
    with np.errstate(all="ignore"):
        found = {(item.check, item.node, item.frames) for check in ENTRY_CHECKS for item in check(scene, 2)}
        reported = {(item.check, item.node, item.frames) for item in validate(scene)}
    assert found <= reported
