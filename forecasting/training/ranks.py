"""What the processes of a run tell each other; every one makes the same calls in the same order."""

import atexit
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, distributed

from forecasting.errors import ForecastingError, NumericalError, UsageError

Blame = Callable[[float], str]


class LostProcess(ForecastingError):
    """Another process of the run ended before its time."""


class Alone:
    """A run of one process: what it knows is all there is.

    Attributes:
        rank: of this process; world: processes in all.
    """

    rank = 0
    world = 1

    def total(self, *values: float) -> list[float]:
        """Sums over the processes, in float64."""
        return list(values)

    def any(self, *flags: bool) -> list[bool]:
        """Whether any process says so."""
        return [value > 0 for value in self.total(*map(float, flags))]

    def join_gradients(self, parameters: Iterable[Tensor], loss: float, fault: float | None, blame: Blame) -> float:
        """Sum the gradients of all processes in place; a parameter that has one anywhere has one everywhere.

        Args:
            parameters: in the same order everywhere; loss: of this process, its share.
            fault: what the loss became where it left the finite numbers, else None; blame: what to say about it.

        Returns:
            sum of the losses.

        Raises:
            NumericalError: in every process, if any has a fault; says what the first of those has to say.
        """
        if fault is not None:
            raise NumericalError(blame(fault))
        return loss

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give everybody the values of the first process, in place."""

    def agree(self, about: str) -> None:
        """See that every process is about the same.

        Raises:
            UsageError: shows what differs.
        """


def leave() -> None:
    """Close the connections to the other processes; a process that ends without doing so may be aborted."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


class Together(Alone):
    """Several processes, through torch.distributed; usable once training starts.

    Gradients pass in one sum a step, after all parts of a batch: parameters that nobody used, or a process that has nothing to
    learn from in this step, then need no care, and accumulation costs no further messages.

    Args:
        rank, world: see `Alone`; device: of what is exchanged.
    """

    def __init__(self, rank: int, world: int, device: torch.device) -> None:
        self.rank, self.world, self.device = rank, world, device
        atexit.register(leave)

    def total(self, *values: float) -> list[float]:
        """See `Alone.total`."""
        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return list(sums.tolist())

    def join_gradients(self, parameters: Iterable[Tensor], loss: float, fault: float | None, blame: Blame) -> float:
        """See `Alone.join_gradients`."""
        moved = list(parameters)
        used = torch.tensor([value.grad is not None for value in moved] + [False, False], device=self.device)
        grads = [torch.zeros_like(value) if value.grad is None else value.grad for value in moved]
        flat = torch.cat([grad.reshape(-1) for grad in grads] + [used.to(grads[0].dtype)])
        sizes = [grad.numel() for grad in grads]
        if fault is None and not torch.isfinite(flat).all():
            fault = float("nan")
        flat[-2], flat[-1] = loss, float(fault is not None)
        distributed.all_reduce(flat)
        *sums, flags = torch.split(flat, [*sizes, len(used)])
        *counts, whole, faults = flags.tolist()
        if faults:
            raise NumericalError(self._first(None if fault is None else blame(fault)))
        for value, grad, count in zip(moved, sums, counts, strict=True):
            value.grad = grad.view_as(value).to(value.dtype) if count else None
        return float(whole)

    def share(self, tensors: Iterable[Tensor]) -> None:
        """See `Alone.share`."""
        for tensor in tensors:
            distributed.broadcast(tensor, 0)

    def agree(self, about: str) -> None:
        """See `Alone.agree`."""
        found = self._everybody(about)
        for rank, other in enumerate(found):
            if other != found[0]:
                raise UsageError(
                    f"processes 0 and {rank} of {self.world} do not learn the same: {_difference(found[0], other)}; give every "
                    "process the same configuration, data and version of the program"
                )

    def _first(self, message: str | None) -> str:
        return next(f"process {rank}: {text}" for rank, text in enumerate(self._everybody(message)) if text is not None)

    def _everybody(self, value: str | None) -> Sequence[str | None]:
        found: list[str | None] = [None] * self.world
        distributed.all_gather_object(found, value)
        return found


def is_loss_of_a_process(error: RuntimeError) -> bool:
    """Whether torch.distributed says that another process went away."""
    text = str(error).lower()
    return isinstance(error, distributed.DistError) or any(word in text for word in ("gloo", "nccl", "connection closed"))


def _difference(one: str | None, other: str | None) -> str:
    lines = zip((one or "").splitlines(), (other or "").splitlines(), strict=False)
    return next((f"{first.strip()} and {second.strip()}" for first, second in lines if first != second), "one says more")
