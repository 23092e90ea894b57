"""Distances of all maps of a model from the maps that groups keep."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from forecasting.models.base import Forecaster
from forecasting.models.relaxed import RelaxedMap, linear_layers
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.groups.base import LinearGroup
from forecasting.symmetry.projectors import Chain, Projector, ProjectorBank

Measure = Callable[[Tensor], Tensor]


class Stacks(nn.Module):
    """The maps of a model, those of one shape together.

    Attributes:
        kinds: (irreps_in, irreps_out) -> names of the maps.
        largest: the first groups of their chains.
        plain: whether every map has one level, M = γ (W − P_0 W).

    Args:
        model: whose maps.
    """

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        layers = linear_layers(model)
        self.kinds: dict[tuple[str, str], list[str]] = {}
        for name, layer in layers.items():
            self.kinds.setdefault((layer.irreps_in, layer.irreps_out), []).append(name)
        self.largest = {layer.chain.groups[0] for layer in layers.values()}
        self.plain = all(layer.chain.count == 2 for layer in layers.values())

    def layers(self, model: Forecaster) -> list[list[RelaxedMap]]:
        """The maps of each shape."""
        return [[model.get_submodule(name) for name in names] for names in self.kinds.values()]  # type: ignore[misc]

    def effective(self, model: Forecaster) -> list[Tensor]:
        """(L, d_out, d_in + 1) effective maps of each shape."""
        return [torch.stack(layers[0].effective_together(layers)) for layers in self.layers(model)]

    def measured(self, model: Forecaster, measures: Iterable[Measure]) -> Tensor:
        """(all L, n) squares of every map by a measure (L, d_out, d_in + 1) -> (L, n) for each shape."""
        if not self.plain:
            return torch.cat([measure(stack) for measure, stack in zip(measures, self.effective(model), strict=True)])
        layers = self.layers(model)
        stacks = [torch.stack([layer.matrix for layer in kind]) for kind in layers]
        found = torch.cat([measure(stack) for measure, stack in zip(measures, stacks, strict=True)])
        every = [layer for kind in layers for layer in kind]
        gammas = torch.stack([layer.gamma for layer in every]) * torch.stack([layer.held for layer in every])
        dials = torch.stack([layer.dial for layer in every])
        return found * (gammas[:, 0] * dials).square().unsqueeze(-1)


class Distances(Stacks):
    """|M − P_G M|² of every map of a model, for several groups.

    Where a map has one level, M = γ (W − P_0 W), and G lies in G_0, this is γ² |W − P_G W|², so that no effective map is needed.

    Args:
        groups: names; model: whose maps.
    """

    def __init__(self, groups: Sequence[str], model: Forecaster) -> None:
        super().__init__(model)
        parsed = [parse_group(group) for group in groups]
        self.plain = self.plain and all(large.contains(group) for large in self.largest for group in parsed)
        self.banks = nn.ModuleList(ProjectorBank(parsed, before, after, bias=True) for before, after in self.kinds)
        self._shares = [self._codimension(group) for group in parsed]

    def left(self, model: Forecaster) -> Tensor:
        """(G,) Σ over maps of |M − P_G M|²."""
        return self.measured(model, [bank.squared_residuals for bank in self.banks]).sum(0)  # type: ignore[misc]

    def codimension(self, index: int) -> float:
        """Share of the maps' dimensions that a group forbids, weighted by how many maps there are."""
        return self._shares[index]

    def _codimension(self, group: LinearGroup) -> float:
        pairs = [(Projector(group, *kind, bias=True), len(names)) for kind, names in self.kinds.items()]
        whole = sum((one.codimension + one.dimension) * count for one, count in pairs)
        return sum(one.codimension * count for one, count in pairs) / whole


class Parts(Stacks):
    """P_G M and M − P_G M of every map of a model.

    Where M = γ (W − P_0 W) and G lies in G_0, |P_G M|² is γ² |(P_G − P_0) W|² and |M − P_G M|² is γ² |W − P_G W|²: one pass
    over W gives both.

    Args:
        group: name of G; model: whose maps.
    """

    def __init__(self, group: str, model: Forecaster) -> None:
        super().__init__(model)
        chosen = parse_group(group)
        self.plain = self.plain and len(self.largest) == 1 and all(large.contains(chosen) for large in self.largest)
        chain = [chosen]
        if self.plain:
            chain = [large for large in self.largest if not chosen.contains(large)] + chain
        self.chains = nn.ModuleList(Chain(chain, before, after, bias=True) for before, after in self.kinds)
        last = len(chain) - 1
        self.columns = (last or None, last + 1) if self.plain else (0, 1)

    def sizes(self, model: Forecaster) -> Tensor:
        """(all L, 2) |P_G M|² and |M − P_G M|²."""
        found = self.measured(model, [chain.squared_norms for chain in self.chains])  # type: ignore[misc]
        parts = [
            found[:, one] if one is not None and one < found.shape[1] else torch.zeros_like(found[:, 0]) for one in self.columns
        ]
        return torch.stack(parts, -1)


class Spectra(Stacks):
    """Largest singular values of P_G M and M − P_G M of every map of a model.

    Args:
        group: name of G; model: whose maps.
    """

    def __init__(self, group: str, model: Forecaster) -> None:
        super().__init__(model)
        chosen = parse_group(group)
        self.projectors = nn.ModuleList(Projector(chosen, before, after, bias=True) for before, after in self.kinds)

    def sizes(self, model: Forecaster) -> Tensor:
        """(all L, 2)."""
        parts = [
            (projector.project(stack), projector.residual(stack))  # type: ignore[operator]
            for projector, stack in zip(self.projectors, self.effective(model), strict=True)
        ]
        return torch.cat([torch.stack([_spectral(part) for part in pair], 1) for pair in parts])


def _spectral(matrices: Tensor) -> Tensor:
    """(L,) of (L, rows, columns)."""
    found: Tensor = torch.linalg.matrix_norm(matrices + 1e-12, ord=2)
    return found
