"""An endless stream of training batches of which every one is a function of (seed, step, rank)."""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from forecasting.graphs.batch import GraphBatch
from forecasting.training.problem import Problem


class StepSampler(Sampler[list[int]]):
    """Window indices of each step: a fresh permutation per epoch, shared out among the ranks.

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
            first = (batch * self.world + self.rank) * self.batch_size
            chosen = order[first : first + self.batch_size]
            yield (chosen if len(chosen) else order[: self.batch_size]).tolist()
            step += 1


class _Batches(Dataset[GraphBatch]):
    def __init__(self, problem: Problem, partition: str) -> None:
        self.problem, self.partition = problem, partition

    def __getitem__(self, windows: list[int]) -> GraphBatch:  # type: ignore[override]
        return self.problem.batch(self.partition, windows)


class StepLoader(DataLoader[GraphBatch]):
    """The training loader; its length is a number that no run reaches, since without one Lightning fetches a batch ahead."""

    def __init__(self, problem: Problem, sampler: StepSampler) -> None:
        super().__init__(_Batches(problem, "train"), batch_size=None, sampler=sampler)

    def __len__(self) -> int:
        """Never reached."""
        return 10**9
