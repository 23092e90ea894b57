"""Who sets γ: fixed, by a schedule, or learned."""

from forecasting.relaxation.base import Levels


class Fixed(Levels):
    """γ stays at 1 (PER, projection and others, whose prices act on W alone)."""

    def dial(self, progress: float) -> float:
        """See `Levels.dial`."""
        return 1.0


class Triangle(Levels):
    """γ rises from 0 to 1 at half of training and falls back to 0 (Pertigkiozoglou et al., NeurIPS 2024); deployed at 0."""

    deployed = 0.0

    def dial(self, progress: float) -> float:
        """See `Levels.dial`."""
        return 2 * progress if progress <= 0.5 else 2 * (1 - progress)


class Learned(Levels):
    """γ is a parameter, 1 at the start (ACE).

    Args:
        strict: deploy the network at γ = 0, for which an equality constraint is trained.
    """

    learns = True

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self.deployed = 0.0 if strict else 1.0

    def dial(self, progress: float) -> float:
        """See `Levels.dial`."""
        return 1.0
