"""A matrix between irreps, split along nested groups, with a level for each part."""

from collections.abc import Hashable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain

STD = 0.02
SLOTS = 4
_TINY = 1e-24


class SplitMap(nn.Module):
    """M = Σ_{k ≥ first} γ_k W_k, where W_k = (P_{G_k} − P_{G_{k−1}}) W along G_0 ⊃ G_1 ⊃ … ⊃ {1} and W_0 = P_{G_0} W.

    Attributes:
        first: 0 if the largest group's own part has a level too, 1 if it is left out.
        matrix: (d_out, d_in [+ 1]) W, in e3nn order, block [u', m', u, m]; the bias, if any, is the last column.
        gamma: (slots,) γ of the parts and as many more as another chain may need; trained only by methods that learn it.
        held: (slots,) factor on each γ: 0 drops a part for good.
        dial: () factor on every γ: 0 is the strict network.
        chain: the split.
        ready: M, where it was worked out beforehand, see `effective_maps`.

    Args:
        irreps_in, irreps_out: e3nn notation; bias: whether there is one.
        chain: names of the groups from large to small; {1} is always the last.
        std: standard deviation of the entries of W at the start.

    Raises:
        UsageError: if the groups are unknown, not nested, or more than `SLOTS`.
    """

    first: ClassVar[int]
    dial: Tensor
    held: Tensor

    def __init__(self, irreps_in: str, irreps_out: str, bias: bool, chain: Sequence[str], std: float = STD) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out, self.bias = irreps_in, irreps_out, bias
        self.chain = self._split(chain)
        self.matrix = nn.Parameter(std * torch.randn(*self.chain.shape))
        slots = SLOTS + 1 - self.first
        self.gamma = nn.Parameter(torch.ones(slots), requires_grad=False)
        self.register_buffer("held", torch.ones(slots))
        self.register_buffer("dial", torch.ones(()))
        self.ready: Tensor | None = None

    @property
    def kind(self) -> Hashable:
        """Maps of one kind differ in their matrices and levels only."""
        return type(self), self.irreps_in, self.irreps_out, self.chain.groups

    def split_along(self, chain: Sequence[str]) -> None:
        """Split along another chain from now on; W and γ stay as they are.

        Raises:
            UsageError: if the groups are unknown, not nested, or more than `SLOTS`.
        """
        self.chain = self._split(chain).to(self.matrix.device)

    @property
    def gammas(self) -> Tensor:
        """(K,) γ of the parts."""
        return (self.gamma * self.held)[: self.chain.count - self.first]

    def effective(self) -> Tensor:
        """(d_out, d_in [+ 1]) M, with the bias as last column."""
        return self.effective_together([self])[0] if self.ready is None else self.ready

    @staticmethod
    def effective_together(maps: Sequence["SplitMap"]) -> list[Tensor]:
        """`effective` of each of several maps that differ in their matrices and levels only, in one pass."""
        factors = torch.stack([each.dial * each.gammas for each in maps])
        whole = torch.cat([factors.new_zeros(len(maps), maps[0].first), factors], dim=1)
        return list(maps[0].chain.combine(torch.stack([each.matrix for each in maps]), whole).unbind())

    def remainder(self) -> Tensor:
        """(d_out, d_in [+ 1]) Σ_{k ≥ first} W_k, whatever the levels."""
        factors = self.gamma.new_ones(self.chain.count)
        factors[: self.first] = 0
        return self.chain.combine(self.matrix, factors)

    def sizes(self) -> Tensor:
        """(K,) |W_k| (Frobenius, with the bias)."""
        return self.sizes_together([self])[0]

    @staticmethod
    def sizes_together(maps: Sequence["SplitMap"]) -> list[Tensor]:
        """(K,) `sizes` of each of several maps that differ in their matrices only, in one pass."""
        squares = maps[0].chain.squared_norms(torch.stack([each.matrix for each in maps]))[:, maps[0].first :]
        return list((squares + _TINY).sqrt().unbind())

    def levels(self) -> Tensor:
        """(K,) c_k = |γ_k| · |W_k|."""
        return self.gammas.abs() * self.sizes()

    @property
    def typed(self) -> tuple[str, str, Tensor]:
        """Irreps that come in (an input 0e for the bias), irreps that go out, and M."""
        return f"{self.irreps_in}+1x0e" if self.bias else self.irreps_in, self.irreps_out, self.effective()

    def _split(self, chain: Sequence[str]) -> Chain:
        split = Chain([parse_group(name) for name in chain], self.irreps_in, self.irreps_out, self.bias)
        if split.count - 1 > SLOTS:
            raise UsageError(f"a chain has at most {SLOTS} groups, found {', '.join(chain)}")
        return split
