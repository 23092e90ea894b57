"""Everything that training needs to know: data, windows, graphs and the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.build import GraphBuilder
from forecasting.models.base import Forecaster
from forecasting.packages.package import Package
from forecasting.relaxation.base import Relaxation
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.windows import Int, WindowSpec
from forecasting.version import __version__


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be learned.

    Attributes:
        dataset, window, builder: the data and how windows of it become graphs.
        anchors: partition -> (W, 2) anchors with something to score.
        model: untrained; model_name, model_arguments: how to make it again.
        topology, topology_arguments: likewise for the graph.
        relaxation: how its symmetry loosens.
        card: provenance for the package: data, split, seed, configuration.
    """

    dataset: Dataset
    window: WindowSpec
    builder: GraphBuilder
    anchors: Mapping[str, Int]
    model: Forecaster
    model_name: str
    model_arguments: Mapping[str, Any]
    topology: str
    topology_arguments: Mapping[str, Any]
    relaxation: Relaxation
    card: Mapping[str, Any]

    def batch(self, partition: str, windows: list[int]) -> GraphBatch:
        """The graphs of these windows of a partition."""
        return self.builder.build(self.dataset.windows(self.window, self.anchors[partition][windows]))

    def package(self, weights: Mapping[str, torch.Tensor], results: Mapping[str, Any]) -> Package:
        """The trained model with everything it needs; `results` joins the card."""
        manifest = self.dataset.manifest
        scenes = {int(scene) for scene in self.anchors["train"][:, 0]}
        chain = self.relaxation.final_chain()
        return Package(
            model=self.model_name,
            arguments={**self.model_arguments, **({"chain": list(chain)} if chain else {})},
            schema=self.builder.schema,
            window=self.window,
            topology=self.topology,
            topology_arguments=self.topology_arguments,
            normalization=self.builder.normalization,
            dt=float(self.dataset.rows.dt[min(scenes)]),
            unit=manifest.unit,
            frame=manifest.frame,
            fields=manifest.fields,
            weights=weights,
            card={**self.card, **results, "duals": self.relaxation.duals(self.model), "program_version": __version__},
        )
