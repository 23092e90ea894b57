"""What may be equal: closed subgroups of O(3), with or without translations."""

from forecasting.symmetry.groups.base import GROUPS, LinearGroup
from forecasting.symmetry.groups.parsing import parse_group

__all__ = ["GROUPS", "LinearGroup", "parse_group"]
