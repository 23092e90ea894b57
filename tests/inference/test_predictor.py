"""Forecasts come back as the file went in."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from forecasting.errors import DataError, UsageError
from forecasting.inference import Predictor
from forecasting.inference.predictor import Anchors
from forecasting.inference.writing import write_forecasts
from forecasting.symmetry.transforms import Orthogonal, rotation_about
from forecasting.testing.scenes import random_scene
from forecasting.trajectories.formats import FORMATS, ReadOptions
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.units import Unit


def forecast(package, scenes, **options):
    return list(Predictor(package, dtype=torch.float64).trajectories(scenes, Anchors(**options)))


def test_ids_times_and_places(package, scene):
    made, _ = package("constant_velocity")
    (found,) = forecast(made, [scene])
    seen = scene.valid[-1]
    assert np.array_equal(found.node_ids, scene.node_ids[seen])
    assert found.anchor_time == pytest.approx(0.8)
    np.testing.assert_allclose(found.time, [0.9, 1.0])
    assert np.array_equal(found.anchor, scene.positions[-1, seen])
    known = (scene.valid[-2] & seen)[seen]
    step = scene.positions[-1, seen] - scene.positions[-2, seen]
    np.testing.assert_allclose(found.positions[known, 0, 1], (found.anchor + 2 * step)[known], atol=1e-9)
    assert (found.unit, found.frame, found.source) == (scene.unit, scene.frame, scene.source)


def test_every_nth_frame(package, scene):
    made, _ = package()
    found = forecast(made, [scene], every=2)
    assert [one.anchor_time for one in found] == pytest.approx([0.2, 0.4, 0.6, 0.8])


@pytest.mark.parametrize("unit", ["cm", "ft", "0.5m", "x=2m,y=0.5m,z=4m"])
def test_other_units_go_in_and_come_out(package, scene, unit):
    from forecasting.trajectories.units import conversion, parse_unit

    made, _ = package()
    (plain,) = forecast(made, [scene])
    parsed = parse_unit(unit, 3)
    factor = conversion("m", parsed.name)
    fields = {n: replace(f, values=f.values * factor, unit=parsed.name) if f.unit == "m" else f for n, f in scene.fields.items()}
    (other,) = forecast(made, [replace(scene, positions=scene.positions * factor, unit=parsed, fields=fields)])
    numbers = parsed.to_file(plain.positions * factor)
    np.testing.assert_allclose(other.positions, numbers, rtol=1e-9, atol=1e-9)
    assert str(other.unit) == str(parsed)


def test_another_up_axis_is_turned_and_turned_back(package, scene, as_up):
    made, _ = package("mlp")
    (plain,) = forecast(made, [scene])
    turn = Orthogonal(rotation_about(np.array([1.0, 0, 0]), -np.pi / 2))
    assert np.allclose(turn.matrix @ [0, 0, 1], [0, 1, 0])
    (other,) = forecast(made, [as_up(scene.transformed(turn), "+y")])
    np.testing.assert_allclose(other.positions, turn.act(plain.positions, "1o"), atol=1e-9)


def test_company_does_not_matter(package, scene):
    made, _ = package()
    rng = np.random.default_rng(0)
    others = [random_scene(rng, f"other-{index}", nodes=index + 1) for index in range(4)]
    (alone,) = forecast(made, [scene])
    among = next(one for one in forecast(made, [*others[:2], scene, *others[2:]]) if one.scene == "new")
    np.testing.assert_allclose(among.positions, alone.positions, atol=1e-12)


WRONG = {
    "rate": (lambda s: replace(s, time=s.time * 2), DataError, "5 frames/s; the model was trained at 10"),
    "field": (lambda s: replace(s, fields={}), DataError, "lacks the field 'charge'"),
    "type": (lambda s: replace(s, node_types=np.array(["a", "b", "tram", "a"])), DataError, "type 'tram'; the model knows a, b"),
    "unit": (lambda s: replace(s, unit=Unit("px")), UsageError, "in px, the model in m"),
    "dimension": (lambda s: random_scene(np.random.default_rng(0), dim=2), DataError, "2 coordinates"),
    "hand": (lambda s: replace(s, frame=replace(s.frame, handedness="left")), UsageError, "left-handed"),
}


@pytest.mark.parametrize("case", WRONG, ids=WRONG.keys())
def test_what_the_model_cannot_take_is_said(package, scene, case):
    change, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        forecast(package()[0], [change(scene)])


def in_every_frame(scene):
    item = scene.fields["charge"]
    return np.repeat(item.values[None], len(scene.time), axis=0)


def with_charge(scene, values, **about):
    return replace(scene, fields={**scene.fields, "charge": replace(scene.fields["charge"], values=values, **about)})


def test_a_field_may_be_given_in_every_frame_where_the_model_knows_it_as_constant(package):
    made, _ = package()
    scenes = [random_scene(np.random.default_rng(index), f"s{index}", nodes=3 + index) for index in range(3)]
    given = [with_charge(scene, in_every_frame(scene)) for scene in scenes]
    for one, two in zip(forecast(made, given), forecast(made, scenes), strict=True):
        assert np.array_equal(one.positions, two.positions)


FIELDS = {
    "changes": (lambda values: values * np.arange(len(values))[:, None, None], "field 'charge' changes in time"),
    "another size": (lambda values: np.repeat(values, 2, axis=2), "field 'charge' has 2 columns, expected 0e"),
}


@pytest.mark.parametrize("case", FIELDS, ids=FIELDS.keys())
def test_a_field_that_is_not_what_the_model_knows(package, scene, case):
    change, message = FIELDS[case]
    values = change(in_every_frame(scene))
    other = with_charge(scene, values, irreps=f"{values.shape[-1]}x0e")
    with pytest.raises(DataError, match=message):
        forecast(package()[0], [other])


def test_files_of_forecasts(package, scene, tmp_path):
    made, _ = package()
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, f"s{index}", nodes=3, gaps=False) for index in range(5)]
    counts = write_forecasts(Predictor(made).trajectories(scenes), tmp_path / "f.parquet")
    table = pq.read_table(tmp_path / "f.parquet")
    assert counts == {"forecasts": 5, "rows": 30}
    assert table.num_rows == 30
    expected = forecast(made, scenes)[3].positions[:, 0, 1, 2]
    rows = table.filter((table["scene"].to_numpy() == "s3") & (table["step"].to_numpy() == 2))
    np.testing.assert_allclose(rows["z"].to_numpy(), expected, rtol=1e-4, atol=1e-4)
    assert table.schema.metadata == {b"unit": b"m", b"up": b"+z", b"handedness": b"right"}


@pytest.mark.parametrize("suffix", ["csv", "npz", "xyz"])
def test_forecasts_in_a_format_of_trajectories(package, tmp_path, suffix):
    made, _ = package()
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, f"s{index}", nodes=3, gaps=False) for index in range(3)]
    path = tmp_path / f"future.{suffix}"
    expected = forecast(made, scenes)
    assert write_forecasts(iter(expected), path) == {"forecasts": 3, "rows": 18}
    for found, one, scene in zip(read_trajectories(path), expected, scenes, strict=True):
        np.testing.assert_array_equal(found.positions, one.positions[:, 0].transpose(1, 0, 2))
        np.testing.assert_array_equal(found.time, one.time)
        assert found.node_ids.tolist() == scene.node_ids.tolist()
        assert (found.scene, found.unit, found.frame) == (scene.scene, scene.unit, scene.frame)


def test_forecasts_go_back_to_the_format_and_numbers_of_the_input(package, tmp_path):
    made, _ = package("static")
    (tmp_path / "play.csv").write_text(
        "time,node,x,y,z\n" + "".join(f"{frame / 10},{node},50,{node},1\n" for frame in range(9) for node in (1, 2))
    )
    (scene,) = read_trajectories(tmp_path / "play.csv", ReadOptions(unit="x=1.05m,y=0.68m,z=1m", up="z", node_type="a"))
    scene = replace(scene, fields=random_scene(np.random.default_rng(0), frames=9, nodes=2, gaps=False).fields)
    (one,) = forecast(made, [scene])
    several = replace(one, positions=np.repeat(one.positions, 2, axis=1), weights=np.array([0.3, 0.7]))
    write_forecasts([several, replace(several, anchor_time=99.0)], tmp_path / "out.dat", "same")
    found = list(FORMATS["csv"].read(tmp_path / "out.dat", ReadOptions()))
    assert [one.scene for one in found] == [f"play{when}/hypothesis-{k}" for when in ("", "@99") for k in (0, 1)]
    assert found[0].unit == scene.unit
    np.testing.assert_allclose(found[0].positions[0, 0], [52.5, 0.68, 1])
    with pytest.raises(UsageError, match="names no format"):
        write_forecasts([several], tmp_path / "out.dat")
    with pytest.raises(UsageError, match="read only"):
        write_forecasts([several], tmp_path / "out.dat", "eth_ucy")
    with pytest.raises(DataError, match="nothing to forecast"):
        write_forecasts([], tmp_path / "out.csv")


def test_a_failing_stream_leaves_no_file(package, scene, tmp_path):
    made, _ = package()
    with pytest.raises(DataError, match="nothing to forecast"):
        write_forecasts([], tmp_path / "f.parquet")
    mixed = [scene, scene.in_unit("cm")]
    with pytest.raises(DataError, match="one by one"):
        write_forecasts(Predictor(made).trajectories(mixed), tmp_path / "f.parquet")
    assert list(tmp_path.glob("*.parquet")) == []


def test_quantiles_of_weighted_hypotheses(package, scene):
    made, _ = package("static")
    (one,) = forecast(made, [scene])
    places = np.stack([one.positions[:, 0] + shift for shift in (0.0, 10.0, 5.0)], axis=1)
    several = replace(one, positions=places, weights=np.array([0.2, 0.5, 0.3]))
    for q, shift in ((0.1, 0), (0.2, 0), (0.3, 5), (0.5, 5), (0.6, 10), (1.0, 10)):
        np.testing.assert_allclose(several.quantile(q), one.positions[:, 0] + shift)
    with pytest.raises(UsageError, match="between 0 and 1"):
        several.quantile(1.5)


def test_pictures(package, scene, tmp_path):
    (one,) = forecast(package()[0], [scene])
    one.plot(tmp_path / "a.png")
    one.plot(tmp_path / "b.svg", axes="xz")
    assert (tmp_path / "a.png").stat().st_size > 5000
    assert "<svg" in (tmp_path / "b.svg").read_text()
