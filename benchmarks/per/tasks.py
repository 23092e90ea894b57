"""The synthetic tasks of PER (Kim et al., ICML 2023): a modified inertia tensor and a sum of cosine similarities.

The draws are those of the published program (torch generator, seeds N + k + dim + shift), the rows of a set of 3000 taken in
order: 1000 to train, 1000 to validate, 1000 to test. Out of distribution (``ood``) means, as in the program's defaults, 1000 rows
of *the same* distribution from another seed (N differs); ``shifted`` are 1000 rows whose positions are moved by (1, 1, 1), its
option ``--ood_shift 1``, which does change the distribution.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from e3nn import o3
from torch import Tensor
from torch.nn.functional import softplus

EPS = 0.3
SETS, ROWS = ("train", "validation", "test", "ood", "shifted"), 1000
Sets = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Task:
    """Inputs and targets between irreps.

    Attributes:
        irreps_in, irreps_out: e3nn notation of inputs (rows, dim_in) and targets (rows, dim_out).
        target: of inputs, in the irreps; None where the targets are measured.
        sets: name -> (inputs, targets).
        keeps: name of the largest group that the target keeps.
    """

    name: str
    irreps_in: str
    irreps_out: str
    target: Callable[[Tensor], Tensor] | None
    sets: Sets
    keeps: str


@cache
def tensor_basis() -> Tensor:
    """(9, 9) orthogonal: row-major 3 x 3 tensors (1o ⊗ 1o) -> 0e + 1e + 2e, columns are the components."""
    parts = [o3.wigner_3j(1, 1, degree, dtype=torch.float64) * (2 * degree + 1) ** 0.5 for degree in range(3)]
    return torch.cat([part.reshape(9, -1) for part in parts], dim=1)


def inertia_target(inputs: Tensor, eps: float = EPS, axis: int = 2) -> Tensor:
    """I + ε (I e_a) e_aᵀ with I = Σ m_i (|r_i|² 1 − r_i r_iᵀ), as 0e + 1e + 2e (PER, ModifiedInertia).

    Args:
        inputs: (rows, 20), five masses and five positions.
        eps: ε; axis: a.

    Returns:
        (rows, 9); the change of basis is orthogonal, so mean squared errors are those of the nine entries.
    """
    mass, place = inputs[:, :5], inputs[:, 5:].reshape(-1, 5, 3)
    round_part = place.square().sum(-1)[..., None, None] * torch.eye(3).to(inputs)
    tensor = (mass[..., None, None] * (round_part - place[..., :, None] * place[..., None, :])).sum(1)
    pull = torch.zeros_like(tensor)
    pull[..., axis] = tensor[..., axis]
    return (tensor + eps * pull).reshape(-1, 9) @ tensor_basis().to(inputs)


def cosine_target(inputs: Tensor, eps: float = EPS) -> Tensor:
    """(1/3) Σ cos(x_i, x_{i+1}), cyclic, − ε mean |x_i| (PER, CosSim in its variant "so3"): (rows, 9) -> (rows, 1).

    Rotations, and here mirrors too, leave it alone; a change of scale does not.
    """
    place = inputs.reshape(-1, 3, 3)
    cosines = torch.nn.functional.cosine_similarity(place, place.roll(-1, 1), dim=-1, eps=0)
    return cosines.mean(1, keepdim=True) - eps * place.norm(dim=-1).mean(1, keepdim=True)


def inertia() -> Task:
    """5 x 0e masses (softplus of a normal number) and 5 x 1o positions -> 0e + 1e + 2e; only C∞v(z) is kept."""

    def draw(rows: int, shift: int) -> Tensor:
        inputs = _normal(rows, 20, 5, shift)
        return torch.cat([softplus(inputs[:, :5]), inputs[:, 5:] + shift], dim=1)

    return Task("inertia", "5x0e+5x1o", "1x0e+1x1e+1x2e", inertia_target, _sets(draw, inertia_target), "C∞v(z)")


def cosines() -> Task:
    """3 x 1o -> 0e; O(3) is kept."""
    sets = _sets(lambda rows, shift: _normal(rows, 9, 3, shift) + shift, cosine_target)
    return Task("cossim", "3x1o", "1x0e", cosine_target, sets, "O(3)")


def _normal(rows: int, width: int, k: int, shift: int) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(rows + k + width + shift))


def _sets(draw: Callable[[int, int], Tensor], target: Callable[[Tensor], Tensor]) -> Sets:
    inputs = [*draw(3 * ROWS, 0).split(ROWS), draw(ROWS, 0), draw(ROWS, 1)]
    return {name: (rows, target(rows)) for name, rows in zip(SETS, inputs, strict=True)}
