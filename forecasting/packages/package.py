"""The model package: a folder with `package.json` and `weights.safetensors`.

Loading runs no code from the package: the model is named in a registry and built from plain arguments, and the weights are
plain tensors whose names, shapes and finiteness are checked against that model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from forecasting.errors import ForecastingError, PackageError
from forecasting.files import atomic_folder, write_json
from forecasting.graphs.build import GraphBuilder
from forecasting.graphs.features import GraphSchema
from forecasting.graphs.topology import TOPOLOGIES, Topology
from forecasting.models.base import Forecaster, build_model
from forecasting.packages._migrations import SCHEMA_VERSION, migrated
from forecasting.packages._plain import from_plain, to_plain
from forecasting.plain import call, pick
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec
from forecasting.version import __version__

LARGEST_HEADER = 4 << 20
LARGEST_CARD = 16 << 20


@dataclass(frozen=True)
class Package:
    """A forecaster with everything it needs to be used and understood.

    Attributes:
        model: name in the registry; arguments: its plain arguments.
        schema: of the graphs; window: which frames, and the declared vectors; topology, topology_arguments: who sees whom.
        normalization: one length, one time.
        dt: [s] between the frames the model was trained on (times `window.step` between its steps).
        unit, frame: of the training data; files in other known units are converted and back.
        fields: the data's fields, name -> irreps, unit, translates, per_frame.
        weights: name -> tensor.
        card: provenance and results: data hash, configuration, seeds, epochs, validation error …; plain values.
        symmetry: verdicts and residuals of a diagnosis, plain values; None where nobody diagnosed it.
        calibration: of its regions, plain values; None where nobody calibrated it.
    """

    model: str
    arguments: Mapping[str, Any]
    schema: GraphSchema
    window: WindowSpec
    topology: str
    topology_arguments: Mapping[str, Any]
    normalization: Normalization
    dt: float
    unit: str
    frame: Frame
    fields: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, torch.Tensor] = field(repr=False)
    card: Mapping[str, Any] = field(default_factory=dict)
    symmetry: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None

    def forecaster(self, dtype: torch.dtype = torch.float32) -> Forecaster:
        """The trained model, in evaluation mode.

        Raises:
            PackageError: if the weights are not those of the model.
        """
        try:
            model = build_model(self.model, self.schema, self.arguments)
        except ForecastingError as error:
            raise PackageError(f"the package cannot be built here: {error}") from None
        expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in self.weights.items()}
        if expected != found:
            different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            raise PackageError(
                f"the package's weights do not fit model '{self.model}': '{different[0]}' has shape "
                f"{found.get(different[0])}, expected {expected.get(different[0])} ({len(different)} differ)"
            )
        model.load_state_dict(dict(self.weights))
        return model.to(dtype).eval()

    def builder(self, dtype: torch.dtype = torch.float32) -> GraphBuilder:
        """What turns windows into this model's graphs."""
        return GraphBuilder(self.schema, build_topology(self.topology, self.topology_arguments), self.normalization, dtype)


def build_topology(name: str, arguments: Mapping[str, Any]) -> Topology:
    """Make the topology called `name`.

    Raises:
        UsageError: if there is none or its arguments are wrong.
    """
    return call(pick(TOPOLOGIES, name, "graph"), arguments, f"graph '{name}'")


def save_package(package: Package, folder: str | Path) -> Path:
    """Write the package, whole or not at all; an older one at the same place is replaced."""
    plain = {"schema_version": SCHEMA_VERSION, "program_version": __version__, **to_plain(package)}
    with atomic_folder(folder) as temporary:
        write_json(temporary / "package.json", plain)
        weights = {name: value.detach().cpu().contiguous().clone() for name, value in package.weights.items()}
        save_file(weights, temporary / "weights.safetensors")
    return Path(folder)


def load_package(folder: str | Path) -> Package:
    """Read a package; a run folder is taken for the package inside it.

    Raises:
        PackageError: if it is missing, damaged, of another schema version, or does not fit its own model.
    """
    place = Path(folder)
    if (place / "package" / "package.json").exists():
        place = place / "package"
    path = place / "package.json"
    if not path.is_file():
        raise PackageError(f"{folder} is not a model package: it has no package.json; `forecast train` makes one")
    if path.stat().st_size > LARGEST_CARD:
        raise PackageError(f"{path} has {path.stat().st_size} bytes; a package card has at most {LARGEST_CARD}")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        plain = migrated(plain, str(path))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise PackageError(f"{path} is damaged: {error}") from None
    weights = _load_weights(place / "weights.safetensors")
    try:
        known = {name: plain[name] for name in (item.name for item in fields(Package)) if name != "weights"}
        package = Package(**from_plain(known), weights=weights)
    except (KeyError, TypeError, ValueError, AttributeError, ForecastingError) as error:
        raise PackageError(f"{path} is damaged: {type(error).__name__}: {error}") from None
    package.forecaster()
    return package


def _load_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > min(LARGEST_HEADER, path.stat().st_size):
            raise PackageError(f"{path} is damaged: it declares a header of {header} bytes")
        weights: dict[str, torch.Tensor] = load_file(path)
    except FileNotFoundError:
        raise PackageError(f"{path} is missing; copy the whole package folder") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise PackageError(f"{path} is damaged: {error}") from None
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise PackageError(f"{path}: tensor '{name}' holds a value that is not finite")
    return weights
