"""Elements and bonds of atoms, from a file beside the trajectory, through MDAnalysis."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import DataError
from forecasting.trajectories.formats._optional import optional_package
from forecasting.trajectories.formats._text import first_line

SUFFIXES = (".psf", ".pdb", ".gro")
"""Of files that name atoms, those with bonds first."""

UNKNOWN = "X"
"""Type of an atom whose element nothing tells."""

SHORTEST_LINE = 20
"""Bytes that an atom takes at least in such a file."""

_PSF_COUNT = re.compile(rb"^ *(\d+)[^\n]*!N", re.MULTILINE)
_FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, StopIteration, TypeError, ValueError)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Topology:
    """What a file says about atoms.

    Attributes:
        path: of the file.
        elements: (N,) symbols.
        bonds: (E, 2) indices of atoms.
    """

    path: Path
    elements: NDArray[np.str_]
    bonds: NDArray[np.int64]


def topology_beside(path: Path, atoms: int) -> Topology | None:
    """The topology with the trajectory's stem, else the only one in its folder if it has as many atoms.

    Raises:
        DataError: if the one with the same stem is damaged or of other atoms.
        UsageError: if MDAnalysis is not installed.
    """
    for suffix in SUFFIXES:
        if (same := path.with_suffix(suffix)) != path and same.is_file():
            return topology_of(same, atoms)
    others = [item for item in sorted(path.parent.iterdir()) if item.suffix.lower() in SUFFIXES and item.is_file()]
    if len(others) != 1:
        return None
    try:
        return topology_of(others[0], atoms)
    except DataError as error:
        logger.warning("%s is read without the names of atoms: %s", path, error)
        return None


def topology_of(path: Path, atoms: int) -> Topology:
    """Elements and bonds of one file; an element that is not written is guessed from the atom's name.

    Raises:
        DataError: if it is damaged or names another number of atoms.
        UsageError: if MDAnalysis is not installed.
    """
    _check_counts(path)
    with _quiet():
        package = optional_package("MDAnalysis", "md", "the names of atoms")
        guessing = optional_package("MDAnalysis.guesser.default_guesser", "md", "the names of atoms")
        try:
            with package.topology.core.get_parser_for(str(path))(str(path)) as parser:
                found = parser.parse()
            elements = _elements(found, guessing.DefaultGuesser(None))
            bonds = np.array(found.bonds.values if hasattr(found, "bonds") else [], dtype=np.int64).reshape(-1, 2)
        except _FAULTS as error:
            raise DataError(f"{path}: its atoms cannot be read ({first_line(error)}); correct or remove the file") from None
    if len(elements) != atoms:
        raise DataError(f"{path}: it names {len(elements)} atoms, the trajectory has {atoms}; put the right one beside it")
    if len(bonds) and not (bonds.min() >= 0 and bonds.max() < atoms):
        raise DataError(f"{path}: a bond names atom {bonds.max() + 1} of {atoms}; correct it")
    return Topology(path, elements, np.unique(np.sort(bonds, axis=1), axis=0))


def _elements(found: Any, guesser: Any) -> NDArray[np.str_]:
    names = [str(name) for name in found.names.values]
    said = [str(value) for value in found.elements.values] if hasattr(found, "elements") else [""] * len(names)
    guesses = {name: guesser.guess_atom_element(name) or UNKNOWN for name in set(names)}
    return np.array([(element or guesses[name]).capitalize() for element, name in zip(said, names, strict=True)])


def _check_counts(path: Path) -> None:
    """Refuse counts that the file has no room for, before memory is taken for them."""
    if path.suffix.lower() == ".pdb":
        return
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if path.suffix.lower() == ".gro":
        counts = content.split(b"\n", 2)[1:2]
        room = len(content) // SHORTEST_LINE
    else:
        counts, room = _PSF_COUNT.findall(content), len(content)
    if any(not count.strip().isdigit() or len(count) > 15 or int(count) > room for count in counts):
        raise DataError(f"{path}: it counts more than its {len(content)} bytes can hold; it is cut or damaged")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MDAnalysis' warnings and log records, which are about its own ways of reading, from the user."""
    log = logging.getLogger("MDAnalysis")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
