"""From files to a data set: read, validate, write, and say where everything came from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from forecasting.errors import DataError, UsageError
from forecasting.files import content_hash, text_hash
from forecasting.plain import pick
from forecasting.trajectories.dataset import Dataset, build_dataset
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.reading import read_trajectories
from forecasting.trajectories.resampling import resample
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import Finding, apply, validate

TYPES_FROM = {"type": lambda scene: scene.node_types, "id": lambda scene: scene.node_ids.astype(str)}
FINDINGS_KEPT = 100


@dataclass(frozen=True)
class IngestOptions:
    """How files become a data set.

    Attributes:
        read: what the user says about the files.
        format: name of the reader; empty lets the content decide.
        resample: [s] step to bring every scene to; None keeps the file's frames.
        types: ``type`` keeps the node types of the file, ``id`` makes every node id a type of its own (joints, atoms).
        only: names of the scenes to keep; empty keeps all.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    format: str = ""
    resample: float | None = None
    types: str = "type"
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pick(TYPES_FROM, self.types, "types")

    def with_fallback(self, unit: str, up: str) -> "IngestOptions":
        """The same options, with a unit and up axis for files that do not say theirs."""
        return replace(self, read=replace(self.read, fallback_unit=unit, fallback_up=up))


def source_files(paths: Sequence[str | Path]) -> list[Path]:
    """Every file named or below a folder named, sorted within each folder.

    Raises:
        DataError: if one does not exist.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise DataError(f"{path} does not exist")
        found += [path] if path.is_file() else sorted(child for child in path.rglob("*") if child.is_file())
    return found


def prepared(paths: Sequence[str | Path], options: IngestOptions, note: Callable[[Finding], None]) -> Iterator[Trajectory]:
    """Read scenes, validate each, and act on what is found as `options.read.on_error` says.

    Args:
        paths: files and folders.
        options: how.
        note: told every finding, whatever is done about it.
    """
    for raw in read_trajectories(paths, options.read, options.format):
        if options.only and raw.scene not in options.only:
            continue
        findings = validate(raw)
        for finding in findings:
            note(finding)
        scene = apply(raw, findings, options.read.on_error)
        if not scene.valid.any():
            continue
        scene = replace(scene, node_types=TYPES_FROM[options.types](scene))
        yield resample(scene, options.resample) if options.resample else scene


def ingest(
    paths: Sequence[str | Path],
    folder: str | Path,
    options: IngestOptions | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Make a data set of files.

    Args:
        paths: files and folders.
        folder: of the data set; replaced if it is one already.
        options: how.
        progress: called with the number of scenes done.

    Raises:
        DataError: if a file is not what it says it is, or holds impossible values and `on_error` is ``fail``.
        UsageError: if the files do not say something that only the user knows, or `folder` is something else already.
    """
    options = options or IngestOptions()
    target = Path(folder)
    if target.exists() and not (target / "manifest.json").exists() and any(target.iterdir()):
        raise UsageError(f"{target} exists and is not a data set; name another folder with -o")
    files = source_files(paths)
    findings: list[Finding] = []
    provenance: dict[str, Any] = {
        "files": [{"path": str(path), "sha256": content_hash([path])} for path in files],
        "options": _plain_options(options),
        "findings": findings,
    }
    scenes = _counted(prepared(paths, options, findings.append), progress)
    return build_dataset(_closing(scenes, provenance, findings), target, provenance=provenance)


def cached(paths: Sequence[str | Path], options: IngestOptions, root: Path) -> Dataset:
    """The data set of these files under `root`, ingested unless it is there with the same content and options."""
    files = source_files(paths)
    name = Path(paths[0]).stem if len(paths) == 1 else f"{Path(paths[0]).stem}-and-{len(paths) - 1}-more"
    key = text_hash({"content": content_hash(files), "names": [path.name for path in files], "options": _plain_options(options)})
    folder = root / f"{name}-{key[:16]}"
    return Dataset(folder) if (folder / "manifest.json").exists() else ingest(paths, folder, options)


def open_or_ingest(paths: Sequence[str | Path], options: IngestOptions, root: Path) -> Dataset:
    """A data set folder is opened, anything else is ingested under `root` (see `cached`)."""
    if len(paths) == 1 and (Path(paths[0]) / "manifest.json").exists():
        return Dataset(paths[0])
    return cached(paths, options, root)


def _closing(scenes: Iterable[Trajectory], provenance: dict[str, Any], findings: list[Finding]) -> Iterator[Trajectory]:
    """Pass scenes on; when they end, put the findings into the provenance as plain values."""
    yield from scenes
    provenance["findings_count"] = len(findings)
    provenance["findings"] = [finding.to_plain() for finding in findings[:FINDINGS_KEPT]]


def _counted(scenes: Iterable[Trajectory], progress: Callable[[int], None] | None) -> Iterator[Trajectory]:
    for count, scene in enumerate(scenes, start=1):
        yield scene
        if progress:
            progress(count)


def _plain_options(options: IngestOptions) -> dict[str, Any]:
    plain = asdict(options)
    plain["read"]["columns"] = dict(options.read.columns)
    return plain
