"""Batch prediction into a folder of shards: input by input, here or by workers elsewhere."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from forecasting.errors import DataError
from forecasting.inference.job import Job
from forecasting.inference.pieces import DatasetPiece, Piece, positions_in
from forecasting.inference.shard_folder import Done, Shard, ShardFolder, Task
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions
from forecasting.trajectories.reading import SceneNames
from forecasting.trajectories.scene_block import Scenes
from forecasting.trajectories.validation import Finding

if TYPE_CHECKING:
    from forecasting.inference.forecasts import ForecastBatch
    from forecasting.inference.predictor import Predictor

Note = Callable[[Finding], None]
Tell = Callable[[int], None]


class Engine(Protocol):
    """Who does tasks."""

    def __call__(self, job: Job, folder: ShardFolder, tasks: Sequence[Task], note: Note, read: Tell) -> Iterator[Done]:
        """Do the tasks in any order.

        Args:
            job: what to do; folder: where the shards go; tasks: the inputs.
            note: told every finding about the input; read: told how many positions were read since the last call.
        """
        ...


@dataclass(frozen=True)
class Plan:
    """What is to be done of a batch prediction.

    Attributes:
        job: what is done with each input; folder: where its shards go; about: package and options.
        tasks: every input, in order.
        finished: by key, the inputs that need nothing.
    """

    job: Job
    folder: ShardFolder
    about: dict[str, object]
    tasks: tuple[Task, ...]
    finished: dict[str, Done]

    @classmethod
    def of(cls, job: Job, folder: ShardFolder, pieces: Iterable[Piece]) -> "Plan":
        """Look at every input, and at what is there already."""
        about = job.about()
        tasks = tuple(folder.task(piece, about) for piece in pieces)
        found = {task.key: folder.finished(task) for task in tasks}
        return cls(job, folder, about, tasks, {key: done for key, done in found.items() if done is not None})

    @property
    def open(self) -> tuple[Task, ...]:
        """What is left to do."""
        return tuple(task for task in self.tasks if task.key not in self.finished)

    def run(self, engine: Engine, note: Note = lambda finding: None, read: Tell = lambda count: None) -> dict[str, int]:
        """Do what is left; the folder is complete when this returns.

        Returns:
            counts of inputs, of those done now, and of shards, forecasts and rows of all.

        Raises:
            DataError: if no input has anything to forecast, or one cannot be read; the shards of those before it stay.
        """
        done = dict(self.finished)
        for one in engine(self.job, self.folder, self.open, note, read):
            done[one.key] = one
        inputs = [done[task.key] for task in self.tasks]
        if not any(one.shards for one in inputs):
            raise DataError("there is nothing to forecast: no scene has a node at its last frame and a whole history")
        if self.open or not self.folder.complete(inputs):
            self.folder.finish(inputs, self.about)
        shards = [shard for one in inputs for shard in one.shards]
        return {
            "inputs": len(inputs),
            "done_now": len(self.open),
            "shards": len(shards),
            "forecasts": sum(shard.forecasts for shard in shards),
            "rows": sum(shard.rows for shard in shards),
        }


def here(job: Job, folder: ShardFolder, tasks: Sequence[Task], note: Note, read: Tell) -> Iterator[Done]:
    """Do the tasks in this process, one after the other; see `Engine`."""
    if not tasks:
        return
    predictor = job.predictor()
    for task in tasks:
        yield perform(predictor, job, folder, task, note, read)


def forecasts(predictor: "Predictor", job: Job, pieces: Sequence[Piece], note: Note, read: Tell) -> Iterator["ForecastBatch"]:
    """Of every scene of every input, in order; scenes of several files get names of their own.

    Scenes of a data set are forecast straight from its arrays where they need no conversion.
    """
    if not all(isinstance(piece, DatasetPiece) for piece in pieces):
        names = SceneNames()
        raw = names.unique_all(item for piece in pieces for item in piece.scenes(job.read))
        yield from predictor.batches(_counted(job.prepared(raw, note), read), job.anchors(), job.interval)
        return
    for piece in pieces:
        direct = _direct(predictor, job, piece, read)
        scenes = _counted(job.prepared(piece.scenes(job.read), note), read)
        yield from predictor.batches(scenes, job.anchors(), job.interval) if direct is None else direct


def perform(predictor: "Predictor", job: Job, folder: ShardFolder, task: Task, note: Note, read: Tell) -> Done:
    """Do one task: predict the parts of its input whose shards are not there, and write each."""
    shards = []
    for part, batches in _parts(predictor, job, task.piece, note, read):
        name = task.shard(part)
        shard = folder.shard(name) or _shard(folder, name, batches)
        if shard is not None:
            shards.append(shard)
    done = task.done(shards)
    folder.keep(done)
    return done


def _parts(
    predictor: "Predictor", job: Job, piece: Piece, note: Note, read: Tell
) -> Iterator[tuple[int, Iterator["ForecastBatch"]]]:
    """(number, forecasts) of the parts of one input; those that are not taken are not computed."""
    direct = _direct(predictor, job, piece, read)
    if direct is not None:
        yield 0, direct
        return
    for part, members in job.parts(_counted(job.prepared(piece.scenes(job.read), note), read)):
        yield part, predictor.batches(members, job.anchors(), job.interval)


def _direct(predictor: "Predictor", job: Job, piece: Piece, read: Tell) -> Iterator["ForecastBatch"] | None:
    """Forecasts from the arrays of a data set, which was checked when it was made; None where it cannot be."""
    if not isinstance(piece, DatasetPiece) or replace(job.read, read=ReadOptions()) != IngestOptions():
        return None
    batches = predictor.stored(piece.dataset(), piece.first, piece.last, job.anchors(), job.interval)
    return None if batches is None else _told(batches, positions_in([piece], job.read.read) or 0, read)


def _told(batches: Iterator["ForecastBatch"], positions: int, read: Tell) -> Iterator["ForecastBatch"]:
    yield from batches
    read(positions)


def _shard(folder: ShardFolder, name: str, batches: Iterator["ForecastBatch"]) -> Shard | None:
    from forecasting.inference.writing import TableWriter

    first = next(batches, None)
    if first is None:
        return None
    with folder.place.writing(name) as path:
        with TableWriter(path) as writer:
            writer.add(first)
            for batch in batches:
                writer.add(batch)
        shard = Shard(name, path.stat().st_size, **writer.counts)
    folder.keep_shard(shard)
    return shard


def _counted(items: Iterator[Scenes], read: Tell) -> Iterator[Scenes]:
    for item in items:
        yield item
        read(int(item.valid.size))
