"""Windows into graph batches: lifted to three dimensions, centred, divided by one length."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from forecasting.errors import UsageError
from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import CORE, GraphSchema
from forecasting.graphs.topology import Topology
from forecasting.symmetry.transforms import parse_irreps
from forecasting.trajectories.dataset import Manifest
from forecasting.trajectories.declared import IRREPS
from forecasting.trajectories.normalization import Normalization, window_centres
from forecasting.trajectories.windows import Float, WindowBatch, WindowSpec


def schema_of(manifest: Manifest, spec: WindowSpec, topology: Topology) -> GraphSchema:
    """The schema of graphs cut from a data set with this window and topology; declared vectors follow the data's fields.

    Raises:
        UsageError: if a declared vector has the name of something that every graph has.
    """
    measured = "velocity" in manifest.fields
    own = {name: about["irreps"] for name, about in manifest.fields.items() if name != "velocity"}
    for one in spec.declared:
        if one.name in {field.name for field in CORE}:
            raise UsageError(f"data.declared.{one.name}: every graph has a '{one.name}'; choose another name")
    return GraphSchema(
        dim=manifest.dim,
        history=spec.history,
        velocities=spec.history if measured else max(spec.history - 1, 1),
        horizon=len(spec.horizon),
        node_types=manifest.node_types,
        edge_types=(*manifest.edge_types, *topology.extra_types),
        fields=own | {one.name: IRREPS for one in spec.declared},
    )


@dataclass(frozen=True)
class GraphBuilder:
    """Makes the graphs that a model sees; what it does is stored with the model.

    Attributes:
        schema: of the graphs; topology: who sees whom; normalization: the one length and time.
        dtype: of the model's inputs; differences are taken in float64 before.
    """

    schema: GraphSchema
    topology: Topology
    normalization: Normalization
    dtype: torch.dtype = torch.float32

    def build(self, windows: WindowBatch) -> GraphBatch:
        """Graphs of all windows at once; the centre is the mean of the nodes observed at the anchor, in float64."""
        length, time = self.normalization.length, self.normalization.time
        window = windows.window_of_node
        centre = window_centres(windows) if len(windows) else np.zeros((0, self.schema.dim))
        anchor = windows.position[:, -1:]
        edge_index, edge_type = self.topology.edges(windows, len(self.schema.edge_types) - len(self.topology.extra_types))
        valid, scored = windows.position_valid[..., None], windows.future_valid[..., None]
        return GraphBatch(
            position=self._value((windows.position - centre[window][:, None]) / length * valid),
            position_valid=torch.from_numpy(windows.position_valid),
            velocity=self._value(windows.velocity * (time / length)),
            velocity_valid=torch.from_numpy(windows.velocity_valid),
            node_type=torch.from_numpy(windows.node_type),
            target=self._value((windows.future - anchor) / length * scored),
            target_valid=torch.from_numpy(windows.future_valid),
            edge_index=torch.from_numpy(np.ascontiguousarray(edge_index)),
            edge_type=torch.from_numpy(np.ascontiguousarray(edge_type)),
            origin=torch.from_numpy(_lift(centre)),
            lead=torch.from_numpy(windows.lead / time).to(self.dtype),
            window=torch.from_numpy(np.stack([windows.scene, windows.anchor], axis=1)),
            batch=torch.from_numpy(window),
            ptr=torch.from_numpy(windows.offsets),
            **self._fields(windows.fields),
        )

    def positions(self, displacement: Tensor, windows: WindowBatch) -> Float:
        """Forecast positions in the unit and frame of the data.

        Args:
            displacement: (N, K, H, 3) [L] from the anchor, as a model returns it.

        Returns:
            (N, K, H, D) float64 [unit].
        """
        moved = displacement.detach().cpu().to(torch.float64).numpy()[..., : self.schema.dim]
        return windows.position[:, -1][:, None, None] + moved * self.normalization.length

    def _value(self, values: Float) -> Tensor:
        return torch.from_numpy(_lift(values)).to(self.dtype)

    def _fields(self, fields: Mapping[str, Float]) -> dict[str, Tensor]:
        lifted = {}
        for name, irreps in self.schema.fields.items():
            values = fields[name] / self.normalization.fields.get(name, 1.0)
            if self.schema.dim == 2:
                parts, offset = [], 0
                for count, degree, _ in parse_irreps(irreps):
                    size = 2 if degree else 1
                    for _ in range(count):
                        part = values[:, offset : offset + size]
                        parts.append(_lift(part) if degree else part)
                        offset += size
                values = np.concatenate(parts, axis=1)
            lifted[name] = torch.from_numpy(np.ascontiguousarray(values)).to(self.dtype)
        return lifted


def _lift(values: Float) -> Float:
    """(…, D) -> (…, 3), z = 0 for planar data."""
    if values.shape[-1] == 3:
        return np.ascontiguousarray(values)
    return np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)
