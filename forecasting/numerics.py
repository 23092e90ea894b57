"""Threads, allocator and the float32 product path of this process, set once and checked.

With the product precision set to "bf16" torch multiplies float32 matrices with oneDNN. On AMD CPUs with AVX-512 that is up to
twice as fast as the default library; on an Intel Xeon it measured 4 to 20 % slower with one thread and about equal with two.
It is taken on both because a row's result then does not depend on how many rows share its batch (by default one row alone
differs in its last bits). On a CPU with bfloat16 tiles (AMX) the same setting would round, so it is kept only where products
still agree with float64 to 1e-6.
"""

import os
import platform
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from forecasting.allocator import keep_freed_memory
from forecasting.errors import NumericalError, UsageError

LARGEST_ERROR = 1e-6
_SPINCOUNT = "GOMP_SPINCOUNT"


@dataclass(frozen=True)
class NumericSettings:
    """What was set, and what was measured.

    Attributes:
        threads: of torch.
        product: float32 product path, ``oneDNN`` or ``default``.
        product_error: relative error of a float32 product on that path against float64.
        allocator: whether freed memory is kept for reuse (glibc).
        short_spins: whether idle OpenMP threads soon give their core to others; the runtime is told when it is loaded, so this
            is False where torch was imported before `configure` was first called.
        torch: version; cpu: name of the processor.
    """

    threads: int
    product: str
    product_error: float
    allocator: bool
    short_spins: bool
    torch: str
    cpu: str


def configure(threads: int | None = None) -> NumericSettings:
    """Set this process up for fast and accurate arithmetic; every entry point calls it, best before it imports torch.

    The first call sets up and measures, later ones return the same; only a number of threads is applied whenever it is given.

    Args:
        threads: of torch; None leaves them as they are, at first OMP_NUM_THREADS, else the number of cores.

    Raises:
        UsageError: if `threads` is less than 1.
        NumericalError: if float32 products are inaccurate on either path.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be at least 1, found {threads}")
    product, error, allocator, short_spins = _set_up()
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    return NumericSettings(torch.get_num_threads(), product, error, allocator, short_spins, torch.__version__, _cpu_name())


def product_error() -> float:
    """Largest relative error (Frobenius norm) of float32 products against float64: plain, batched, and of one row plus a bias."""
    import torch

    generator = torch.Generator().manual_seed(0)
    shapes = (((256, 256), (256, 256)), ((64, 1024), (1024, 64)), ((500, 131), (131, 64)), ((20, 32, 64), (20, 64, 32)))
    products: list[tuple[Any, tuple[tuple[int, ...], ...]]] = [(torch.matmul, shape) for shape in shapes]
    products.append((torch.nn.functional.linear, ((1, 128), (128, 128), (128,))))
    worst = 0.0
    for product, operands in products:
        values = [torch.randn(shape, generator=generator) for shape in operands]
        exact = product(*(value.double() for value in values))
        worst = max(worst, float((product(*values).double() - exact).norm() / exact.norm()))
    return worst


@lru_cache(maxsize=1)
def _set_up() -> tuple[str, float, bool, bool]:
    short_spins = _SPINCOUNT in os.environ or "torch" not in sys.modules
    os.environ.setdefault(_SPINCOUNT, "2000")
    allocator = keep_freed_memory()
    return (*_choose_product(), allocator, short_spins)


def _choose_product() -> tuple[str, float]:
    import torch

    mkldnn: Any = torch.backends.mkldnn
    matmul = mkldnn.matmul
    if mkldnn.is_available():
        matmul.fp32_precision = "bf16"
        error = product_error()
        if error <= LARGEST_ERROR:
            return "oneDNN", error
        matmul.fp32_precision = "none"
    error = product_error()
    if error > LARGEST_ERROR:
        raise NumericalError(
            f"float32 matrix products have a relative error of {error:.1e} here, more than {LARGEST_ERROR:.0e}; "
            "is torch.set_float32_matmul_precision or an environment variable lowering their precision?"
        )
    return "default", error


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
