"""The model package: a folder with `package.json` and `weights.safetensors`.

Loading runs no code from the package: the model is named in a registry and built from plain arguments, and the weights are
plain tensors whose names, shapes and finiteness are checked against that model. Nothing is allocated before the sizes that the
files declare agree with each other.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from forecasting.errors import ForecastingError, PackageError
from forecasting.files import atomic_folder
from forecasting.graphs.build import GraphBuilder
from forecasting.graphs.features import GraphSchema
from forecasting.graphs.topology import TOPOLOGIES, Topology
from forecasting.models.base import Forecaster
from forecasting.packages._building import built
from forecasting.packages._card import CARD, WEIGHTS, read_card, write_card
from forecasting.packages._plain import from_plain, to_plain
from forecasting.packages._weights import load_weights, read_header, specs_of
from forecasting.plain import call, pick
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.trajectory import Frame
from forecasting.trajectories.windows import WindowSpec

EXAMPLES = "examples"
"""Folder of trajectory files to try a package with."""


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
        model = built(self.model, self.schema, self.arguments, specs_of(self.weights))
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


def save_package(package: Package, folder: str | Path, like: str | Path | None = None) -> Path:
    """Write the package, whole or not at all; an older one at the same place is replaced.

    Args:
        package: to write; folder: where.
        like: a package whose examples are taken along; where it has none, those of the older one stay.
    """
    with atomic_folder(folder) as temporary:
        kept = [place / EXAMPLES for place in map(Path, (like or folder, folder)) if (place / EXAMPLES).is_dir()]
        if kept:
            shutil.copytree(kept[0], temporary / EXAMPLES, symlinks=True)
        weights = {name: value.detach().cpu().contiguous().clone() for name, value in package.weights.items()}
        save_file(weights, temporary / WEIGHTS)
        (temporary / WEIGHTS).chmod(0o644)
        write_card(temporary, to_plain(package))
    return Path(folder)


def package_folder(folder: str | Path) -> Path:
    """Where the package is: the folder itself, or `package/` in a run folder.

    Raises:
        PackageError: if there is none.
    """
    place = Path(folder)
    for each in (place / "package", place):
        if os.path.lexists(each / CARD):
            return each
    raise PackageError(f"{folder} is not a model package: it has no package.json; `forecast train` makes one")


def load_package(folder: str | Path) -> Package:
    """Read a package; a run folder is taken for the package inside it.

    Raises:
        PackageError: if it is missing, damaged, changed since it was written, of an unknown schema version, or does not fit its
            own model.
    """
    place = package_folder(folder)
    content, _ = read_card(place)
    specs = read_header(place / WEIGHTS)
    try:
        known = from_plain(content, str(place / CARD))
        build_topology(known["topology"], known["topology_arguments"])
    except PackageError:
        raise
    except ForecastingError as error:
        raise PackageError(f"{place / CARD} is damaged: {error}") from None
    built(known["model"], known["schema"], known["arguments"], specs)
    return Package(**known, weights=load_weights(place / WEIGHTS))
