"""Configurations: composed by Hydra from configs/, checked for unknown keys, kept with the run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from forecasting.config_files import config_directory
from forecasting.errors import UsageError, did_you_mean
from forecasting.files import atomic_file

OPEN = (
    *("graph.arguments", "model.arguments", "data.split.arguments", "data.read.columns", "data.declared"),
    "training.extra_optimizers",
)


def compose(overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration with these overrides, as plain values.

    Arguments of models, graphs and splits may be added freely (`model.arguments.width=3`); their takers refuse unknown ones.

    Raises:
        UsageError: if a key, a group or a choice is unknown (names the nearest), or a value is missing.
    """
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            plain = _compose(list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(_first_line(error)) from None
    missing = _missing(plain)
    if missing:
        raise UsageError(f"{missing[0]} must be given: forecast train {missing[0]}=…")
    return plain


def restore(run: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration of a run folder, with overrides.

    Raises:
        UsageError: if the folder holds no run, or a key is unknown.
    """
    path = Path(run) / "config.yaml"
    if not path.is_file():
        raise UsageError(f"{run} is not a run folder: it has no config.yaml")
    try:
        kept = OmegaConf.load(path)
        given = OmegaConf.from_dotlist(list(overrides))
        before = set(_flat(OmegaConf.to_container(kept)))
        for key in filter(None, _flat(OmegaConf.to_container(given))):
            if key not in before and not key.startswith(OPEN):
                raise UsageError(f"unknown config key '{key}'; {did_you_mean(key, before)}")
        plain = OmegaConf.to_container(OmegaConf.merge(kept, given), resolve=True)
    except OmegaConfBaseException as error:
        raise UsageError(f"{path}: {_first_line(error)}") from None
    if not isinstance(plain, dict):
        raise UsageError(f"{path} is not a configuration")
    return {**{str(key): value for key, value in plain.items()}, "run": run}


def as_overrides(config: Mapping[str, Any]) -> list[str]:
    """Keys with dots and plain values as KEY=VALUE texts."""
    groups = _groups()
    return [f"{key}={value}" if key in groups else f"{key}={_literal(value)}" for key, value in config.items()]


def save(config: Mapping[str, Any], path: Path) -> None:
    """Write a configuration as YAML, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(to_yaml(config), encoding="utf-8")


def to_yaml(config: Mapping[str, Any]) -> str:
    """A configuration as YAML text."""
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))


def _compose(overrides: list[str]) -> dict[str, Any]:
    # Keys are checked against the configuration with the chosen groups, so that Hydra never has to be told to add one.
    chosen = [item for item in overrides if _key(item) in _groups()]
    values = [item for item in overrides if item not in chosen]
    for item in chosen:
        _check_choice(item)
    base = hydra_compose("train", chosen)
    known = set(_flat(OmegaConf.to_container(base))) | set(_branches(OmegaConf.to_container(base)))
    ready = []
    for item in values:
        key = _key(item)
        if "=" not in item and not item.startswith("~"):
            raise UsageError(f"configuration is KEY=VALUE, found '{item}'")
        if key not in known and not key.startswith(tuple(f"{path}." for path in OPEN)):
            raise UsageError(f"unknown config key '{key}'; {did_you_mean(key, known | _groups())}")
        ready.append(item if key in known and key not in OPEN else f"++{item.lstrip('+')}")
    composed: DictConfig = hydra_compose("train", [*chosen, *ready])
    plain = OmegaConf.to_container(composed, resolve=False)
    if not isinstance(plain, dict):
        raise UsageError("the configuration is not a mapping")
    plain.pop("experiment", None)
    return {str(key): value for key, value in plain.items()}


def _literal(value: Any) -> str:
    """A plain value in Hydra's grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_literal, value)) + "]"
    if isinstance(value, str | Path):
        # Hydra reads a backslash as itself, except before a quote.
        text = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + (f"\\{found[2]}" if found[2] else ""), str(value))
        return f"'{text}'"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _groups() -> set[str]:
    return {folder.name for folder in config_directory().iterdir() if folder.is_dir()}


def _check_choice(item: str) -> None:
    group, _, choice = item.partition("=")
    known = [path.stem for path in (config_directory() / group).glob("*.yaml")]
    if choice not in known:
        raise UsageError(f"unknown {group} '{choice}'; {did_you_mean(choice, known)}")


def _key(item: str) -> str:
    return item.lstrip("+~").partition("=")[0]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix.rstrip("."): value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{prefix}{key}.")
    return flat


def _branches(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return []
    found = [prefix.rstrip(".")] if prefix else []
    for key, item in value.items():
        found += _branches(item, f"{prefix}{key}.")
    return found


def _missing(plain: Mapping[str, Any]) -> list[str]:
    return [key for key, value in _flat(dict(plain)).items() if isinstance(value, str) and value == "???"]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])
