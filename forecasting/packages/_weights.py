"""`weights.safetensors`: its header checked against its size before a tensor is made."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from forecasting.errors import PackageError
from forecasting.packages._json import parse
from forecasting.packages._kinds import ListOf, Record, Text, Whole
from forecasting.packages._members import opened

LARGEST_HEADER = 4 << 20
MOST_TENSORS = 1 << 15
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_SIZE = Whole(0, 1 << 48)
_ENTRY = Record({"dtype": Text(8), "shape": ListOf(_SIZE, 8), "data_offsets": ListOf(_SIZE, 2)})


@dataclass(frozen=True)
class TensorSpec:
    """What is known of a tensor without its values."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def numbers(self) -> int:
        """How many values it has."""
        return prod(self.shape)


def specs_of(weights: Mapping[str, torch.Tensor]) -> dict[str, TensorSpec]:
    """Name -> shape and type of tensors in memory."""
    return {name: TensorSpec(tuple(value.shape), value.dtype) for name, value in weights.items()}


def read_header(path: Path) -> dict[str, TensorSpec]:
    """Name -> shape and type of the tensors in a file, whose bytes they fill exactly.

    Raises:
        PackageError: if the file is missing, cut short, or its header is not the truth.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise PackageError(f"{path} is damaged: it has {size} bytes and declares a header of {length}")
        content = file.read(length)
    try:
        entries = parse(content)
    except ValueError as error:
        raise PackageError(f"{path} is damaged: its header is not JSON: {error}") from None
    if not isinstance(entries, dict) or len(entries) > MOST_TENSORS:
        raise PackageError(f"{path} is damaged: its header does not list at most {MOST_TENSORS} tensors")
    entries.pop("__metadata__", None)
    return _checked(entries, size - 8 - length, str(path))


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file whose header was checked.

    Raises:
        PackageError: if the file is damaged or holds a value that is not finite.
    """
    try:
        weights: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise PackageError(f"{path} is damaged: {error}") from None
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise PackageError(f"{path}: tensor '{name}' holds a value that is not finite")
    return weights


def _checked(entries: dict[str, Any], size: int, where: str) -> dict[str, TensorSpec]:
    specs, ranges = {}, []
    for name, entry in entries.items():
        place = f"{where}: tensor '{name:.80}'"
        _ENTRY(entry, place)
        dtype = DTYPES.get(entry["dtype"])
        if dtype is None or len(entry["data_offsets"]) != 2:
            raise PackageError(f"{place} has type {entry['dtype']}, expected one of {', '.join(DTYPES)}, and two offsets")
        specs[name] = TensorSpec(tuple(entry["shape"]), dtype)
        begin, end = entry["data_offsets"]
        if end - begin != specs[name].numbers * dtype.itemsize:
            raise PackageError(f"{place} of shape {entry['shape']} does not take the {end - begin} bytes it declares")
        ranges.append((begin, end))
    at = 0
    for begin, end in sorted(ranges):
        if begin != at:
            raise PackageError(f"{where} is damaged: its tensors overlap or leave gaps at byte {at}")
        at = end
    if at != size:
        raise PackageError(f"{where} is damaged: its tensors take {at} bytes, but it holds {size}")
    return specs
