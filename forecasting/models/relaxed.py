"""The relaxed map: a linear map between irreps, split along nested groups, with a level for what each group does not keep."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from forecasting.models._split_map import STD, SplitMap
from forecasting.models.place import TRANSLATIONS, PlaceMap, rotations_of
from forecasting.symmetry.transforms import irreps_dim

CHAIN = ("O(3)", "identity")


class RelaxedMap(SplitMap):
    """y = Σ_{k ≥ 1} γ_k (W_k z + b_k), to be added to what a strict layer computes.

    W_0 is not used: it is what the strict layer is for. So y vanishes, and the network is strict, whenever every γ_k or every
    W_k is 0, and the network is G_k-equivariant when all later parts are 0. With a place p of each node, y has a further term
    that breaks translations, `PlaceMap`, with levels of its own.

    Attributes:
        shift: of the places; None where the network may not know them.
        seen: (rows, d_in) the last input, without gradient, where `remember` was set to True.

    Args:
        irreps_in, irreps_out: e3nn notation of z and y.
        chain: names of the groups from large to small, perhaps after `TRANSLATIONS`; {1} is always the last.
        std: standard deviation of the entries of W and b at the start.

    Raises:
        UsageError: if the groups are unknown, not nested, or more than `SLOTS`.
    """

    first = 1

    def __init__(self, irreps_in: str, irreps_out: str, chain: Sequence[str] = CHAIN, std: float = STD) -> None:
        super().__init__(irreps_in, irreps_out, True, rotations_of(chain), std)
        self.shift = PlaceMap(irreps_out, rotations_of(chain)) if TRANSLATIONS in chain[:1] else None
        self.remember = False
        self.seen: Tensor | None = None

    def forward(self, z: Tensor, place: Tensor | None = None) -> Tensor:
        """(…, d_in) in irreps_in, and (…, 3) places -> (…, d_out) in irreps_out."""
        if self.remember:
            self.seen = z.detach().reshape(-1, z.shape[-1])
        matrix = self.effective()
        y = nn.functional.linear(z, matrix[:, :-1], matrix[:, -1])
        return y if self.shift is None or place is None else y + self.shift(place)


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

    def forward(self, z: Tensor, place: Tensor | None = None) -> Tensor:
        """(…, width_in) -> (…, width_out); places are not used."""
        out: Tensor = self.dial * self.gamma * self.net(z)
        return out


Relaxed = RelaxedMap | PlaceMap | RelaxedBranch
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
    """Name -> relaxed map, its place map, or branch of a model, in the order of its layers."""
    kinds = RelaxedMap | PlaceMap | RelaxedBranch
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def linear_layers(model: nn.Module) -> dict[str, RelaxedMap]:
    """The relaxed maps that projectors can see."""
    return {name: layer for name, layer in relaxed_layers(model).items() if isinstance(layer, RelaxedMap)}


def split_layers(model: nn.Module) -> dict[str, RelaxedMap | PlaceMap]:
    """All that is split along a chain: the relaxed maps and their place maps."""
    return {name: layer for name, layer in relaxed_layers(model).items() if not isinstance(layer, RelaxedBranch)}


def place_layers(model: nn.Module) -> dict[str, PlaceMap]:
    """The place maps."""
    return {name: layer for name, layer in relaxed_layers(model).items() if isinstance(layer, PlaceMap)}


def part_sizes(layers: Sequence[Relaxed]) -> list[Tensor]:
    """(K,) `sizes` of every layer; maps of one kind are taken in one pass."""
    found: dict[int, Tensor] = {}
    for places in _kinds(layers):
        same = [layers[index] for index in places]
        split = [layer for layer in same if isinstance(layer, SplitMap)]
        found |= dict(zip(places, SplitMap.sizes_together(split) if split else [same[0].sizes()], strict=True))
    return [found[index] for index in range(len(layers))]


@contextmanager
def effective_maps(relaxed: nn.ModuleList) -> Iterator[None]:
    """M of every relaxed map worked out at once, those of one kind in one pass, while a model looks at one batch."""
    layers = list(split_layers(relaxed).values()) if len(relaxed) else []
    try:
        for places in _kinds(layers):
            same = [layers[index] for index in places]
            for layer, whole in zip(same, same[0].effective_together(same), strict=True):
                layer.ready = whole
        yield
    finally:
        for layer in layers:
            layer.ready = None


def _kinds(layers: Sequence[Relaxed]) -> list[list[int]]:
    """Indices of the layers of each kind; a branch is alone."""
    found: dict[Hashable, list[int]] = {}
    for index, layer in enumerate(layers):
        found.setdefault(layer.kind if isinstance(layer, SplitMap) else index, []).append(index)
    return list(found.values())


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
