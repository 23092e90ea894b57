from forecasting.testing.models import ForecasterContract

ALL = ("translated", "yaw", "so3", "mirrored")


class TestSEGNN(ForecasterContract):
    model = "segnn"
    arguments = {"hidden": 8, "layers": 2}
    follows = ALL
    reads_fields = True


class TestSEGNNHigherDegrees(ForecasterContract):
    model = "segnn"
    arguments = {"hidden": 6, "layers": 2, "l_max": 2, "l_attr": 3, "aggregate": "mean"}
    follows = ALL
    reads_fields = True


class TestSEGNNWithoutMirrors(ForecasterContract):
    model = "segnn"
    arguments = {"hidden": 6, "layers": 1, "l_max": 2, "symmetry": "SO(3)", "start": "static"}
    follows = ("translated", "yaw", "so3")
    reads_fields = True
