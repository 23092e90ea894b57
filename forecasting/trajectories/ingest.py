"""From files to a data set: read, validate, write, and say where everything came from."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from forecasting.allocator import share_freed_memory
from forecasting.errors import DataError, UsageError
from forecasting.files import content_hash, text_hash
from forecasting.plain import pick
from forecasting.trajectories.block_checks import clean
from forecasting.trajectories.dataset import Dataset, write_manifest
from forecasting.trajectories.formats import ReadOptions, ScatteredRowsError
from forecasting.trajectories.reading import SceneNames, read_trajectories, reader_named, trajectory_files
from forecasting.trajectories.remote import LocalPaths, local_copies
from forecasting.trajectories.resampling import resample
from forecasting.trajectories.scene_block import SceneBlock, Scenes, runs
from forecasting.trajectories.shards import ShardWriter
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.unfinished import unfinished_folder
from forecasting.trajectories.validation import Finding, apply, validate

logger = logging.getLogger(__name__)
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
        fields: names of the fields to keep; None keeps all. Scenes of one data set have the same fields.
        only: names of the scenes to keep; empty keeps all.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    format: str = ""
    resample: float | None = None
    types: str = "type"
    fields: tuple[str, ...] | None = None
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


def prepare(raw: Trajectory, options: IngestOptions, note: Callable[[Finding], None]) -> Trajectory | None:
    """Validate one scene, act on what is found as `options.read.on_error` says, and bring it to the wished form.

    Args:
        raw: as it was read.
        options: how.
        note: told every finding, whatever is done about it.

    Returns:
        the scene, or None where it is not wished for or nothing of it is left.
    """
    if options.only and raw.scene not in options.only:
        return None
    if options.fields is not None:
        for name in options.fields:
            pick(raw.fields, name, f"field of {raw.source.path}: scene '{raw.scene}':")
        raw = replace(raw, fields={name: item for name, item in raw.fields.items() if name in options.fields})
    findings = validate(raw)
    for finding in findings:
        note(finding)
    scene = apply(raw, findings, options.read.on_error)
    if not scene.valid.any():
        return None
    if options.types != "type":
        scene = replace(scene, node_types=TYPES_FROM[options.types](scene))
    return resample(scene, options.resample) if options.resample else scene


def prepare_all(raw: Iterable[Scenes], options: IngestOptions, note: Callable[[Finding], None]) -> Iterator[Scenes]:
    """`prepare` scenes one after the other; those of a block in which there is nothing to find stay together."""
    as_they_are = replace(options, read=ReadOptions(), format="") == IngestOptions()
    for item in raw:
        if isinstance(item, SceneBlock) and as_they_are:
            for first, last, nothing_found in runs(clean(item)):
                part = item.part(first, last)
                yield from (part,) if nothing_found else _each(part, options, note)
        else:
            yield from _each(item if isinstance(item, SceneBlock) else (item,), options, note)


def _each(scenes: Iterable[Trajectory], options: IngestOptions, note: Callable[[Finding], None]) -> Iterator[Trajectory]:
    return (scene for scene in (prepare(raw, options, note) for raw in scenes) if scene is not None)


def prepared(paths: Sequence[str | Path], options: IngestOptions, note: Callable[[Finding], None]) -> Iterator[Trajectory]:
    """Read scenes one after the other, from files or a data set folder, and `prepare` each."""
    whole = len(paths) == 1 and (Path(paths[0]) / "manifest.json").exists()
    for raw in Dataset(paths[0]).trajectories() if whole else read_trajectories(paths, options.read, options.format):
        scene = prepare(raw, options, note)
        if scene is not None:
            yield scene


def ingest(
    paths: Sequence[str | Path],
    folder: str | Path,
    options: IngestOptions | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Make a data set of files, with memory for a few scenes and a shard.

    An ingest that was interrupted goes on behind the last whole shard when it is called again with the same files of this
    machine and the same options; see `unfinished_folder`. Tables whose rows are not sorted by scene are noticed, and sorted
    on disk first.

    Args:
        paths: files, folders and URLs.
        folder: of the data set; replaced if it is one already.
        options: how.
        progress: called with the number of positions written.

    Raises:
        DataError: if a file is not what it says it is, or holds impossible values and `on_error` is ``fail``.
        UsageError: if the files do not say something that only the user knows, or `folder` is something else already.
    """
    options = options or IngestOptions()
    target = Path(folder)
    if target.exists() and not (target / "manifest.json").exists() and any(target.iterdir()):
        raise UsageError(f"{target} exists and is not a data set; name another folder with -o")
    with local_copies(paths) as local:
        _ingest(local, target, options, progress or (lambda rows: None))
    return Dataset(target)


def cached(paths: Sequence[str | Path], options: IngestOptions, root: Path) -> Dataset:
    """The data set of these files under `root`, ingested unless it is there with the same content and options."""
    with local_copies(paths) as local:
        files = source_files(local.paths)
        stem = local.paths[0].stem
        name = stem if len(local.paths) == 1 else f"{stem}-and-{len(local.paths) - 1}-more"
        about = {"content": content_hash(files), "names": [path.name for path in files], "options": _plain_options(options)}
        folder = root / f"{name}-{text_hash(about)[:16]}"
        if not (folder / "manifest.json").exists():
            _ingest(local, folder, options, lambda rows: None)
    return Dataset(folder)


def open_or_ingest(paths: Sequence[str | Path], options: IngestOptions, root: Path) -> Dataset:
    """A data set folder is opened, anything else is ingested under `root` (see `cached`)."""
    if len(paths) == 1 and (Path(paths[0]) / "manifest.json").exists():
        return Dataset(paths[0])
    return cached(paths, options, root)


def _ingest(local: LocalPaths, target: Path, options: IngestOptions, progress: Callable[[int], None]) -> None:
    share_freed_memory()
    files = source_files(local.paths)
    about = [(local.name_of(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = text_hash({"files": about, "options": _plain_options(options)})[:12]
    try:
        with unfinished_folder(target, key) as work:
            _write(local, files, work, options, progress)
    except ScatteredRowsError as error:
        logger.warning("%s; they are sorted on disk now, which takes longer", error)
        _ingest(local, target, replace(options, read=replace(options.read, unsorted=True)), progress)


def _write(local: LocalPaths, files: list[Path], work: Path, options: IngestOptions, progress: Callable[[int], None]) -> None:
    """Read, prepare and write every scene behind those that are in the folder `work` already."""
    with ThreadPoolExecutor(1, thread_name_prefix="hash") as pool, ShardWriter(work) as writer:
        hashes = [pool.submit(content_hash, [path]) for path in files]
        state = _State(**writer.mark)
        if writer.mark:
            logger.warning("going on behind scene %d of an ingest that was interrupted", writer.counts["scenes"])
        names = SceneNames([*writer.names, *state.left_out])
        chosen = reader_named(options.format, options.read)
        for number, (path, reader) in enumerate(trajectory_files(local.paths, chosen)):
            if number < state.file:
                continue
            done = state.scene if number == state.file else 0
            state.file, state.scene = number, done
            for raw in islice(reader.read(path, options.read), done, None):
                named = names.unique(replace(raw, source=replace(raw.source, path=local.name_of(raw.source.path))))
                scene = prepare(named, options, state.note)
                state.scene += 1
                if scene is None:
                    state.left_out.append(named.scene)
                    continue
                writer.add(scene, state.to_plain)
                progress(writer.counts["rows"])
        if not writer.counts["scenes"]:
            where = ", ".join(map(local.name_of, local.paths))
            raise DataError(f"{where}: no scene has an observed position; are cells empty, or did --on-error drop everything?")
        description, content = writer.finish()
        provenance = {
            "files": [
                {"path": local.name_of(path), "sha256": digest.result()} for path, digest in zip(files, hashes, strict=True)
            ],
            "options": _plain_options(options),
            "findings": state.findings,
            "findings_count": state.findings_count,
        }
        write_manifest(work, description, content, "", provenance)


@dataclass
class _State:
    """Where an ingest stands.

    Attributes:
        file, scene: number of the file being read, and how many of its scenes are done.
        findings: the first few, as plain values; findings_count: of all.
        left_out: names of scenes that were read and not written.
    """

    file: int = 0
    scene: int = 0
    findings: list[dict[str, Any]] = field(default_factory=list)
    findings_count: int = 0
    left_out: list[str] = field(default_factory=list)

    def note(self, finding: Finding) -> None:
        """Count a finding, and keep it if it is among the first."""
        self.findings_count += 1
        if len(self.findings) < FINDINGS_KEPT:
            self.findings.append(finding.to_plain())

    def to_plain(self) -> dict[str, Any]:
        """The attributes by name, as they are now."""
        return {**vars(self), "findings": list(self.findings), "left_out": list(self.left_out)}


def _plain_options(options: IngestOptions) -> dict[str, Any]:
    plain = asdict(options)
    plain["read"]["columns"] = dict(options.read.columns)
    return plain
