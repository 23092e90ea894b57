"""How much of what a world conserves is lost along forecasts."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forecasting.trajectories.simulators.conserved import Conserved, Quantity
from forecasting.trajectories.windows import WindowBatch

Float = NDArray[np.float64]
NAMES = ("energy", "momentum", "angular_momentum")


class Ledger:
    """Relative changes of conserved quantities since the start, as medians over windows, which close encounters do not rule.

    Energies change relative to those at the start; momenta relative to what the nodes have one by one, as their sum may vanish.

    Args:
        conserved: what the world conserves; rounds: number of states after the start.
    """

    def __init__(self, conserved: Conserved, rounds: int) -> None:
        found = {name: getattr(conserved, name) for name in NAMES}
        self.quantities: dict[str, Quantity] = {name: quantity for name, quantity in found.items() if quantity is not None}
        self.changes: dict[str, list[list[float]]] = {name: [[] for _ in range(rounds)] for name in self.quantities}
        self.before: dict[str, list[tuple[Float, float]]] = {}

    def start(self, windows: WindowBatch) -> None:
        """The states at the start of these windows are what the next ones are compared with."""
        self.before = {name: [_at_start(name, quantity, *each) for each in _states(windows)] for name, quantity in self._items()}

    def add(self, number: int, windows: WindowBatch, whole: NDArray[np.bool_]) -> None:
        """Count the windows that are `whole` (W,) after round `number`."""
        for name, quantity in self._items():
            for state, (before, size), counts in zip(_states(windows), self.before[name], whole, strict=True):
                if counts and size > 0:
                    self.changes[name][number].append(float(np.linalg.norm(quantity(*state) - before)) / size)

    def summary(self, name: str, rounds: int) -> list[float | None] | None:
        """One number for each of the first rounds, None where no window is whole; None for what the world does not conserve."""
        if name not in self.quantities:
            return None
        return [float(np.median(values)) if values else None for values in self.changes[name][:rounds]]

    def _items(self) -> list[tuple[str, Quantity]]:
        return list(self.quantities.items())


def _states(windows: WindowBatch) -> list[tuple[Float, Float, dict[str, Float]]]:
    """Of each window: positions (N, 3), velocities (N, 3) and fields at the anchor."""
    position, velocity = _lift(windows.position[:, -1]), _lift(windows.velocity[:, -1])
    parts = [slice(*ends) for ends in pairwise(windows.offsets.tolist())]
    return [(position[part], velocity[part], {name: values[part] for name, values in windows.fields.items()}) for part in parts]


def _at_start(
    name: str, quantity: Quantity, positions: Float, velocities: Float, fields: dict[str, Float]
) -> tuple[Float, float]:
    """The quantity, and the size that changes are relative to; 0 without nodes."""
    before = quantity(positions, velocities, fields)
    if name == "energy":
        return before, float(np.abs(before)) if len(positions) else 0.0
    single = {name: values[:, None] for name, values in fields.items()}
    return before, float(np.linalg.norm(quantity(positions[:, None], velocities[:, None], single), axis=-1).sum())


def _lift(values: Float) -> Float:
    """(N, D) -> (N, 3)."""
    return np.pad(values, ((0, 0), (0, 3 - values.shape[1])))
