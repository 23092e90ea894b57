"""The price of the annealed term: how it turns and how large it is, on the activations themselves."""

import torch
from torch import Tensor

from forecasting.models.base import Forecaster
from forecasting.models.relaxed import linear_layers
from forecasting.relaxation.base import Moment, Price
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.residual import Typed

_SMOOTH = 1e-12


class ActivationPrice(Price):
    """λ ( √Σ_l ⟨Σ_a |W A_a x − A'_a W x|²⟩ + √Σ_l ⟨|W x|²⟩ ) (Pertigkiozoglou et al., NeurIPS 2024, with λ = 0.01).

    ⟨·⟩ is the mean over rows, W is taken without γ, and x without gradient.
    Two differences from the published program: there the sum runs over rows, so that the price grows with the batch; and a
    reshape swaps generators and features, so that its Lie term is not zero for an equivariant W. The paper's formula is meant.

    Args:
        strength: λ.
        group: whose generators A_a act.
    """

    def __init__(self, strength: float = 0.01, group: str = "SO(3)") -> None:
        super().__init__()
        self.strength, self.generators = strength, parse_group(group).generators()

    def attach(self, model: Forecaster) -> None:
        """Ask the maps to remember their inputs."""
        for layer in linear_layers(model).values():
            layer.remember = True

    def forward(self, moment: Moment) -> Tensor:
        """See `Price.forward`."""
        turning, size = [], []
        nowhere = torch.zeros(3).numpy()
        for layer in linear_layers(moment.model).values():
            if layer.seen is None:
                continue
            matrix = layer.remainder().to(layer.seen)
            before, after = Typed(layer.irreps_in), Typed(layer.irreps_out)
            out = layer.seen @ matrix[:, :-1].T + matrix[:, -1]
            size.append(out.square().sum(-1).mean())
            for generator in self.generators:
                turned = before.tangent(layer.seen, generator, nowhere) @ matrix[:, :-1].T
                turning.append((turned - after.tangent(out, generator, nowhere)).square().sum(-1).mean())
        if not size:
            return moment.forecast.displacement.new_zeros(())
        roots = [(torch.stack(terms).sum() + _SMOOTH).sqrt() for terms in (turning, size)]
        return self.strength * (roots[0] + roots[1])
