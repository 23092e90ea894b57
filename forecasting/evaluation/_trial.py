"""Networks refitted alike and compared scene by scene; the graphs are built once for all of them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.evaluation.robustness import spread
from forecasting.graphs.batch import GraphBatch
from forecasting.models.base import Forecaster
from forecasting.packages.package import Package
from forecasting.symmetry.groups import LinearGroup
from forecasting.symmetry.residual import BatchFields
from forecasting.training.refit import refit
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int

if TYPE_CHECKING:
    from forecasting.evaluation.verdict import Settings

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]
BATCH = 100
LEAST_SCENES = 8
COPIES = 2
"""Moved copies of each test window."""


class Trial:
    """The windows to refit on and to compare on, as graphs.

    Args:
        package: whose graphs; dataset: the data; test, learn: (W, 2) anchors; settings: of the verdict.
        progress: called with the number of steps done, and of all.

    Raises:
        DataError: if there is nothing to learn from, or too few scenes to compare.
    """

    def __init__(
        self, package: Package, dataset: Dataset, test: Int, learn: Int, settings: "Settings", progress: Progress | None
    ) -> None:
        scenes = np.unique(test[:, 0])
        if len(scenes) < LEAST_SCENES or not len(learn):
            raise DataError(
                f"{dataset.folder}: a verdict compares errors scene by scene; {len(scenes)} scenes to compare and {len(learn)} "
                f"windows to learn from are too few (at least {LEAST_SCENES} and 1)"
            )
        self.settings, self.dim = settings, package.schema.dim
        self.unit2 = package.normalization.length**2 / package.schema.dim
        self.dataset, self.window, self.builder = dataset, package.window, package.builder()
        self.small: GraphBatch | None = None
        builder = self.builder

        def graphs(anchors: Int) -> list[GraphBatch]:
            parts = [anchors[first : first + BATCH] for first in range(0, len(anchors), BATCH)]
            return [builder.build(dataset.windows(package.window, part)) for part in parts]

        rng = np.random.default_rng(settings.seed)
        self.test, self.learn = test, learn[rng.permutation(len(learn))]
        self.test_graphs, self.learn_graphs = graphs(self.test), graphs(self.learn)
        training = package.card.get("training", {})
        self.rate = settings.rate * float(training.get("learning_rate", 1e-3))
        self.loss, self.clip = str(training.get("loss", "mse")), training.get("clip_norm", 1.0)
        self.scene = np.unique(test[:, 0], return_inverse=True)[1]
        self.progress, self.done, self.all = progress, 0, 0

    def few(self, count: int) -> GraphBatch:
        """The graphs of at most `count` test windows, spread evenly, as one batch."""
        if self.small is None:
            self.small = self.builder.build(self.dataset.windows(self.window, spread(self.test, count)))
        return self.small

    def expect(self, networks: int) -> None:
        """Say how many networks will be tried, so that progress has an end."""
        self.all = networks * self._steps

    def skip(self) -> None:
        """Count a network that need not be tried."""
        self.done += self._steps
        self._tell()

    def run(self, model: Forecaster, times: int = 1) -> Float:
        """(S,) [unit²] mean squared error per coordinate of each test scene, after a refit of `model` in place.

        A refit that is several times as long is not counted as progress, which foresees the short ones.
        """
        self.refitted(model, times=times)
        return self.errors(model)

    def refitted(self, model: Forecaster, *, quiet: bool = False, times: int = 1) -> Forecaster:
        """The model, refitted in place; its steps are counted as progress unless `quiet`, or `times` as many as foreseen."""
        counts, epochs = None if quiet or times > 1 else self._step, times * self.settings.epochs
        refit(model, self.learn_graphs, epochs=epochs, learning_rate=self.rate, loss=self.loss, clip_norm=self.clip, done=counts)
        return model

    def errors(self, model: Forecaster) -> Float:
        """(S,) [unit²] mean squared error per coordinate of each test scene; best of K hypotheses per node."""
        return self._errors(model, self.test_graphs)

    def moved_errors(self, model: Forecaster, group: LinearGroup) -> Float:
        """(S,) [unit²] the same on copies of the test scenes moved by random elements of a group, inputs and truth alike.

        Rotations are about the centre of places where the model knows places; shifts go as far as places spread.
        """
        fields, rng = BatchFields.of(model.schema.specs), np.random.default_rng(self.settings.seed)
        centre = np.zeros(3) if model.place is None else model.place.centre.double().numpy()
        spread_of = 1.0 if model.place is None else float(model.place.spread)
        total = []
        for _ in range(COPIES):
            moved = []
            for batch in self.test_graphs:
                element, shifts = group.sample(rng, 1)[0], group.shifts()
                offset = rng.normal(scale=spread_of, size=len(shifts)) @ shifts
                moved.append(fields.act(batch, element, offset + centre - element @ centre))
            total.append(self._errors(model, moved))
        return np.mean(total, axis=0)

    @torch.inference_mode()
    def _errors(self, model: Forecaster, graphs: Sequence[GraphBatch]) -> Float:
        model.eval()
        sums, counts = np.zeros(self.scene.max() + 1), np.zeros(self.scene.max() + 1)
        first = 0
        for batch in graphs:
            squared, count = window_errors(model(batch).displacement, batch)
            scene = self.scene[first : first + batch.num_graphs]
            np.add.at(sums, scene, squared.double().numpy())
            np.add.at(counts, scene, count.double().numpy())
            first += batch.num_graphs
        return sums[counts > 0] / counts[counts > 0] * self.unit2

    @property
    def _steps(self) -> int:
        return self.settings.epochs * len(self.learn_graphs)

    def _step(self) -> None:
        self.done += 1
        self._tell()

    def _tell(self) -> None:
        if self.progress and self.all:
            self.progress(min(self.done, self.all), self.all)


def window_errors(displacement: torch.Tensor, batch: GraphBatch) -> tuple[torch.Tensor, torch.Tensor]:
    """(B,) [L²] summed squared distances of each graph's scored positions, and (B,) their numbers."""
    away = (displacement - batch.target[:, None]).square().sum(-1) * batch.target_valid[:, None]
    best = away.sum(-1).min(1).values
    zeros = best.new_zeros(batch.num_graphs)
    return zeros.index_add(0, batch.batch, best), zeros.index_add(0, batch.batch, batch.target_valid.sum(-1).to(best))
