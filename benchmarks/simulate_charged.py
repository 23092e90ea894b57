"""Seconds to simulate the 14,000 published charged scenes, and the ratio to one scene after the other in plain numpy.

    .venv/bin/python benchmarks/simulate_charged.py [--scenes 14000] [--plain 5]

The plain program is written from the published equations; its scenes are compared with the fast ones up to the first clip.
"""

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.simulators.charged import LARGEST_FORCE, STEP, ChargedRuns, PublishedCharged


def plain_scene(x: NDArray[np.float64], v: NDArray[np.float64], charges: NDArray[np.float64], steps: int, every: int):
    """(T, N, 3) positions of one scene from its initial state x, v (N, 3) and charges (N,), all pairs in matrices."""
    x, v, frames = x.copy(), v.copy(), []
    products = np.outer(charges, charges)
    for step in range(steps):
        if step:
            x += STEP * v
            if step % every == 0:
                frames.append(x.copy())
        difference = x[:, None] - x[None]
        distance = np.sqrt((difference**2).sum(-1))
        np.fill_diagonal(distance, np.inf)
        force = ((products / distance**3)[..., None] * difference).sum(1)
        v += STEP * np.clip(force, -LARGEST_FORCE, LARGEST_FORCE)
    return np.stack(frames)


def plain_scenes(world: PublishedCharged, count: int, seed: int) -> NDArray[np.float64]:
    """(S, T, N, 3) positions of the first scenes, one after the other."""
    x, v, charges = world._draw(np.random.RandomState(seed), count)
    return np.stack([plain_scene(x[i].T, v[i].T, charges[i], world.steps, world.sample_every) for i in range(count)])


def difference_before_clip(runs: ChargedRuns, plain: NDArray[np.float64], every: int) -> float:
    """Largest coordinate difference of frames that no clip has touched."""
    frame_step = every * np.arange(1, plain.shape[1] + 1)
    free = frame_step <= runs.first_clipped[: len(plain), None]
    return float(np.abs(runs.positions[: len(plain)] - plain)[free].max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=14_000)
    parser.add_argument("--plain", type=int, default=5, help="scenes of the plain program")
    options = parser.parse_args()
    world = PublishedCharged()
    start = time.perf_counter()
    runs = world.runs(options.scenes, 43)
    fast = time.perf_counter() - start
    start = time.perf_counter()
    plain = plain_scenes(world, options.plain, 43)
    slow = time.perf_counter() - start
    result = {
        "scenes": options.scenes,
        "seconds": round(fast, 2),
        "plain_seconds_per_scene": round(slow / options.plain, 4),
        "times_faster": round(slow / options.plain / (fast / options.scenes), 1),
        "largest_difference_before_clip": difference_before_clip(runs, plain, world.sample_every),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
