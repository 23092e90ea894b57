"""The contract of a file format, and the table of formats."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from forecasting.errors import DataError, UsageError
from forecasting.registry import Registry
from forecasting.trajectories.formats._future import Future, future_scenes
from forecasting.trajectories.scene_block import Scenes
from forecasting.trajectories.trajectory import Frame, Trajectory
from forecasting.trajectories.units import Unit, parse_unit


class ScatteredRowsError(DataError):
    """The rows of a scene do not stand together, so that they can only be read with `ReadOptions.unsorted`."""


class TooLargeError(DataError):
    """A scene has more frames × nodes than `ReadOptions.entries`."""


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about files, where the files do not say it themselves.

    Attributes:
        unit: text for `parse_unit`, for instance ``m`` or ``x=1.05m,y=0.68m``.
        up: axis against gravity (``z``, ``-y``, ``none`` …).
        rate: frames per second; where a file counts frames, this overrides the format's own rate.
        key: name of the array inside an npz.
        columns: our name -> the file's column name, for tables (scene, time, frame, node, type, x, y, z, field names);
            ``-`` leaves a column out.
        wide: columns of a wide table in order, node by node: x0, y0, x1, y1, …
        node_type: type given to nodes of formats that do not name one.
        on_error: what to do with two rows for one node and time, which an array cannot hold: ``fail`` raises, ``mask``
            and ``drop`` leave the entry missing and note the rows for `validation`, which reports them and acts.
        unsorted: sort the rows of a table by scene before they are read, on disk where they are many.
        fallback_unit, fallback_up: taken where neither the user nor the file says it (those of a trained package).
        entries: most frames × nodes that a scene of a table may have, None for what is not nearly all holes.
    """

    unit: str = ""
    up: str = ""
    rate: float | None = None
    key: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    wide: tuple[str, ...] = ()
    node_type: str = ""
    on_error: str = "fail"
    unsorted: bool = False
    fallback_unit: str = ""
    fallback_up: str = ""
    entries: int | None = None

    def resolve_unit(self, path: Path, dim: int, declared: str = "") -> Unit:
        """The user's unit, else the one the file or its format declares.

        Raises:
            UsageError: if nobody says it.
        """
        text = self.unit or declared or self.fallback_unit
        if not text:
            raise UsageError(
                f"{path}: this format does not say the unit of its coordinates; say it with --unit "
                "(for instance --unit m, --unit px, or per axis --unit x=1.05m,y=0.68m)"
            )
        return parse_unit(text, dim)

    def resolve_frame(self, path: Path, dim: int, declared: str = "") -> Frame:
        """The frame with the user's up axis, else the declared one; planar data have none.

        Raises:
            UsageError: if the data are spatial and nobody says which way is up.
        """
        text = self.up or declared or ("none" if dim == 2 else self.fallback_up)
        if not text:
            raise UsageError(f"{path}: this format does not say which way is up; say it with --up (x, y, z, -z … or none)")
        return Frame(up=text if text == "none" or text[0] in "+-" else f"+{text}")

    def resolve_rate(self, path: Path, declared: float | None = None) -> float:
        """[frames/s] the user's rate, else the declared one.

        Raises:
            UsageError: if nobody says it or it is not positive.
        """
        rate = self.rate if self.rate is not None else declared
        if rate is None:
            raise UsageError(f"{path}: this format does not say its frame rate; say it with --rate (frames per second)")
        if not rate > 0:
            raise UsageError(f"{path}: the frame rate must be positive, found {rate}")
        return float(rate)


class Format(ABC):
    """A file format: recognises its files, reads them, and writes where it can.

    A format lives in its own module of `forecasting.trajectories.formats` and registers an instance with
    ``FORMATS.register(name)(TheFormat())``; packages it needs beyond the base install are imported inside its methods.

    Attributes:
        name: as in ``--format NAME``.
        summary: one line for ``--help`` and docs.
        suffixes: file endings it is usually found under (lower case), a hint only.
        can_write: whether `write` works.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    can_write: ClassVar[bool] = False

    @abstractmethod
    def sniff(self, path: Path, head: bytes) -> float:
        """How sure the format is, from 0 (not mine) to 1 (certain), that it can read `path`.

        Args:
            path: a file, or a folder for formats that keep several files.
            head: first 64 KiB of the file (empty for a folder).
        """

    @abstractmethod
    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Read the scenes of a file one after the other, in the unit and order of the file.

        Nothing is repaired: impossible values are passed on for `validation` to name.

        Raises:
            DataError: if the file is not what it says it is; names the file and the line or frame.
            UsageError: if the user must say something that the file does not.
        """

    def blocks(self, path: Path, options: ReadOptions) -> Iterator[Scenes]:
        """The same scenes as `read`; formats that keep many small ones give them many at once."""
        return self.read(path, options)

    def write(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Write scenes so that `read` gives them back: ids, times, masks, fields and units exactly.

        Raises:
            UsageError: if the format cannot be written.
        """
        raise UsageError(f"{path}: format '{self.name}' is read only; write parquet, csv or npz instead")

    def write_forecasts(self, path: Path, forecasts: Iterable[Future]) -> dict[str, int]:
        """Write forecasts; unless the format has a way of its own, as the scenes of `future_scenes`.

        Returns:
            counts of forecasts and rows (positions).

        Raises:
            UsageError: if the format cannot hold them.
        """
        counts = {"forecasts": 0, "rows": 0}

        def counted() -> Iterator[Future]:
            for forecast in forecasts:
                counts["forecasts"] += 1
                counts["rows"] += int(np.prod(forecast.positions.shape[:3]))
                yield forecast

        self.write(path, future_scenes(counted()))
        return counts


FORMATS: Registry[Format] = Registry("format", "forecasting.trajectories.formats", "forecasting.formats")
