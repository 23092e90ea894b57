"""Named tensors inside an object, such as a graph batch, by duck typing."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from forecasting.symmetry._typed import TypedFields

Array = NDArray[np.float64]


class FieldLike(Protocol):
    """What a registry says of a field: name, irreps of the last axis ("" where nothing acts), whether translations act."""

    @property
    def name(self) -> str: ...

    @property
    def irreps(self) -> str: ...

    @property
    def translates(self) -> bool: ...


class Batch(Protocol):
    """An object with named tensors that can be copied shallowly."""

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...


AnyBatch = TypeVar("AnyBatch", bound=Batch)


@dataclass(frozen=True)
class BatchFields:
    """How a group acts on the named tensors of a batch.

    Attributes:
        fields: how it acts on each.
    """

    fields: TypedFields

    @classmethod
    def of(cls, specs: Iterable[FieldLike]) -> "BatchFields":
        """By the irreps and translation flags that a registry declares."""
        known = [spec for spec in specs if spec.irreps]
        return cls(TypedFields({spec.name: spec.irreps for spec in known}, {spec.name for spec in known if spec.translates}))

    def values(self, batch: Batch) -> dict[str, Tensor]:
        """The tensors on which the group acts."""
        return {name: batch[name] for name in self.fields.irreps}

    def act(self, batch: AnyBatch, element: Array, offset: Array) -> AnyBatch:
        """A copy of `batch` moved by an orthogonal matrix (3, 3) and a translation (3,)."""
        return with_fields(batch, self.fields.act(self.values(batch), element, offset))


def with_fields(batch: AnyBatch, values: Mapping[str, Tensor]) -> AnyBatch:
    """A shallow copy of `batch` with these tensors, as in ``lambda values: model(with_fields(batch, values))``."""
    changed = copy.copy(batch)
    for name, value in values.items():
        changed[name] = value
    return changed
