"""From a configuration, as plain values, to a problem that can be trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from forecasting.errors import UsageError
from forecasting.graphs.build import GraphBuilder, schema_of
from forecasting.graphs.topology import TOPOLOGIES
from forecasting.models.base import MODELS, build_model
from forecasting.packages.package import build_topology
from forecasting.plain import call, completed
from forecasting.relaxation.methods import build_relaxation
from forecasting.training.problem import Problem
from forecasting.training.settings import TrainingSettings
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.declared import declare
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, open_or_ingest
from forecasting.trajectories.normalization import Normalization
from forecasting.trajectories.recognition import Moves
from forecasting.trajectories.splits import build_split, scored_anchors
from forecasting.trajectories.windows import Int, WindowSpec

WINDOWS_MEASURED = 4096
CLOCK_MATCH = 0.01


def assemble(config: Mapping[str, Any]) -> tuple[Problem, TrainingSettings]:
    """Open or ingest the data, cut them into windows, and make the untrained model.

    Args:
        config: ``data``, ``graph``, ``model``, ``training``, ``seed`` and ``data_root`` as in `configs/train.yaml`.

    Raises:
        UsageError: if something is unknown, missing or contradictory.
        DataError: if the data cannot be read or used.
    """
    data, seed = config["data"], int(config["seed"])
    settings = TrainingSettings.of(config["training"], seed)
    dataset = _dataset(data, Path(config["data_root"]))
    window = call(WindowSpec, {**data["window"], "horizon": _steps(data["window"]["horizon"])}, "data.window")
    manifest = dataset.manifest
    declared = declare(data.get("declared") or {}, manifest.dim, manifest.frame, tuple(manifest.fields))
    window = replace(window, declared=declared)
    split = build_split(data["split"]["kind"], data["split"]["arguments"])
    anchors = {name: scored_anchors(dataset, window, part) for name, part in split.anchors(dataset, window).items()}
    for name in ("train", "validation"):
        if not len(anchors[name]):
            raise UsageError(
                f"{dataset.folder}: no {name} window has a future to score; shorten data.window or change data.split"
            )
    _check_clock(dataset, anchors)
    topology = build_topology(config["graph"]["name"], config["graph"]["arguments"])
    schema = schema_of(dataset.manifest, window, topology)
    sample = anchors["train"][:: max(len(anchors["train"]) // WINDOWS_MEASURED, 1)]
    measured = dataset.windows(window, sample)
    normalization = Normalization.fit(measured, data["length"])
    dtype = torch.float64 if settings.precision == "64" else torch.float32
    relaxation = build_relaxation(config["relaxation"]["name"], config["relaxation"]["arguments"])
    chain = list(relaxation.chain_for(dataset.manifest.dim))
    arguments = {**config["model"]["arguments"], **({"chain": chain} if chain else {})}
    torch.manual_seed(seed)
    model = build_model(config["model"]["name"], schema, arguments)
    if model.place is not None:
        model.place.fit(measured.position[:, -1], normalization.length)
    relaxation.attach(model)
    problem = Problem(
        dataset=dataset,
        window=window,
        builder=GraphBuilder(schema, topology, normalization, dtype),
        anchors=anchors,
        model=model,
        model_name=config["model"]["name"],
        model_arguments=completed(MODELS[config["model"]["name"]], arguments),
        topology=config["graph"]["name"],
        topology_arguments=completed(TOPOLOGIES[config["graph"]["name"]], config["graph"]["arguments"]),
        relaxation=relaxation,
        card={
            "relaxation": {"name": config["relaxation"]["name"], "arguments": dict(config["relaxation"]["arguments"])},
            "data": {
                "folder": str(dataset.folder),
                "content": dataset.manifest.content,
                "counts": dict(dataset.manifest.counts),
                "windows": {name: len(part) for name, part in anchors.items()},
            },
            "split": {"kind": data["split"]["kind"], "arguments": data["split"]["arguments"]},
            "learned": Moves.of(dataset, window, anchors["train"], normalization.length).to_plain(),
            "training": dict(config["training"]),
            "seed": seed,
        },
    )
    return problem, settings


def _dataset(data: Mapping[str, Any], root: Path) -> Dataset:
    paths: Sequence[str] = [data["path"]] if isinstance(data["path"], str) else data["path"]
    read = call(ReadOptions, {**data["read"], "wide": tuple(data["read"]["wide"])}, "data.read")
    options = IngestOptions(
        read=read,
        format=data["format"],
        resample=data["resample"],
        types=data["types"],
        only=tuple(data["only"]),
        fields=None if data["fields"] is None else tuple(data["fields"]),
    )
    return open_or_ingest(paths, options, root)


def _steps(horizon: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(range(1, horizon + 1)) if isinstance(horizon, int) else tuple(horizon)


def _check_clock(dataset: Dataset, anchors: Mapping[str, Int]) -> None:
    """All scenes in use must have one step, or a step of the horizon would mean different times.

    Raises:
        UsageError: names two scenes that differ.
    """
    used = np.unique(np.concatenate([part[:, 0] for part in anchors.values()]))
    if not len(used):
        return
    dt = dataset.rows.dt[used]
    fast, slow = used[dt.argmin()], used[dt.argmax()]
    if dt.max() > dt.min() * (1 + CLOCK_MATCH):
        raise UsageError(
            f"scene '{dataset.scenes[fast]}' has a frame every {dt.min():.6g} s, scene '{dataset.scenes[slow]}' every "
            f"{dt.max():.6g} s; bring them to one step with data.resample, or keep some with data.only"
        )
