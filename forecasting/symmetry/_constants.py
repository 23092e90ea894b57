"""A module whose constants keep their precision."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Constants(nn.Module):
    """Constants in float64 and float32 that follow the module to its device, but not to another dtype; none is saved."""

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, Tensor] = {}

    def keep(self, name: str, value: NDArray[np.float64]) -> None:
        """Remember an array as float64 and float32."""
        exact = torch.from_numpy(value.copy())
        for kind in ("double", "single"):
            self._exact[f"{name}_{kind}"] = exact if kind == "double" else exact.float()
            self.register_buffer(f"{name}_{kind}", self._exact[f"{name}_{kind}"], persistent=False)

    def constant(self, name: str, like: Tensor) -> Tensor:
        """In the precision of a tensor: float64, else float32."""
        constant: Tensor = getattr(self, f"{name}_{'double' if like.dtype == torch.float64 else 'single'}")
        return constant

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Move to the device of the converted module; precision stays."""
        nn.Module._apply(self, fn, recurse)  # type: ignore[no-untyped-call]
        for name, exact in self._exact.items():
            setattr(self, name, exact.to(getattr(self, name).device))
        return self
