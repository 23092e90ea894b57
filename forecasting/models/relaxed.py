"""The relaxed map: a linear map between irreps, split along nested groups, with a level for what each group does not keep."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain

CHAIN = ("O(3)", "identity")
STD = 0.02


class RelaxedMap(nn.Module):
    """y = Σ_{k ≥ 1} γ_k (W_k z + b_k), to be added to what a strict layer computes.

    (W, b) is a free matrix; along G_0 ⊃ G_1 ⊃ … ⊃ {1} it has the orthogonal parts W_k = (P_{G_k} − P_{G_{k−1}}) W, where the bias
    is the column of an input 0e. W_0 is not used: it is what the strict layer is for. So y vanishes, and the network is strict,
    whenever every γ_k or every W_k is 0, and the network is G_k-equivariant when all later parts are 0.

    Attributes:
        matrix: (d_out, d_in + 1) W and b in e3nn order, block [u', m', u, m].
        gamma: (K,) γ; trained only by methods that learn it.
        dial: () factor on every γ: 0 is the strict network.
        chain: the groups.

    Args:
        irreps_in, irreps_out: e3nn notation of z and y.
        chain: names of the groups from large to small; {1} is always the last.
        std: standard deviation of the entries of W and b at the start.

    Raises:
        UsageError: if the groups are unknown or not nested.
    """

    dial: Tensor

    def __init__(self, irreps_in: str, irreps_out: str, chain: Sequence[str] = CHAIN, std: float = STD) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.split_along(chain)
        rows, columns = self.chain.shape
        self.matrix = nn.Parameter(std * torch.randn(rows, columns))
        self.register_buffer("dial", torch.ones(()))

    def split_along(self, chain: Sequence[str]) -> None:
        """Split along another chain from now on; W stays, every γ starts at 1.

        Raises:
            UsageError: if the groups are unknown or not nested.
        """
        self.chain = Chain([parse_group(name) for name in chain], self.irreps_in, self.irreps_out, bias=True)
        if hasattr(self, "matrix"):
            self.chain.to(self.matrix.device)
        like = self.gamma if hasattr(self, "gamma") else torch.ones(())
        learned = hasattr(self, "gamma") and self.gamma.requires_grad
        self.gamma = nn.Parameter(like.new_ones(self.chain.count - 1), requires_grad=learned)

    def effective(self) -> Tensor:
        """(d_out, d_in + 1) Σ_k γ_k W_k with the bias as last column."""
        factors = self.dial * self.gamma
        return self.chain.combine(self.matrix, torch.cat([factors.new_zeros(1), factors]))

    def levels(self) -> Tensor:
        """(K,) c_k = |γ_k| · |(W_k, b_k)| (Frobenius)."""
        return self.gamma.abs() * (self.chain.squared_norms(self.matrix)[1:] + _TINY).sqrt()

    def forward(self, z: Tensor) -> Tensor:
        """(…, d_in) in irreps_in -> (…, d_out) in irreps_out."""
        matrix = self.effective()
        return nn.functional.linear(z, matrix[:, :-1], matrix[:, -1])


class RelaxedBranch(nn.Module):
    """y = γ f(z) with a perceptron f that knows no symmetry (the branch of ACE, Manolache & Niepert, NeurIPS 2025).

    No projector sees it: its price is the sampled residual of the network.

    Args:
        width_in, width_out: of z and y; hidden: width of the two layers between.
    """

    dial: Tensor

    def __init__(self, width_in: int, width_out: int, hidden: int) -> None:
        super().__init__()
        widths = [width_in, hidden, hidden, width_out]
        layers = [nn.Linear(first, second) for first, second in zip(widths, widths[1:], strict=False)]
        self.net = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
        self.gamma = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("dial", torch.ones(()))

    def levels(self) -> Tensor:
        """(1,) |γ|."""
        return self.gamma.abs()

    def forward(self, z: Tensor) -> Tensor:
        """(…, width_in) -> (…, width_out)."""
        out: Tensor = self.dial * self.gamma * self.net(z)
        return out


_TINY = 1e-24
Relaxed = RelaxedMap | RelaxedBranch


def relaxed_maps(places: Sequence[tuple[str, str]], chain: Sequence[str]) -> nn.ModuleList:
    """A relaxed map for each (irreps_in, irreps_out); none, and so a strict network, where the chain is empty."""
    return nn.ModuleList(RelaxedMap(before, after, chain) for before, after in places) if chain else nn.ModuleList()


def relaxed_layers(model: nn.Module) -> dict[str, Relaxed]:
    """Name -> relaxed map or branch of a model, in the order of its layers."""
    return {name: module for name, module in model.named_modules() if isinstance(module, RelaxedMap | RelaxedBranch)}


@contextmanager
def dialled(model: nn.Module, value: float) -> Iterator[None]:
    """Every dial of a model at `value` for a while: 0 gives the strict network."""
    layers = relaxed_layers(model).values()
    before = [layer.dial.clone() for layer in layers]
    try:
        for layer in layers:
            layer.dial.fill_(value)
        yield
    finally:
        for layer, old in zip(layers, before, strict=True):
            layer.dial.copy_(old)
