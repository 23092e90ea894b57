import pytest

from forecasting.testing.models import ForecasterContract

ALL = ("translated", "yaw", "so3", "mirrored")


class TestStatic(ForecasterContract):
    model = "static"
    follows = ALL


class TestConstantVelocity(ForecasterContract):
    model = "constant_velocity"
    follows = ALL


class TestMeanVelocity(ForecasterContract):
    model = "mean_velocity"
    follows = ALL


class TestLinearDynamics(ForecasterContract):
    model = "linear_dynamics"
    follows = ALL


class TestMLP(ForecasterContract):
    model = "mlp"
    arguments = {"hidden": 8, "layers": 2}


class TestGNN(ForecasterContract):
    model = "gnn"
    arguments = {"hidden": 8, "layers": 2}


class TestEGNN(ForecasterContract):
    model = "egnn"
    arguments = {"hidden": 8, "layers": 3}
    follows = ALL
    reads_fields = True


class TestEGNNAsPublished(ForecasterContract):
    model = "egnn"
    arguments = {"hidden": 8, "layers": 2, "start": "static", "bounded": False, "scalars": [], "products": ["charge"]}
    follows = ALL
    reads_fields = True


@pytest.mark.parametrize("model", ["mlp", "gnn"])
def test_models_without_symmetry_do_not_follow_rotations(model, tmp_path):
    class Broken(ForecasterContract):
        follows = ("so3",)

    from forecasting.testing.scenes import random_dataset
    from forecasting.trajectories.windows import WindowSpec

    Broken.model, Broken.arguments = model, {"hidden": 8}
    with pytest.raises(AssertionError, match="so3"):
        Broken().test_follows_its_symmetries(
            random_dataset(tmp_path / "d"), WindowSpec(2, (3,)), __import__("torch").float64, 1e-6
        )
