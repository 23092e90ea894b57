"""Files that are sent, read into scenes that `/predict` takes."""

import json
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forecasting.errors import ForecastingError
from forecasting.service.limits import Limits
from forecasting.service.problems import Problem, too_large
from forecasting.service.scenes import plain_scene
from forecasting.service.schemas import ReadQuery
from forecasting.service.shelf import Served
from forecasting.service.upload import uploaded
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, prepare
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.resampling import resample
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import Finding

logger = logging.getLogger(__name__)
FINDINGS = 100
SAME_CLOCK = 0.01
"""Of a step: scenes whose clock is as near as that are not resampled."""


def read_upload(body: bytes, content_type: str, query: ReadQuery, served: Served | None, limits: Limits) -> bytes:
    """The answer to `POST /read`.

    Args:
        body: one file, or several as multipart/form-data; content_type: of it; query: what is said about it.
        served: package whose fields and clock the scenes are to have; limits: of the service.

    Raises:
        Problem: 413 or 422, with the file's problem in words.
    """
    with tempfile.TemporaryDirectory(prefix="forecasting-") as folder:
        names = uploaded(body, content_type, query.name, Path(folder))
        paths = [Path(folder) / names[0]] if len(names) == 1 else [Path(folder)]
        findings = list[dict[str, Any]]()
        try:
            scenes = list(_scenes(paths, query, served, limits, findings))
        except ForecastingError as error:
            raise Problem.of(error, folder) from None
        except Problem:
            raise
        except Exception as error:  # the file is a stranger's, and what a reader does with it is not ours to foresee
            logger.exception("a reader failed on a file that was sent")
            raise Problem(422, f"{', '.join(names)}: the file cannot be read ({type(error).__name__}); is it damaged?") from None
        if not scenes:
            raise Problem(422, f"{', '.join(names)}: no scene has an observed position")
        plain = [plain_scene(scene, None if served is None else served.package) for scene in scenes]
        for finding in findings:
            finding["text"] = finding["text"].replace(f"{folder}/", "")
        return json.dumps({"format": scenes[0].source.format, "scenes": plain, "findings": findings}).encode()


def _scenes(
    paths: list[Path], query: ReadQuery, served: Served | None, limits: Limits, findings: list[dict[str, Any]]
) -> Iterator[Trajectory]:
    """Read, check and fit one scene after the other, as many as may be answered."""
    options = IngestOptions(
        ReadOptions(unit=query.unit, up=query.up, rate=query.rate, on_error=query.on_error, entries=limits.entries),
        format=query.format,
    )

    def note(finding: Finding) -> None:
        if len(findings) < FINDINGS:
            findings.append(finding.to_plain())

    entries = count = 0
    for raw in read_trajectories(paths, options.read, options.format):
        entries, count = entries + raw.valid.size, count + 1
        for what, found, most in (("entries (frames × nodes)", entries, limits.entries), ("scenes", count, limits.scenes)):
            if found > most:
                raise too_large(f"{what} or more", found, most)
        scene = prepare(raw, options, note)
        if scene is not None:
            yield scene if served is None else _in_time(scene, served.package.dt, findings, limits)


def _in_time(scene: Trajectory, dt: float, findings: list[dict[str, Any]], limits: Limits) -> Trajectory:
    """The scene at the steps of the model, said among the findings where it has others."""
    if len(scene.time) < 2 or abs(scene.dt - dt) <= SAME_CLOCK * dt or scene.time[-1] - scene.time[0] < dt:
        return scene
    entries = (scene.time[-1] - scene.time[0]) / dt * len(scene.node_ids)
    if not entries <= limits.entries:
        raise too_large("entries (frames × nodes) at the model's clock", f"{entries:.3g}", limits.entries)
    findings.append(
        {
            "text": f"note: scene '{scene.scene}' has {1 / scene.dt:.6g} frames/s and is brought to the model's {1 / dt:.6g}",
            "check": "resampled",
            "severity": "note",
            "scene": scene.scene,
            "node": None,
            "frames": [],
            "frame_count": 0,
        }
    )
    return resample(scene, dt)
