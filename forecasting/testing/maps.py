"""Random irreps, the linear maps between them, and group elements that act on them."""

import hypothesis.strategies as st
import numpy as np
import torch
from torch import Tensor

from forecasting.symmetry._representations import irreps_matrices
from forecasting.symmetry.groups import parse_group
from forecasting.symmetry.transforms import irreps_dim

SOME_GROUPS = (
    *("SO(3)", "O(3)", "SO(2)(z)", "SO(2)(0.1,0.2,0.97)", "C∞v(y)", "C∞h(x)", "D∞(1,1,0)", "D∞h(z)"),
    *("inversion", "mirror(1,2,3)", "C_4(z)", "C_3(1,1,1)", "O", "O_h", "identity"),
)


@st.composite
def irreps_strategy(draw: st.DrawFn, largest: int = 4) -> str:
    """Up to four terms of any parity, degree up to `largest` and multiplicity up to 3, some of them absent (0)."""
    term = st.tuples(st.integers(0, 3), st.integers(0, largest), st.sampled_from("eo"))
    terms = draw(st.lists(term, min_size=1, max_size=4).filter(lambda found: any(count for count, _, _ in found)))
    return "+".join(f"{count}x{degree}{parity}" for count, degree, parity in terms)


def random_map(irreps_in: str, irreps_out: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """(dim_out, dim_in) normal entries."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(irreps_dim(irreps_out), irreps_dim(irreps_in), generator=generator, dtype=dtype)


def acting(group: str, irreps: str, count: int = 4) -> Tensor:
    """(count, d, d) matrices on `irreps` of random elements of the group, float64; the same elements for all irreps."""
    return torch.from_numpy(irreps_matrices(irreps, parse_group(group).sample(np.random.default_rng(0), count)))
