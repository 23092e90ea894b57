"""Errors on copies: a symmetric model is equal on them, another is not."""

import numpy as np
import pytest

from forecasting.errors import DataError
from forecasting.evaluation.protocol import evaluate, partition_anchors
from forecasting.testing.scenes import random_dataset


@pytest.mark.parametrize("dim", [2, 3])
def test_constant_velocity_is_equal_on_every_copy(package, dim):
    made, dataset = package("constant_velocity", dim=dim)
    result = evaluate(made, dataset, partition_anchors(made, dataset, "all"))
    assert set(result["copies"]) == {"yaw", "translated", "mirrored"} | ({"so3"} if dim == 3 else set())
    for copy in result["copies"].values():
        assert copy["residual"] < 1e-5
        for key in ("mse", "ade", "fde", "mpjpe"):
            assert copy[key] == pytest.approx(result["plain"][key], rel=1e-5)
    assert result["plain"] == result["baselines"]["constant_velocity"]


def test_a_model_without_symmetry_is_caught(package):
    made, dataset = package("mlp")
    result = evaluate(made, dataset, partition_anchors(made, dataset, "all"))
    assert result["copies"]["yaw"]["residual"] > 1e-2
    assert result["copies"]["so3"]["residual"] > 1e-2
    assert result["copies"]["mirrored"]["residual"] > 1e-2
    assert result["copies"]["translated"]["residual"] < 1e-5


def test_the_split_of_the_package_is_used_on_its_own_data_only(package, tmp_path):
    made, dataset = package("static")
    parts = {name: partition_anchors(made, dataset, name) for name in ("train", "validation", "test", "all")}
    scenes = {name: set(part[:, 0]) for name, part in parts.items()}
    assert scenes["train"].isdisjoint(scenes["test"])
    assert len(parts["test"]) < len(parts["all"])
    other = random_dataset(tmp_path / "other", seed=9)
    assert len(partition_anchors(made, other, "test")) == len(partition_anchors(made, other, "all"))


def test_data_of_another_kind_are_refused(package, tmp_path):
    made, _ = package("static")
    flat = random_dataset(tmp_path / "flat", dim=2)
    with pytest.raises(DataError, match="dimension 2"):
        evaluate(made, flat, partition_anchors(made, flat, "all"))
    typed = random_dataset(tmp_path / "typed", types=("b", "c"))
    with pytest.raises(DataError, match="node types"):
        evaluate(made, typed, partition_anchors(made, typed, "all"))


def test_the_same_seed_gives_the_same_copies(package):
    made, dataset = package("mlp")
    anchors = partition_anchors(made, dataset, "all")
    one, two, other = (evaluate(made, dataset, anchors, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert not np.isclose(one["copies"]["so3"]["mse"], other["copies"]["so3"]["mse"], rtol=1e-9)
