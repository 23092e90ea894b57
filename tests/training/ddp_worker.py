"""One of two processes that learn together: does the jobs of a file, one after the other, and writes what came of them."""

import json
import sys
from pathlib import Path

import torch
from conftest import config

from forecasting.errors import ForecastingError
from forecasting.testing.runs import quiet
from forecasting.training import assemble, train
from forecasting.training.ranks import Together


def run(job: dict) -> str:
    """Train, or go on; what was raised, or nothing."""
    try:
        train(
            *assemble(config(Path(job["data"]), **job["make"])),
            job["folder"],
            resume=job.get("resume", False),
            say=quiet,
            keep_all_checkpoints=job.get("keep", False),
        )
    except ForecastingError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def probe(rank: int) -> dict:
    """What gradients, sums, votes and faults come to."""
    ranks = Together(rank, 2, torch.device("cpu"))
    both, second, nobody = (torch.nn.Parameter(torch.zeros(2, 3)) for _ in range(3))
    both.grad = torch.full((2, 3), 1.0 + rank)
    if rank == 1:
        second.grad = torch.full((2, 3), 5.0)
    loss = ranks.join_gradients([both, second, nobody], 0.25 + rank, None, str)
    found = {
        "loss": loss,
        "gradients": [None if value.grad is None else value.grad.tolist() for value in (both, second, nobody)],
        "total": ranks.total(1.0, rank),
        "any": ranks.any(rank == 1, False),
    }
    for name, fault, gradient in (
        ("fault", float("inf") if rank else None, 0.0),
        ("gradient", None, float("nan") if rank else 0.0),
    ):
        both.grad = torch.full((2, 3), gradient)
        try:
            ranks.join_gradients([both], 0.0, fault, lambda value: f"became {value} in {rank}")
        except ForecastingError as error:
            found[name] = str(error)
    shared = torch.tensor([float(rank + 7)])
    ranks.share([shared])
    try:
        ranks.agree(f"same\nrank {rank}")
    except ForecastingError as error:
        found["disagreement"] = str(error)
    return {**found, "shared": shared.tolist()}


if __name__ == "__main__":
    jobs, rank = Path(sys.argv[1]), int(sys.argv[2])
    found = {job["folder"]: run(job) for job in json.loads(jobs.read_text())}
    jobs.with_name(f"{jobs.stem}.{rank}.json").write_text(json.dumps({"raised": found, "probe": probe(rank)}))
