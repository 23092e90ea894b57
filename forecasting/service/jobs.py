"""What one request wants of a model, in steps that the work of others can come between."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from forecasting.errors import ForecastingError
from forecasting.inference.buckets import expected_edges
from forecasting.inference.forecasts import ForecastBatch
from forecasting.inference.predictor import Anchors
from forecasting.inference.regions import Interval
from forecasting.service.problems import Problem
from forecasting.service.residuals import Wish, measured_steps
from forecasting.service.shelf import Served
from forecasting.trajectories.scene_block import SceneBlock
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.windows import Int


@dataclass(frozen=True)
class Size:
    """Of a job.

    Attributes:
        windows, nodes, edges: of all its graphs together; largest: edges of the largest graph.
    """

    windows: int
    nodes: int
    edges: int
    largest: int


@dataclass(eq=False)
class Job:
    """Scenes to forecast, and what else is to be said of them.

    Attributes:
        scenes: of the request, their sources all different, or a block.
        anchors: frames to forecast from; forecast: whether they are to be forecast at all.
        interval: which regions its answer has around the forecasts, None for none.
        residual: which groups to measure, None for none.
        batches, residuals: the answers, once they are there; forecasts are in the order of the scenes.
        problem: why there are none.
        left: set when nobody waits any more.
    """

    scenes: list[Trajectory] | SceneBlock
    anchors: Anchors = field(default_factory=Anchors)
    forecast: bool = True
    interval: Interval | None = None
    residual: Wish | None = None
    batches: list[ForecastBatch] = field(default_factory=list)
    residuals: list[dict[str, object]] = field(default_factory=list)
    problem: Problem | None = None
    left: bool = False

    def size(self, served: Served) -> "Size":
        """How much work it is, or a little more."""
        nodes, frames, known = _counts(self.scenes)
        edges = expected_edges(served.predictor.builder.topology, nodes, known)
        if self.anchors.every is None:
            return Size(len(nodes), int(nodes.sum()), int(edges.sum()), int(edges.max()))
        past = served.package.window.past
        windows = self.anchors.counts(past, frames)
        return Size(int(windows.sum()), int(windows @ nodes), int(windows @ edges), int(edges.max()))

    def steps(self, served: Served) -> Iterator[None]:
        """Work, yielding between steps of about one micro-batch each."""
        try:
            if self.forecast:
                items = [self.scenes] if isinstance(self.scenes, SceneBlock) else self.scenes
                for batch in served.predictor.batches(items, self.anchors, self.interval):
                    self.batches.append(batch)
                    yield
            if self.residual is not None:
                for found in measured_steps(served, self.scenes, self.anchors, self.residual):
                    if found is not None:
                        self.residuals.append(found)
                    yield
        except ForecastingError as error:
            self.problem = Problem.of(error)
        self.check()

    def check(self) -> None:
        """See that every scene has a forecast; without one, say which has none."""
        if self.problem or not self.forecast:
            return
        found = [(batch, scene) for batch in self.batches for scene in np.unique(batch.scene)]
        if isinstance(self.scenes, SceneBlock):
            named = {batch.names[scene] for batch, scene in found}
            without = (name for name in self.scenes.names if name not in named)
        else:
            answered = {id(batch.sources[scene]) for batch, scene in found}
            without = (scene.scene for scene in self.scenes if id(scene.source) not in answered)
        for name in without:
            text = f"scene '{name}' cannot be forecast: it has no anchor frame with a node and a whole history"
            self.problem = Problem(422, text)
            return


def run_together(jobs: list[Job], served: Served) -> bool:
    """Forecast small jobs in one micro-batch; False where one of them cannot be forecast.

    Args:
        jobs: that ask for forecasts of the last frames with the same regions, and nothing else; served: what with.
    """
    owner = {id(scene.source): job for job in jobs for scene in job.scenes}
    try:
        for batch in served.predictor.batches([scene for job in jobs for scene in job.scenes], interval=jobs[0].interval):
            owners = [owner[id(batch.sources[scene])] for scene in batch.scene]
            first = 0
            for job, windows in groupby(owners):
                last = first + sum(1 for _ in windows)
                job.batches.append(part(batch, first, last))
                first = last
    except Exception:  # whatever it is, one job's fault is not the others'; each is told its own when it is taken alone
        for job in jobs:
            job.batches.clear()
        return False
    for job in jobs:
        job.check()
    return True


def _counts(scenes: list[Trajectory] | SceneBlock) -> tuple[Int, Int, Int]:
    """(S,) nodes, frames and known edges of scenes."""
    if isinstance(scenes, SceneBlock):
        return scenes.nodes, scenes.frames, scenes.edge_counts
    counts = [(len(scene.node_ids), len(scene.time), len(scene.edges)) for scene in scenes]
    nodes, frames, edges = np.array(counts).T
    return nodes, frames, edges


def part(batch: ForecastBatch, first: int, last: int) -> ForecastBatch:
    """The windows from `first` to before `last`."""
    if (first, last) == (0, len(batch)):
        return batch
    windows, nodes = slice(first, last), slice(batch.offsets[first], batch.offsets[last])
    return replace(
        batch,
        scene=batch.scene[windows],
        anchor_time=batch.anchor_time[windows],
        time=batch.time[windows],
        offsets=batch.offsets[first : last + 1] - batch.offsets[first],
        positions=batch.positions[nodes],
        weights=batch.weights[windows],
        anchor=batch.anchor[nodes],
        node_ids=batch.node_ids[nodes],
        node_types=batch.node_types[nodes],
        regions={level: each[nodes] for level, each in batch.regions.items()},
    )
