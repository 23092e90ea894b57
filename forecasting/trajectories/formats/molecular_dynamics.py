"""Trajectories of molecular dynamics: DCD, XTC, NetCDF of AMBER, and PDB with one or more models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from forecasting.errors import DataError
from forecasting.trajectories.formats._arrays import observed
from forecasting.trajectories.formats._md_dcd import is_dcd, read_dcd
from forecasting.trajectories.formats._md_motion import Array, Motion
from forecasting.trajectories.formats._md_netcdf import is_netcdf, read_netcdf
from forecasting.trajectories.formats._md_pdb import RECORDS, is_pdb, read_pdb
from forecasting.trajectories.formats._md_topology import Topology, topology_beside, topology_of
from forecasting.trajectories.formats._md_xtc import is_xtc, read_xtc
from forecasting.trajectories.formats._periodic import unwrap
from forecasting.trajectories.formats._text import reading_text
from forecasting.trajectories.formats.base import FORMATS, Format, ReadOptions
from forecasting.trajectories.trajectory import Field, Source, Trajectory
from forecasting.trajectories.units import Unit

PICOSECOND = 1e-12
HEAD = 1 << 16


class MolecularDynamicsFormat(Format):
    """One scene per file, one node per atom, numbered from 0.

    * Positions are in angstrom, times in seconds. DCD, XTC and NetCDF have a clock; models of a PDB need ``--rate``, which
      overrides a clock too. There is no up axis.
    * Node types are elements, and edges bonds, of the topology (psf, pdb, gro) with the same stem, or of the only one in
      the folder; a PDB is its own. Without one, all types are ``atom``.
    * Where there is a periodic box, atoms are followed through its walls, each by itself: a molecule that lies across a
      wall in the first frame stays in two parts.
    * Velocities and forces of a NetCDF become fields.
    """

    name = "md"
    summary = "molecular dynamics: DCD, XTC, NetCDF of AMBER, PDB models; angstrom; PDB models need --rate"
    suffixes = (".dcd", ".xtc", ".nc", ".ncdf", ".pdb", ".ent")

    def sniff(self, path: Path, head: bytes) -> float:
        """Certain by the first record; see `Format.sniff`."""
        if is_dcd(head) or is_xtc(head) or is_netcdf(head):
            return 1.0
        if is_pdb(head):
            return 0.95
        return 0.5 if path.suffix.lower() in (".pdb", ".ent") and head[:6].rstrip() in RECORDS else 0.0

    def read(self, path: Path, options: ReadOptions) -> Iterator[Trajectory]:
        """Yield the one scene, named after the file; see `Format.read`."""
        with reading_text(path), path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            kind, motion = _motion(path, file, head)
            atoms = motion.positions.shape[1]
            topology = topology_of(path, atoms) if kind == "pdb" else topology_beside(path, atoms)
        unit = options.resolve_unit(path, 3, motion.unit)
        frame = options.resolve_frame(path, 3, "none")
        time, clock = _time(path, motion, options)
        positions, valid = motion.positions, observed(motion.positions)
        _follow(path, motion)
        if unit.per_axis:
            positions *= np.array(unit.per_axis)
        positions[~valid] = np.nan
        yield Trajectory(
            scene=path.stem,
            time=time,
            positions=positions,
            valid=valid,
            node_ids=np.arange(atoms),
            node_types=topology.elements if topology else np.full(atoms, options.node_type or "atom"),
            unit=unit,
            frame=frame,
            edges=topology.bonds if topology else np.zeros((0, 2), dtype=np.int64),
            edge_types=np.full(len(topology.bonds) if topology else 0, "bond"),
            fields=dict(_fields(motion, unit)),
            source=Source(str(path), self.name, {"kind": kind, **clock, **_named(topology)}),
        )


def _motion(path: Path, file: BinaryIO, head: bytes) -> tuple[str, Motion]:
    size = path.stat().st_size
    if is_dcd(head):
        return "dcd", read_dcd(path, file, size)
    if is_xtc(head):
        return "xtc", read_xtc(path, file, size)
    if head[:3] == b"CDF":
        return "netcdf", read_netcdf(path, file, size)
    if head[:6].rstrip() in RECORDS:
        return "pdb", read_pdb(path, file)
    raise DataError(f"{path}: it begins neither like DCD, XTC, NetCDF (version 3) nor PDB; it is damaged or of another format")


def _time(path: Path, motion: Motion, options: ReadOptions) -> tuple[Array, dict[str, Any]]:
    """(T,) [s] times, and what to remember of the clock."""
    steps = len(motion.positions)
    if motion.picoseconds is not None and options.rate is None:
        times = motion.picoseconds
        return times * PICOSECOND, {
            "first_ps": float(times[0]),
            "step_ps": float(np.median(np.diff(times))) if steps > 1 else 0.0,
        }
    if steps == 1:
        return np.zeros(1), {}
    rate = options.resolve_rate(path)
    return np.arange(steps) / rate, {"rate": rate}


def _follow(path: Path, motion: Motion) -> None:
    if motion.cells is None:
        return
    sound = np.isfinite(motion.cells).all(axis=(1, 2))
    if not sound.all():
        raise DataError(f"{path}: frame {np.argmin(sound) + 1}: the periodic box has impossible lengths or angles; correct it")
    try:
        unwrap(motion.positions, observed(motion.positions), motion.cells, np.ones((1, 3), dtype=bool))
    except np.linalg.LinAlgError:
        raise DataError(f"{path}: the periodic box has impossible lengths or angles; correct it") from None


def _fields(motion: Motion, unit: Unit) -> Iterator[tuple[str, Field]]:
    for name, (values, said) in motion.vectors.items():
        if name == "velocity":
            yield name, Field(unit.from_file(values) / PICOSECOND, "1o", f"{unit.name}/s")
        else:
            yield name, Field(values, "1o", said)


def _named(topology: Topology | None) -> dict[str, str]:
    return {"topology": topology.path.name} if topology else {}


FORMATS.register(MolecularDynamicsFormat.name)(MolecularDynamicsFormat())
