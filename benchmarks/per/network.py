"""A relaxed perceptron on irreps, several copies (seeds) side by side.

The layers of PER (Kim et al., ICML 2023): linear, z + 0.1 · bilinear, gate; three of them and a linear map. W and b are free
matrices between irreps; methods act on the effective map M made of them. Where the published gate has a swish of every component,
which breaks every rotation, gates here are driven by 0e scalars only, and the bilinear layer is exactly equivariant: the network
with all M projected on G is exactly G-equivariant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from e3nn import o3
from per.tasks import tensor_basis
from torch import Tensor, nn

from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain
from forecasting.symmetry.transforms import irreps_dim

FREE = ("identity",)
STARTS = ("plain", "halfsoft", "kept")
SMALL = 0.02


@dataclass(frozen=True)
class Width:
    """Multiplicities of 0e, 1o, 1e and 2e after a gate."""

    scalars: int = 16
    vectors: int = 12
    axials: int = 6
    tensors: int = 6

    @property
    def gates(self) -> int:
        """Scalars that open and close the rest."""
        return self.vectors + self.axials + self.tensors

    def irreps(self, scalars: int) -> str:
        """With this many 0e."""
        return f"{scalars}x0e+{self.vectors}x1o+{self.axials}x1e+{self.tensors}x2e"

    def parts(self, values: Tensor, scalars: int) -> list[Tensor]:
        """(S, u, m, B) of values (S, dim, B)."""
        counts = ((scalars, 1), (self.vectors, 3), (self.axials, 3), (self.tensors, 5))
        pieces = values.split([count * size for count, size in counts], dim=1)
        return [piece.unflatten(1, shape) for piece, shape in zip(pieces, counts, strict=True)]


class StackedMap(nn.Module):
    """y = M z + b of S copies; (M, b) = Σ_k γ_k W_k of a free matrix split along a chain of groups.

    Attributes:
        matrix: (S, d_out, d_in + 1) W and b; gamma: (S, grades) γ; used: the M of the last call, for prices of the same step.

    Args:
        irreps_in, irreps_out: e3nn notation; copies: S.
        chain: groups from large to small; ``("identity",)`` is M = W, without any split.
        grades: how many parts beside W_0 have a γ, the others are left out: 0 is M = P_{G_0} W.
        start: ``plain``: W orthogonal, b uniform in [0, 1/√d_out), as published; ``halfsoft``: then W/2 + P_{O(3)} W/2, as
            published for motion; ``kept``: P_{G_0} W, scaled to |W| (else an equivariant network starts with vanishing
            outputs), and normal entries of 0.02 unless all but P_{G_0} W is left out; without a split G_0 is O(3).
    """

    def __init__(
        self, irreps_in: str, irreps_out: str, copies: int, chain: Sequence[str] = FREE, grades: int = 0, start: str = "plain"
    ) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        groups = [parse_group(name) for name in chain]
        self.split = None if tuple(chain) == FREE else Chain(groups, irreps_in, irreps_out, bias=True)
        weight = torch.stack(
            [nn.init.orthogonal_(torch.empty(irreps_dim(irreps_out), irreps_dim(irreps_in))) for _ in range(copies)]
        )
        bias = torch.rand(copies, weight.shape[1], 1) / weight.shape[1] ** 0.5
        self.matrix = nn.Parameter(self._started(torch.cat([weight, bias], dim=2), start, grades))
        self.gamma = nn.Parameter(torch.ones(copies, grades))

    def effective(self) -> Tensor:
        """(S, d_out, d_in + 1) M with the bias as last column."""
        if self.split is None:
            return self.matrix
        if self.gamma.shape[1] == 0:
            return self.split.component(self.matrix, 0)
        levels = self.gamma[:, :, None, None].unbind(1)
        last = levels[-1]
        parts = [(1 - last) * self.split.component(self.matrix, 0)]
        parts += [(level - last) * self.split.component(self.matrix, k) for k, level in enumerate(levels[:-1], start=1)]
        return sum(parts, last * self.matrix)

    def levels(self) -> Tensor:
        """(S, grades) γ_k |W_k|, with the sign of γ."""
        if self.split is None:
            return self.gamma
        return self.gamma * (self.split.squared_norms(self.matrix)[:, 1:] + 1e-24).sqrt()

    def forward(self, values: Tensor) -> Tensor:
        """(S, d_in, B) -> (S, d_out, B)."""
        self.used = matrix = self.effective()
        return torch.baddbmm(matrix[:, :, -1:], matrix[:, :, :-1], values)

    def _started(self, matrix: Tensor, start: str, grades: int) -> Tensor:
        if start not in STARTS:
            raise ValueError(f"unknown start '{start}'")
        if start == "plain":
            return matrix
        whole = Chain([parse_group("O(3)")], self.irreps_in, self.irreps_out, bias=True)
        if start == "halfsoft":
            return (matrix + whole.component(matrix, 0)) / 2
        kept = (self.split or whole).component(matrix, 0)
        kept = kept * (_norm(matrix) / _norm(kept).clamp(min=1e-12))
        return kept if self.split and not grades else kept + SMALL * torch.randn_like(kept)


class Bilinear(nn.Module):
    """Products of neighbouring channels, mixed within each irrep: exactly O(3)-equivariant and never relaxed.

    From 1o ⊗ 1o come 0e, 1e and 2e, from 2e ⊗ 1o comes 1o, from 1e · 1e and 2e · 2e come 0e.

    Args:
        width: of the features; copies: S.
    """

    square: Tensor
    contract: Tensor

    def __init__(self, width: Width, copies: int) -> None:
        super().__init__()
        self.width, self.pairs = width, min(width.vectors, width.tensors)
        self.register_buffer("square", tensor_basis())
        self.register_buffer("contract", (o3.wigner_3j(2, 1, 1, dtype=torch.float64) * 3**0.5).reshape(15, 3))
        wide, lengths = width.scalars + width.gates, width.axials + width.tensors
        shapes = {
            "traces": (wide, width.vectors),
            "lengths": (wide, lengths),
            "vectors": (width.vectors, self.pairs),
            "axials": (width.axials, width.vectors),
            "tensors": (width.tensors, width.vectors),
        }
        self.mixes = nn.ParameterDict({name: torch.randn(copies, *shape) / shape[1] ** 0.5 for name, shape in shapes.items()})

    def forward(self, values: Tensor) -> Tensor:
        """(S, dim before the gate, B), of that shape."""
        _, vectors, axials, tensors = self.width.parts(values, self.width.scalars + self.width.gates)
        pairs = (vectors[:, :, :, None] * vectors.roll(1, 1)[:, :, None]).flatten(1, 3)
        bent = (tensors[:, : self.pairs, :, None] * vectors[:, : self.pairs, None]).flatten(1, 3)
        dots = torch.cat([(part * part.roll(1, 1)).sum(2) / part.shape[2] ** 0.5 for part in (axials, tensors)], dim=1)
        square = self.square.to(values).split((1, 3, 5), dim=1)
        made = zip(("traces", "axials", "tensors"), square, strict=True)
        matrix = torch.cat([_spread(self.mixes[name], columns) for name, columns in made], dim=1)
        rest = torch.bmm(matrix, pairs)
        wide = self.width.scalars + self.width.gates
        scalars = torch.baddbmm(rest[:, :wide], self.mixes["lengths"], dots)
        turned = torch.bmm(_spread(self.mixes["vectors"], self.contract.to(values)), bent)
        return torch.cat([scalars, turned, rest[:, wide:]], dim=1)


class RelaxedPerceptron(nn.Module):
    """Blocks of a `StackedMap`, a bilinear layer and a gate, then a `StackedMap`.

    Args:
        irreps_in, irreps_out: of the task; copies: S; width: of the hidden features; blocks: their number.
        options: of every `StackedMap`.
    """

    def __init__(
        self, irreps_in: str, irreps_out: str, copies: int, width: Width | None = None, blocks: int = 3, **options: Any
    ) -> None:
        super().__init__()
        self.width = width or Width()
        before, after = self.width.irreps(self.width.scalars + self.width.gates), self.width.irreps(self.width.scalars)
        sources, targets = [irreps_in] + [after] * blocks, [before] * blocks + [irreps_out]
        self.maps = nn.ModuleList(
            StackedMap(source, target, copies, **options) for source, target in zip(sources, targets, strict=True)
        )
        self.products = nn.ModuleList(Bilinear(self.width, copies) for _ in range(blocks))

    def forward(self, inputs: Tensor) -> Tensor:
        """(S, B, dim_in) -> (S, B, dim_out)."""
        *blocks, last = self.maps
        values = inputs.mT
        for linear, product in zip(blocks, self.products, strict=True):
            values = linear(values)
            values = self._gated(values + 0.1 * product(values))
        return last(values).mT

    def _gated(self, values: Tensor) -> Tensor:
        width = self.width
        scalars, *rest = width.parts(values, width.scalars + width.gates)
        gates = scalars[:, width.scalars :].sigmoid().split((width.vectors, width.axials, width.tensors), dim=1)
        opened = [nn.functional.silu(scalars[:, : width.scalars]), *(g * part for g, part in zip(gates, rest, strict=True))]
        return torch.cat([part.flatten(1, 2) for part in opened], dim=1)


def _spread(mix: Tensor, columns: Tensor) -> Tensor:
    """(S, v·m, u·n) of channels (S, v, u) and components (n, m)."""
    return (mix[:, :, None, :, None] * columns.T[:, None, :]).flatten(3, 4).flatten(1, 2)


def _norm(matrix: Tensor) -> Tensor:
    return matrix.square().sum((1, 2), keepdim=True).sqrt()
