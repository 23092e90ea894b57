"""The contract of a file format, as tests to inherit, and random trajectories to try it with."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.formats import FORMATS, Format, ReadOptions
from forecasting.trajectories.reading import HEAD, SURE_ENOUGH, read_trajectories, sniff
from forecasting.trajectories.trajectory import UP_AXES, Field, Frame, Trajectory
from forecasting.trajectories.units import Unit

STRANGERS: Mapping[str, bytes] = {
    "README.md": b"# Data\n\nRecorded in 2024, 25 frames per second, x and y in metres.\n",
    "track.json": b'{"frame": 1, "id": 2, "x": 3.0, "y": 4.0}\n',
    "track.ndjson": b'{"track": {"f": 1, "p": 2, "x": 3.0, "y": 4.0}}\n' * 3,
    "scene.xml": b'<?xml version="1.0"?>\n<scene><x>1</x><y>2</y></scene>\n',
    "walk.bvh": b"HIERARCHY\nROOT Hips\n{\n\tOFFSET 0.0 0.0 0.0\n}\nMOTION\nFrames: 1\nFrame Time: 0.1\n1 2 3\n",
    "walk.amc": b":FULLY-SPECIFIED\n:DEGREES\n1\nroot 1.0 2.0 3.0 0 0 0\n",
    "water.xyz": b"3\ncomment\nO 0.0 0.0 0.0\nH 0.0 0.0 1.0\nH 0.0 1.0 0.0\n" * 2,
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "letters.csv": b"name,address\nanna,here\nben,there\n",
    "zeros.bin": bytes(300),
}
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=6)
FINITE = st.floats(width=64, allow_nan=False, allow_infinity=False)


@st.composite
def trajectories_strategy(draw: st.DrawFn, max_scenes: int = 3) -> list[Trajectory]:
    """Up to `max_scenes` random scenes that one table can hold: of one dimension, unit, frame and kind of fields."""
    dim = draw(st.sampled_from((2, 3)))
    per_axis = draw(st.sampled_from(((), (1.05, 0.68, 2.0)[:dim])))
    shared: dict[str, Any] = {
        "unit": Unit(draw(st.sampled_from(("m", "px", "asf"))), per_axis),
        "frame": Frame(draw(st.sampled_from(UP_AXES)), draw(st.sampled_from(("right", "left")))),
    }
    irreps = st.sampled_from(("0e", "1o", "2x0e", "0e+1o", *(["2e"] if dim == 3 else [])))
    kind = st.tuples(irreps, st.sampled_from(("", "m/s", "e")), st.booleans(), st.booleans())
    kinds = draw(st.dictionaries(st.sampled_from(("velocity", "charge", "heading of head")), kind, max_size=2))
    identity = draw(st.sampled_from((st.integers(-(2**63), 2**63 - 1), NAMES)))
    scenes = draw(st.lists(NAMES, min_size=1, max_size=max_scenes, unique=True))
    return [draw(_scene(name, dim=dim, identity=identity, kinds=kinds, shared=shared)) for name in scenes]


@st.composite
def _scene(
    draw: st.DrawFn,
    name: str,
    *,
    dim: int,
    identity: st.SearchStrategy[Any],
    kinds: Mapping[str, Any],
    shared: Mapping[str, Any],
) -> Trajectory:
    steps, nodes = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    valid = draw(npst.arrays(np.bool_, (steps, nodes)))
    positions = draw(npst.arrays(np.float64, (steps, nodes, dim), elements=FINITE))
    ids = np.array(draw(st.lists(identity, min_size=nodes, max_size=nodes, unique=True)))
    pairs = draw(st.lists(st.tuples(st.integers(0, nodes - 1), st.integers(0, nodes - 1)), max_size=3))
    types = st.lists(st.text("ab é,\"'#-", max_size=3), min_size=nodes, max_size=nodes)
    fields = {}
    for field, (irreps, unit, translates, per_frame) in kinds.items():
        shape = ((steps,) if per_frame else ()) + (nodes, irreps_dim(irreps, dim))
        values = draw(npst.arrays(np.float64, shape, elements=st.floats(width=64)))
        fields[field] = Field(values, irreps, unit, translates)
    return Trajectory(
        scene=name,
        time=np.sort(draw(npst.arrays(np.float64, (steps,), elements=st.floats(-1e9, 1e9), unique=True))),
        positions=np.where(valid[..., None], positions, np.nan),
        valid=valid,
        node_ids=ids,
        node_types=np.array(draw(types), dtype=str),
        edges=np.array(pairs, dtype=np.int64).reshape(-1, 2),
        edge_types=np.array(draw(st.lists(NAMES, min_size=len(pairs), max_size=len(pairs))), dtype=str),
        fields=fields,
        partition=draw(st.sampled_from(("", "train", "validation", "test"))),
        **shared,
    )


def assert_same_trajectory(found: Trajectory, expected: Trajectory, tolerance: float = 0.0) -> None:
    """Compare everything but the source; a missing value equals a missing value.

    Args:
        found, expected: to compare.
        tolerance: relative error allowed of positions; everything else is compared exactly.
    """
    for name in ("scene", "unit", "frame", "partition"):
        if getattr(found, name) != getattr(expected, name):
            raise AssertionError(f"{name} is {getattr(found, name)!r}, expected {getattr(expected, name)!r}")
    np.testing.assert_allclose(found.positions, expected.positions, rtol=tolerance, atol=0, err_msg="positions")
    for name in ("time", "valid", "node_ids", "node_types", "edges", "edge_types"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name, strict=name != "node_types")
    if found.fields.keys() != expected.fields.keys():
        raise AssertionError(f"fields are {sorted(found.fields)}, expected {sorted(expected.fields)}")
    for name, item in expected.fields.items():
        other = found.fields[name]
        np.testing.assert_array_equal(other.values, item.values, name, strict=True)
        if (other.irreps, other.unit, other.translates) != (item.irreps, item.unit, item.translates):
            raise AssertionError(f"field '{name}' is {other}, expected {item}")


def _refusal(reader: Format, path: Path, options: ReadOptions) -> str:
    """What a reader says against a file; empty if it reads it."""
    try:
        list(reader.read(path, options))
        list(read_trajectories(path, options))
    except ForecastingError as error:
        return str(error)
    return ""


class FormatContract:
    """Inherit, name the format, and write an example.

    Attributes:
        format: its name in the registry.
        options: what a user must say about the example.
        shapes: (T, N, D) of the scenes in the example, in order.
        kin: names of the `STRANGERS` that are files of this format after all.
        storable: lists of scenes that the format can hold without loss, where it can be written.
        tolerance: relative error of positions after a round trip; everything else comes back exactly.
    """

    format: ClassVar[str]
    options: ClassVar[ReadOptions] = ReadOptions()
    shapes: ClassVar[tuple[tuple[int, int, int], ...]]
    kin: ClassVar[tuple[str, ...]] = ()
    storable: ClassVar[st.SearchStrategy[list[Trajectory]]] = trajectories_strategy()
    tolerance: ClassVar[float] = 0.0

    def example(self, folder: Path) -> Path:
        """Write a small valid file (or several files, of which one is named) into the folder."""
        raise NotImplementedError

    def truncated(self, content: bytes) -> bytes:
        """The example cut off where a reader can notice; override for text, which may end anywhere between lines."""
        return content[: len(content) // 2]

    @pytest.fixture
    def reader(self) -> Format:
        """The format."""
        return FORMATS[self.format]

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """The example."""
        return self.example(tmp_path)

    def test_example_is_recognised(self, reader: Format, path: Path) -> None:
        head = b"" if path.is_dir() else path.read_bytes()[:HEAD]
        assert reader.sniff(path, head) >= SURE_ENOUGH
        assert sniff(path).name == self.format

    @pytest.mark.parametrize("name", STRANGERS)
    def test_strangers_are_refused(self, reader: Format, tmp_path: Path, name: str) -> None:
        if name in self.kin:
            return
        (tmp_path / name).write_bytes(STRANGERS[name])
        assert reader.sniff(tmp_path / name, STRANGERS[name]) < SURE_ENOUGH

    def test_example_is_read(self, reader: Format, path: Path) -> None:
        scenes = list(reader.read(path, self.options))
        assert tuple(scene.positions.shape for scene in scenes) == self.shapes
        for scene in scenes:
            assert scene.positions.dtype == scene.time.dtype == np.float64
            assert scene.valid.dtype == np.bool_
            assert scene.edges.dtype == np.int64
            assert scene.node_ids.dtype.kind in "iU"
            assert scene.node_types.dtype.kind == "U"
            assert len(set(scene.node_ids.tolist())) == len(scene.node_ids)
            assert (np.diff(scene.time) > 0).all()
            assert not np.isnan(scene.positions[scene.valid]).any()
            assert np.isnan(scene.positions[~scene.valid]).all()
            assert all(item.values.dtype == np.float64 for item in scene.fields.values())
            assert scene.source.format == self.format
            assert Path(scene.source.path).exists()

    def test_reading_streams(self, reader: Format, path: Path) -> None:
        scenes = reader.read(path, self.options)
        assert isinstance(scenes, Iterator)
        assert isinstance(next(scenes), Trajectory)

    def test_read_through_the_front_door(self, path: Path) -> None:
        found = list(read_trajectories(path, self.options))
        assert tuple(scene.positions.shape for scene in found) == self.shapes

    def test_missing_file(self, reader: Format, path: Path) -> None:
        self._refused(reader, path.with_name(f"absent{path.suffix}"))

    def test_empty_file(self, reader: Format, path: Path) -> None:
        self._damaged(path).write_bytes(b"")
        self._refused(reader, path)

    @pytest.mark.parametrize(
        "content", [b"hello\nworld\n", b"\xff\xfe\x00garbage\x80" * 40, b"\x93NUMPY", b"PK\x03\x04", b"PAR1"]
    )
    def test_garbage(self, reader: Format, path: Path, content: bytes) -> None:
        self._damaged(path).write_bytes(content)
        self._refused(reader, path)

    def test_truncated_file(self, reader: Format, path: Path) -> None:
        damaged = self._damaged(path)
        damaged.write_bytes(self.truncated(damaged.read_bytes()))
        self._refused(reader, path)

    def test_damage_is_never_a_crash(self, reader: Format, path: Path) -> None:
        damaged = self._damaged(path)
        content, rng = np.frombuffer(damaged.read_bytes(), dtype=np.uint8), np.random.default_rng(0)
        for _ in range(60):
            other = content.copy()
            other[rng.integers(0, len(other), size=3)] = rng.integers(0, 256, size=3)
            damaged.write_bytes(other.tobytes())
            message = _refusal(reader, path, self.options)
            assert "\n" not in message

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def test_round_trip_is_exact(self, data: st.DataObject) -> None:
        reader = FORMATS[self.format]
        if not reader.can_write:
            return
        scenes = data.draw(self.storable)
        with TemporaryDirectory() as folder:
            path = Path(folder) / f"written{reader.suffixes[0]}"
            reader.write(path, iter(scenes))
            assert [item.name for item in Path(folder).iterdir()] == [path.name]
            assert sniff(path).name == self.format
            for found, expected in zip(reader.read(path, ReadOptions()), scenes, strict=True):
                assert_same_trajectory(found, expected, self.tolerance)

    def test_what_cannot_be_written_says_so(self, reader: Format, tmp_path: Path) -> None:
        if not reader.can_write:
            with pytest.raises(UsageError, match="read only"):
                reader.write(tmp_path / "out", [])

    def _damaged(self, path: Path) -> Path:
        return path if path.is_file() else min(item for item in path.iterdir() if item.is_file())

    def _refused(self, reader: Format, path: Path) -> None:
        with pytest.raises((DataError, UsageError)) as caught:
            list(reader.read(path, self.options))
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)
