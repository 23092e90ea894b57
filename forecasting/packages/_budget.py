"""How much may be made while a model is built from arguments that a stranger wrote."""

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from forecasting.errors import PackageError
from forecasting.packages._weights import TensorSpec

FREE_NUMBERS = 1 << 20  # a tensor of this size costs nothing worth guarding
FREE_TOTAL = 1 << 24
FREE_CALLS = 5_000
TOTAL_PER_NUMBER, CALLS_PER_TENSOR = 64, 100  # several times what any model here needs
MAKERS = {
    "empty", "zeros", "ones", "full", "rand", "randn", "randint", "randperm", "arange", "range", "linspace", "logspace", "eye",
    "new_empty", "new_zeros", "new_ones", "new_full", "repeat", "tile", "repeat_interleave", "one_hot", "tril_indices",
    "triu_indices", "empty_strided", "expand",
}  # fmt: skip


class Budget(TorchFunctionMode):
    """Within this context, no tensor and no sum of tensors can become much larger than the weights a file holds.

    A model makes every parameter once, draws it once or twice, and little else; so the shapes in the weights' header bound what
    an honest model needs, before anything is allocated.

    Args:
        specs: name -> shape of the weights.

    Raises:
        PackageError: in the call that would go beyond.
    """

    def __init__(self, specs: Mapping[str, TensorSpec]) -> None:
        super().__init__()
        numbers = sum(spec.numbers for spec in specs.values())
        self.largest = numbers + FREE_NUMBERS
        self.total = TOTAL_PER_NUMBER * numbers + FREE_TOTAL
        self.calls = CALLS_PER_TENSOR * len(specs) + FREE_CALLS

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count, then do as asked."""
        self.calls -= 1
        if getattr(func, "__name__", "") in MAKERS:
            self._spend(_asked((*args, *(kwargs or {}).values())))
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self._spend(result.numel())
            self.total -= result.numel()
        return result

    def _spend(self, size: int) -> None:
        if size > self.largest or self.total < 0 or self.calls < 0:
            raise PackageError("its arguments ask for a model much larger than its weights")


def _asked(values: Iterable[Any]) -> int:
    """Product of the sizes in a call: those of a shape where there is one, else all whole numbers."""
    shapes = [each for each in values if isinstance(each, tuple | list)]
    sizes = [size for shape in shapes for size in shape] if shapes else list(values)
    return prod(abs(size) for size in sizes if type(size) is int and size)
