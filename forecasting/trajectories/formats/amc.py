"""Motion capture of Acclaim: joint angles per frame (AMC) for a skeleton in a file of its own (ASF)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._asf import Skeleton, read_skeleton
from forecasting.trajectories.formats._skeleton import bad_number, bones, parse_numbers, place, words_per_line
from forecasting.trajectories.formats._text import reading_text, sample_lines
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Source, Trajectory

RATE = 120.0
"""[frames/s] of the CMU recordings, where the file has no ``:SAMPLES-PER-SECOND``."""

CMU_LENGTH = 0.45
"""``:units length`` of the CMU skeletons; their unit is called ``asf``: 0.0254 m / 0.45 = 0.056444 m, as in `cmu_npz`."""


class AmcFormat(Format):
    """One scene per AMC file, with the skeleton that lies beside it.

    The skeleton is ``NAME.asf``, else that of the subject (``35.asf`` for ``35_01.amc``), else the only one in the folder.
    Joints lie at the ends of their bones, by forward kinematics; the time of a frame is its number in the file over the rate,
    so that trimmed recordings keep their clock. Lost: angles, masses, limits and shapes of bones.
    """

    name = "amc"
    summary = "Acclaim ASF/AMC joint angles to positions; skeleton beside it; y up; 120 frames/s unless --rate; CMU's unit asf"
    suffixes = (".amc",)

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by its keyword; see `Format.sniff`."""
        words = [line.strip().upper() for line in sample_lines(head) if line.startswith(":")]
        return 1.0 if ":FULLY-SPECIFIED" in words and ":BONEDATA" not in words else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        with reading_text(path):
            content = path.read_bytes()
        header = _Header.of(path, content)
        asf = _skeleton_beside(path)
        skeleton = read_skeleton(asf)
        frames, channels = _Motion(path, content[header.size :], header.lines, asf, skeleton).parse()
        rate = options.resolve_rate(path, header.rate)
        unit = options.resolve_unit(path, 3, "asf" if skeleton.length == CMU_LENGTH else "")
        degrees = skeleton.degrees if header.degrees is None else header.degrees
        positions = unit.from_file(place(skeleton.joints, channels, degrees=degrees))
        edges = bones(skeleton.joints)
        yield Trajectory(
            scene=path.stem,
            time=frames / rate,
            positions=positions,
            valid=observed(positions),
            node_ids=np.array([joint.name for joint in skeleton.joints]),
            node_types=np.full(len(skeleton.joints), options.node_type or "joint"),
            unit=unit,
            frame=options.resolve_frame(path, 3, "+y"),
            edges=edges,
            edge_types=np.full(len(edges), "bone"),
            source=Source(str(path), self.name, {"rate": rate, "skeleton": asf.name}),
        )


@dataclass(frozen=True)
class _Header:
    """Keywords before the first frame: how many bytes and lines they take, and what they say."""

    size: int
    lines: int
    degrees: bool | None
    rate: float

    @classmethod
    def of(cls, path: Path, content: bytes) -> "_Header":
        size, lines, degrees, rate = 0, 0, None, RATE
        while size < len(content):
            end = content.find(b"\n", size) + 1 or len(content)
            line = content[size:end].strip()
            if line and not line.startswith((b"#", b":")):
                break
            words = line.upper().split()
            if words and words[0] in (b":DEGREES", b":RADIANS"):
                degrees = words[0] == b":DEGREES"
            elif words and words[0] == b":SAMPLES-PER-SECOND":
                found = parse_numbers(b" ".join(words[1:]), 1)
                if found is None or not 0 < found[0] < np.inf:
                    raise DataError(f"{path}: line {lines + 1}: found '{_text(line)}', expected a number above 0; correct it")
                rate = float(found[0])
            size, lines = end, lines + 1
        return cls(size, lines, degrees, rate)


class _Motion:
    """The frames of an AMC file: a line with the frame number, then one line per movable bone, in the same order each time."""

    def __init__(self, path: Path, body: bytes, skipped: int, asf: Path, skeleton: Skeleton) -> None:
        self.path, self.body, self.skipped, self.asf = path, body, skipped, asf
        self.movable: Mapping[str, int] = skeleton.channels
        counts = words_per_line(body)
        self.lines = np.flatnonzero(counts)
        self.counts = counts[self.lines]

    def parse(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(T,) numbers of the frames and (T, K) channels in the order of the skeleton."""
        words = self.body.split()
        names, template = self._first_frame(words)
        self._check_shape(template)
        frames, period = len(self.counts) // len(template), int(template.sum())
        begins = np.cumsum(template)[:-1]
        for line, (name, begin) in enumerate(zip(names, begins.tolist(), strict=True), start=1):
            found = words[begin::period]
            if found.count(name) < frames:
                other = next(index for index, word in enumerate(found) if word != name)
                raise self._fault(other * len(template) + line, f"bone '{_text(found[other])}'", f"bone '{_text(name)}'")
        numbers = self._numbers(words[0::period], 0, len(template))
        if (numbers != np.floor(numbers)).any():
            odd = int(np.argmax(numbers != np.floor(numbers)))
            raise self._fault(odd * len(template), f"'{_text(words[odd * period])}'", "a whole frame number")
        order = dict(zip(names, zip(range(1, len(template)), begins.tolist(), strict=True), strict=True))
        channels = np.empty((frames, sum(self.movable.values())))
        target = 0
        for bone, count in self.movable.items():
            place_in_frame, begin = order[bone.encode()]
            for column in range(begin + 1, begin + 1 + count):
                channels[:, target] = self._numbers(words[column::period], place_in_frame, len(template))
                target += 1
        return numbers, channels

    def _first_frame(self, words: Sequence[bytes]) -> tuple[list[bytes], NDArray[np.int64]]:
        """Names of the bones in the first frame, and the words in each of its lines; every movable bone is there once."""
        if not len(self.counts):
            raise DataError(f"{self.path}: the file holds no frames")
        starts = np.flatnonzero(self.counts[1 : len(self.movable) + 3] == 1)
        template = self.counts[: int(starts[0]) + 1 if len(starts) else len(self.movable) + 2]
        if self.counts[0] != 1:
            raise self._fault(0, f"{self.counts[0]} words", "a frame number alone")
        begins = np.cumsum(template)[:-1].tolist()
        names = [words[begin] for begin in begins]
        for line, (name, count) in enumerate(zip(names, (template[1:] - 1).tolist(), strict=True), start=1):
            expected = self.movable.get(name.decode("utf-8", "replace"))
            if expected is None or name in names[: line - 1]:
                raise self._fault(line, f"bone '{_text(name)}'", f"a movable bone of {self.asf.name}, each once")
            if count != expected:
                raise self._fault(line, f"{count} value(s) of bone '{_text(name)}'", f"{expected} as in {self.asf.name}")
        missing = sorted(set(self.movable) - {name.decode("utf-8", "replace") for name in names})
        if missing:
            raise self._fault(len(template) - 1, f"the end of the frame without {', '.join(missing[:5])}", "every movable bone")
        return names, template

    def _check_shape(self, template: NDArray[np.int64]) -> None:
        expected = np.resize(template, len(self.counts))
        wrong = np.flatnonzero(self.counts != expected)
        if len(wrong):
            line = int(wrong[0])
            raise self._fault(line, f"{self.counts[line]} word(s)", f"{expected[line]}, as in the first frame; a bone is missing")
        if len(self.counts) % len(template):
            raise self._fault(len(self.counts) - 1, "the end of the file within a frame", f"{len(template)} lines per frame")

    def _numbers(self, words: Sequence[bytes], line: int, lines_per_frame: int) -> NDArray[np.float64]:
        values = parse_numbers(b" ".join(words), len(words))
        if values is None or not np.isfinite(values).all():
            frame = bad_number(words)
            raise self._fault(frame * lines_per_frame + line, f"'{_text(words[frame])}'", "a number")
        return values

    def _fault(self, line: int, found: str, expected: str) -> DataError:
        number = int(self.lines[line]) + self.skipped + 1
        return DataError(f"{self.path}: line {number}: found {found}, expected {expected}; correct it, or the file is cut")


def _skeleton_beside(path: Path) -> Path:
    """The skeleton for a motion file.

    Raises:
        UsageError: if there is none, or none is clearly its own.
    """
    beside = {item.stem: item for item in sorted(path.parent.iterdir()) if item.suffix.lower() == ".asf" and item.is_file()}
    for name in (path.stem, path.stem.rpartition("_")[0]):
        if name in beside:
            return beside[name]
    if len(beside) == 1:
        return next(iter(beside.values()))
    found = f"several others ({', '.join(sorted(beside)[:5])})" if beside else "no .asf file"
    names = " and ".join(f"{name}.asf" for name in (path.stem, path.stem.rpartition("_")[0]) if name)
    raise UsageError(
        f"{path}: joint angles need their skeleton; looked for {names} in the same folder and found {found}; put it there"
    )


def _text(word: bytes) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in word[:40].decode("utf-8", "replace"))


FORMATS.register(AmcFormat.name)(AmcFormat())
