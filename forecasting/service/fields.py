"""Further quantities of the nodes in requests and answers.

A field means what it meant when the model was trained: `velocity` is in the scene's unit per second, every other field in the
unit that the package names.
"""

from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import UsageError
from forecasting.packages.package import Package
from forecasting.service.problems import Problem
from forecasting.symmetry.transforms import irreps_dim
from forecasting.trajectories.trajectory import Field, Trajectory
from forecasting.trajectories.units import Unit, conversion

VELOCITY = "velocity"
_KNOWN = {int, float, type(None)}
_components = lru_cache(irreps_dim)


def fields_of(plain: Any, shape: tuple[int, int, int], where: str, package: Package, unit: Unit) -> dict[str, Field]:
    """The fields of a scene that the package knows; others are passed over.

    Args:
        plain: name -> values, or values and unit; shape: frames, nodes and dimension of the scene; where: for messages.
        package: what each field is; unit: of the scene's positions.

    Raises:
        Problem: 422 if one is missing or of another shape.
        UsageError: if its unit cannot be converted.
    """
    given = {} if plain is None else plain
    if not isinstance(given, dict):
        raise Problem(422, f"{where}: fields must be an object of names and values")
    found = {}
    for name, about in package.fields.items():
        if name not in given:
            raise Problem(422, f"{where} lacks the field '{name}' ({about['irreps']}), which the model was trained with")
        values, said = _unpacked(given[name], f"{where}: field '{name}'")
        size = _components(about["irreps"], shape[2])
        shaped = _shaped(values, (*(shape[:2] if about["per_frame"] else shape[1:2]), size), f"{where}: field '{name}'")
        if name == VELOCITY:
            found[name] = Field(unit.from_file(shaped), about["irreps"], f"{unit.name}/s", about["translates"])
        else:
            shaped = shaped * _factor(said, about["unit"], where, name)
            found[name] = Field(shaped, about["irreps"], "", about["translates"])
    return found


def plain_fields(scene: Trajectory, package: Package | None) -> dict[str, Any]:
    """The fields of a trajectory as `fields_of` takes them."""
    found: dict[str, Any] = {}
    for name, item in scene.fields.items():
        if package is not None and name not in package.fields:
            continue
        values = item.values
        if name == VELOCITY:
            values = scene.unit.to_file(values)
        known = np.isfinite(values)
        said: Any = values if known.all() else values.astype(object)
        if not known.all():
            said[~known] = None
        plain = (said[..., 0] if values.shape[-1] == 1 else said).tolist()
        own = package.fields[name]["unit"] if package is not None else ""
        found[name] = plain if name == VELOCITY or item.unit in ("", own) else {"values": plain, "unit": item.unit}
    return found


def _unpacked(plain: Any, where: str) -> tuple[Any, str]:
    """Values and the unit that is said of them, empty where none is."""
    if not isinstance(plain, dict):
        return plain, ""
    unit = plain.get("unit", "")
    if "values" not in plain or not isinstance(unit, str) or set(plain) - {"values", "unit"}:
        raise Problem(422, f"{where} must be values, or an object of `values` and `unit`")
    return plain["values"], unit


def _shaped(plain: Any, shape: tuple[int, ...], where: str) -> NDArray[np.float64]:
    """Values of `shape`; the last axis may be left out where it is 1; NaN where null stands for a number or for a node."""
    rows, size = [plain], shape[-1]
    for length in shape[:-1]:
        if not _all_lists(rows, length):
            raise _not_numbers(where, shape)
        rows = list(chain.from_iterable(rows))
    kinds = set(map(type, rows))
    if size == 1 and list not in kinds:
        flat = rows
    else:
        if size == 1 or type(None) in kinds:
            rows = [row if type(row) is list else [row] * (size if row is None else 1) for row in rows]
        if not _all_lists(rows, size):
            raise _not_numbers(where, shape)
        flat = list(chain.from_iterable(rows))
        kinds = set(map(type, flat))
    if not kinds <= _KNOWN:
        raise _not_numbers(where, shape)
    try:
        values = np.array(flat, dtype=np.float64)
    except OverflowError:
        raise _not_numbers(where, shape) from None
    if not np.isfinite(values).all() and sum(value is None for value in flat) < np.count_nonzero(~np.isfinite(values)):
        raise _not_numbers(where, shape)
    return values.reshape(shape)


def _all_lists(rows: list[Any], length: int) -> bool:
    return set(map(type, rows)) == {list} and set(map(len, rows)) == {length}


def _not_numbers(where: str, shape: tuple[int, ...]) -> Problem:
    return Problem(422, f"{where} must be {' × '.join(map(str, shape))} finite numbers, or null where unknown")


def _factor(said: str, own: str, where: str, name: str) -> float:
    """What values in the unit `said` are multiplied with to be in the package's own."""
    if said in ("", own):
        return 1.0
    (length, _, rest), (wanted, _, other) = said.partition("/"), own.partition("/")
    if rest != other:
        raise UsageError(f"{where}: field '{name}' is in {said}, the model wants {own}")
    return conversion(length, wanted)
