"""An endless stream of training batches of which every one is a function of (seed, step, rank)."""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from forecasting.graphs.batch import GraphBatch
from forecasting.training.problem import Problem


class StepSampler(Sampler[list[int]]):
    """Window indices of each step: a fresh permutation per epoch; what a step takes of it is shared out evenly among the ranks.

    At the end of an epoch, where fewer windows may be left than there are ranks, some get none.

    Args:
        count: training windows; batch_size: per rank; seed: of the permutations.
        rank, world: of this process; start: first step to give.
    """

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world: int = 1, start: int = 0) -> None:
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.rank, self.world, self.start = rank, world, start
        self.steps_per_epoch = -(-count // (batch_size * world))

    def __iter__(self) -> Iterator[list[int]]:
        """Endless."""
        step, known, order = self.start, -1, torch.empty(0, dtype=torch.long)
        while True:
            epoch, batch = divmod(step, self.steps_per_epoch)
            if epoch != known:
                generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
                known, order = epoch, torch.randperm(self.count, generator=generator)
            together = self.world * self.batch_size
            chosen = order[batch * together : (batch + 1) * together]
            yield chosen.tensor_split(self.world)[self.rank].tolist()
            step += 1


class _Batches(Dataset[GraphBatch]):
    """Batches of windows; of no windows, one with nothing to score."""

    def __init__(self, problem: Problem, partition: str) -> None:
        self.problem, self.partition = problem, partition

    def __getitem__(self, windows: list[int]) -> GraphBatch:  # type: ignore[override]
        if windows:
            return self.problem.batch(self.partition, windows)
        idle = self.problem.batch(self.partition, [0])
        idle.target_valid = torch.zeros_like(idle.target_valid)
        return idle


class StepLoader(DataLoader[GraphBatch]):
    """The training loader; its length is a number that no run reaches, since without one Lightning fetches a batch ahead."""

    def __init__(self, problem: Problem, sampler: StepSampler) -> None:
        super().__init__(_Batches(problem, "train"), batch_size=None, sampler=sampler)

    def __len__(self) -> int:
        """Never reached."""
        return 10**9
