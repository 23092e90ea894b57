"""How a linear map breaks the rotations, by tensor rank and parity."""

from torch import Tensor

from forecasting.symmetry._hom import Array, Irrep, rank_parts
from forecasting.symmetry._split import Coefficients
from forecasting.symmetry.transforms import parse_irreps


class RankSpectrum(Coefficients):
    """|W_L|² of the parts of a matrix that turn as tensors of rank L and parity ±.

    (0, +) is what O(3) keeps; (1, −) a polar direction such as gravity, (1, +) an axial one such as a magnetic field, (2, +) a
    line. Σ_{L, parity} L(L+1)|W_L|² is the penalty by Lie derivatives, Σ_a |X'_a W − W X_a|².

    Args:
        irreps_in, irreps_out, bias: as for `Projector`.
    """

    def __init__(self, irreps_in: str, irreps_out: str, bias: bool = False) -> None:
        source = f"{irreps_in}+1x0e" if bias else irreps_in
        pairs = [(before, after) for _, *before in parse_irreps(source) for _, *after in parse_irreps(irreps_out)]
        found = {(rank, p * q) for (low, p), (high, q) in pairs for rank in range(abs(low - high), low + high + 1)}
        labels = sorted(found, key=lambda label: (label[0], -label[1]))

        def parts(before: Irrep, after: Irrep) -> list[Array]:
            ranks, parity = rank_parts(before, after), before[1] * after[1]
            none = ranks[abs(before[0] - after[0])][:, :0]
            return [ranks.get(rank, none) if sign == parity else none for rank, sign in labels]

        super().__init__(source, irreps_out, parts, len(labels))
        self.labels = labels

    def forward(self, matrix: Tensor) -> dict[tuple[int, int], Tensor]:
        """(L, parity) -> (…) |W_L|² of `matrix` (…, dim_out, dim_in), by rank, even parity first."""
        return dict(zip(self.labels, self.squared_norms(matrix).unbind(-1), strict=True))
