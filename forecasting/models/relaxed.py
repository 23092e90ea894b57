"""The relaxed map: a linear map between irreps, split along nested groups, with a level for what each group does not keep."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from forecasting.errors import UsageError
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.projectors import Chain
from forecasting.symmetry.transforms import irreps_dim

CHAIN = ("O(3)", "identity")
STD = 0.02
SLOTS = 4
_TINY = 1e-24


class RelaxedMap(nn.Module):
    """y = Σ_{k ≥ 1} γ_k (W_k z + b_k), to be added to what a strict layer computes.

    (W, b) is a free matrix; along G_0 ⊃ G_1 ⊃ … ⊃ {1} it has the orthogonal parts W_k = (P_{G_k} − P_{G_{k−1}}) W, where the bias
    is the column of an input 0e. W_0 is not used: it is what the strict layer is for. So y vanishes, and the network is strict,
    whenever every γ_k or every W_k is 0, and the network is G_k-equivariant when all later parts are 0.

    Attributes:
        matrix: (d_out, d_in + 1) W and b in e3nn order, block [u', m', u, m].
        gamma: (SLOTS,) γ_1 … γ_K and as many more as another chain may need; trained only by methods that learn it.
        held: (SLOTS,) factor on each γ: 0 drops a part for good.
        dial: () factor on every γ: 0 is the strict network.
        chain: the split.
        seen: (rows, d_in) the last input, without gradient, where `remember` was set to True.

    Args:
        irreps_in, irreps_out: e3nn notation of z and y.
        chain: names of the groups from large to small; {1} is always the last.
        std: standard deviation of the entries of W and b at the start.

    Raises:
        UsageError: if the groups are unknown, not nested, or more than `SLOTS`.
    """

    dial: Tensor
    held: Tensor

    def __init__(self, irreps_in: str, irreps_out: str, chain: Sequence[str] = CHAIN, std: float = STD) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = irreps_in, irreps_out
        self.chain = _split(chain, irreps_in, irreps_out)
        self.matrix = nn.Parameter(std * torch.randn(*self.chain.shape))
        self.gamma = nn.Parameter(torch.ones(SLOTS), requires_grad=False)
        self.register_buffer("held", torch.ones(SLOTS))
        self.register_buffer("dial", torch.ones(()))
        self.remember = False
        self.seen: Tensor | None = None

    def split_along(self, chain: Sequence[str]) -> None:
        """Split along another chain from now on; W and γ stay as they are.

        Raises:
            UsageError: if the groups are unknown, not nested, or more than `SLOTS`.
        """
        self.chain = _split(chain, self.irreps_in, self.irreps_out).to(self.matrix.device)

    @property
    def gammas(self) -> Tensor:
        """(K,) γ of the chain's parts."""
        return (self.gamma * self.held)[: self.chain.count - 1]

    def effective(self) -> Tensor:
        """(d_out, d_in + 1) Σ_k γ_k W_k with the bias as last column."""
        factors = self.dial * self.gammas
        return self.chain.combine(self.matrix, torch.cat([factors.new_zeros(1), factors]))

    def remainder(self) -> Tensor:
        """(d_out, d_in + 1) Σ_k W_k = W − P_{G_0} W, whatever the levels."""
        factors = self.gamma.new_ones(self.chain.count)
        factors[0] = 0
        return self.chain.combine(self.matrix, factors)

    def sizes(self) -> Tensor:
        """(K,) |(W_k, b_k)| (Frobenius)."""
        return (self.chain.squared_norms(self.matrix)[1:] + _TINY).sqrt()

    def levels(self) -> Tensor:
        """(K,) c_k = |γ_k| · |(W_k, b_k)|."""
        return self.gammas.abs() * self.sizes()

    def forward(self, z: Tensor) -> Tensor:
        """(…, d_in) in irreps_in -> (…, d_out) in irreps_out."""
        if self.remember:
            self.seen = z.detach().reshape(-1, z.shape[-1])
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
        first, second, third = (nn.Linear(*pair) for pair in pairwise([width_in, hidden, hidden, width_out]))
        self.net = nn.Sequential(first, nn.GELU(), second, nn.GELU(), third)
        self.gamma = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("dial", torch.ones(()))

    @property
    def gammas(self) -> Tensor:
        """(1,) γ."""
        return self.gamma

    def sizes(self) -> Tensor:
        """(1,) one: the perceptron has no size that projectors know."""
        return torch.ones_like(self.gamma)

    def levels(self) -> Tensor:
        """(1,) |γ|."""
        return self.gamma.abs()

    def forward(self, z: Tensor) -> Tensor:
        """(…, width_in) -> (…, width_out)."""
        out: Tensor = self.dial * self.gamma * self.net(z)
        return out


Relaxed = RelaxedMap | RelaxedBranch
BRANCH = "mlp"
"""In place of a chain: perceptron branches."""


def relaxed_maps(places: Sequence[tuple[str, str]], chain: Sequence[str]) -> nn.ModuleList:
    """What relaxes a network at these places (irreps_in, irreps_out).

    Args:
        places: one for each map.
        chain: of the groups; empty makes none, and so a strict network; ``("mlp",)`` makes `RelaxedBranch`, twice as wide as z.
    """
    if tuple(chain) == (BRANCH,):
        widths = [(irreps_dim(before), irreps_dim(after)) for before, after in places]
        return nn.ModuleList(RelaxedBranch(before, after, 2 * before) for before, after in widths)
    return nn.ModuleList(RelaxedMap(before, after, chain) for before, after in places) if chain else nn.ModuleList()


def relaxed_layers(model: nn.Module) -> dict[str, Relaxed]:
    """Name -> relaxed map or branch of a model, in the order of its layers."""
    return {name: module for name, module in model.named_modules() if isinstance(module, RelaxedMap | RelaxedBranch)}


def linear_layers(model: nn.Module) -> dict[str, RelaxedMap]:
    """Those of `relaxed_layers` that projectors can see."""
    return {name: layer for name, layer in relaxed_layers(model).items() if isinstance(layer, RelaxedMap)}


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


def _split(chain: Sequence[str], irreps_in: str, irreps_out: str) -> Chain:
    split = Chain([parse_group(name) for name in chain], irreps_in, irreps_out, bias=True)
    if split.count - 1 > SLOTS:
        raise UsageError(f"a chain has at most {SLOTS} groups, found {', '.join(chain)}")
    return split
