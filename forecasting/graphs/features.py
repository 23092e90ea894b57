"""The registry of graph fields: what each is called, its shape, unit, irreps, and what it belongs to."""

from dataclasses import dataclass
from typing import Any, Literal

from forecasting.errors import UsageError, did_you_mean
from forecasting.symmetry.transforms import irreps_dim

Kind = Literal["node", "edge", "graph"]
Content = Literal["value", "mask", "index", "label"]


@dataclass(frozen=True)
class FieldSpec:
    """One field of a graph batch.

    Attributes:
        name: attribute of the batch.
        kind: node (N, …), edge (E, …) or graph (B, …); ``edge_index`` is (2, E).
        shape: the axes after the first, by letter or size.
        content: value (transforms act on it), mask, index (of a node) or label (of a type, scene …).
        irreps: e3nn notation of the last axis of a value.
        unit: L is the normalization length, τ its time.
        translates: whether translations act on it.
    """

    name: str
    kind: Kind
    shape: tuple[str | int, ...]
    content: Content = "value"
    irreps: str = ""
    unit: str = ""
    translates: bool = False


CORE = (
    FieldSpec("position", "node", ("T", 3), irreps="1o", unit="L"),
    FieldSpec("position_valid", "node", ("T",), "mask"),
    FieldSpec("velocity", "node", ("V", 3), irreps="1o", unit="L/τ"),
    FieldSpec("velocity_valid", "node", ("V",), "mask"),
    FieldSpec("node_type", "node", (), "label"),
    FieldSpec("target", "node", ("H", 3), irreps="1o", unit="L"),
    FieldSpec("target_valid", "node", ("H",), "mask"),
    FieldSpec("edge_index", "edge", (), "index"),
    FieldSpec("edge_type", "edge", (), "label"),
    FieldSpec("origin", "graph", (3,), irreps="1o", unit="data", translates=True),
    FieldSpec("lead", "graph", ("H",), irreps="0e", unit="τ"),
    FieldSpec("window", "graph", (2,), "label"),
)


@dataclass(frozen=True)
class GraphSchema:
    """Everything a model must know of its inputs before it sees one; stored in the package.

    Attributes:
        dim: D of the data; planar data are lifted to z = 0 and forecasts stay in the plane.
        history: T; velocities: V, velocity channels per node; horizon: H.
        node_types, edge_types: vocabularies; the last edge type, ``near``, is that of edges found by distance.
        fields: name -> irreps of further node fields (3-D components, at the anchor).
    """

    dim: int
    history: int
    velocities: int
    horizon: int
    node_types: tuple[str, ...]
    edge_types: tuple[str, ...]
    fields: dict[str, str]

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """Core fields and the data's own, in order."""
        own = (FieldSpec(name, "node", (irreps_dim(irreps),), irreps=irreps, unit="rms") for name, irreps in self.fields.items())
        return (*CORE, *own)

    def scalars(self, wanted: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Names of the fields made of 0e components only; `wanted` picks among them.

        Raises:
            UsageError: if a wanted name is not such a field.
        """
        known = tuple(name for name, irreps in self.fields.items() if _degrees(irreps) == {"0e"})
        return known if wanted is None else self._pick(wanted, known, "scalar field (0e)")

    def vectors(self, wanted: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Names of the fields made of 1o components only; `wanted` picks among them."""
        known = tuple(name for name, irreps in self.fields.items() if _degrees(irreps) == {"1o"})
        return known if wanted is None else self._pick(wanted, known, "vector field (1o)")

    def _pick(self, wanted: tuple[str, ...], known: tuple[str, ...], what: str) -> tuple[str, ...]:
        for name in wanted:
            if name not in known:
                raise UsageError(f"the data have no {what} called '{name}'; {did_you_mean(name, known)}")
        return tuple(wanted)

    def to_plain(self) -> dict[str, Any]:
        """As JSON values, for a package."""
        return {
            "dim": self.dim,
            "history": self.history,
            "velocities": self.velocities,
            "horizon": self.horizon,
            "node_types": list(self.node_types),
            "edge_types": list(self.edge_types),
            "fields": dict(self.fields),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "GraphSchema":
        """The inverse of `to_plain`."""
        return cls(**{**plain, "node_types": tuple(plain["node_types"]), "edge_types": tuple(plain["edge_types"])})


def _degrees(irreps: str) -> set[str]:
    return {term.rpartition("x")[2] for term in irreps.replace(" ", "").split("+")}
