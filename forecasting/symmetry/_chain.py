"""A matrix split along nested groups: what every group keeps, and what each smaller one adds."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from forecasting.errors import UsageError
from forecasting.symmetry._hom import nested_parts
from forecasting.symmetry._split import Coefficients
from forecasting.symmetry.groups import LinearGroup


class Chain(Coefficients):
    """M = W_0 + W_1 + … + W_n with W_0 = P_{G_0} M and W_k = (P_{G_k} − P_{G_{k−1}}) M for G_0 ⊃ G_1 ⊃ … ⊃ G_n = {1}.

    The components are orthogonal, so |M|² = Σ_k |W_k|²; each comes from its own basis, so a small one is exact.

    Args:
        groups: from the largest to the smallest; {1} is always the last, named or not.
        irreps_in, irreps_out, bias: as for `Projector`.

    Raises:
        UsageError: if there is no group or one does not hold the next.
    """

    def __init__(self, groups: Sequence[LinearGroup], irreps_in: str, irreps_out: str, bias: bool = False) -> None:
        self.groups = validated_chain(groups)
        parts = partial(nested_parts, self.groups)
        super().__init__(f"{irreps_in}+1x0e" if bias else irreps_in, irreps_out, parts, len(self.groups) + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """The group under which each component is equivariant, the identity last."""
        return (*(group.name for group in self.groups), "identity")

    def components(self, matrix: Tensor) -> list[Tensor]:
        """W_0 … W_n of `matrix` (…, dim_out, dim_in), each of its shape and dtype."""
        return [self.component(matrix, part) for part in range(self.count)]

    def effective(self, matrix: Tensor, gammas: Tensor) -> Tensor:
        """W_0 + Σ_k γ_k W_k: (…, dim_out, dim_in).

        Args:
            matrix: (…, dim_out, dim_in).
            gammas: (n,) for W_1 … W_n; zeros give P_{G_0} M, ones give M.
        """
        return self.combine(matrix, torch.cat([gammas.new_ones(1), gammas]))


def validated_chain(groups: Sequence[LinearGroup]) -> tuple[LinearGroup, ...]:
    """The groups, without a last {1}.

    Raises:
        UsageError: if there is no group or one does not hold the next.
    """
    named = tuple(groups)
    if not named:
        raise UsageError("a chain needs at least one group")
    for large, small in pairwise(named):
        if not large.contains(small):
            raise UsageError(f"a chain goes from large to small groups, but {large} does not hold {small}")
        if small.contains(large):
            raise UsageError(f"a chain goes from large to small groups, but {large} and {small} are the same group")
    trivial = len(named[-1].generators()) == 0 and len(named[-1].components()) == 1
    return named[:-1] if trivial and len(named) > 1 else named
