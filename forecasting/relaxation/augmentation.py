"""Augmentation: no price, but every batch is turned by a random element of a group."""

from collections.abc import Sequence

from forecasting.graphs.batch import GraphBatch
from forecasting.graphs.features import GraphSchema
from forecasting.relaxation.base import Relaxation
from forecasting.relaxation.levels import Fixed
from forecasting.relaxation.sampled import drawn, turned
from forecasting.symmetry.groups import parse_group


class Augmentation(Relaxation):
    """A free network that sees every batch under a random g, inputs and truth alike.

    Args:
        chain: see `Relaxation`; group: of g.
    """

    def __init__(self, chain: Sequence[str], group: str) -> None:
        super().__init__("augmentation", Fixed(), chain=chain)
        self.group = parse_group(group)

    def prepared(self, batch: GraphBatch, schema: GraphSchema) -> GraphBatch:
        """See `Relaxation.prepared`."""
        return turned(batch, schema, drawn(self.group))
