"""How to sweep: the words `sweep.KEY=VALUE` of a command, and the folder that keeps them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forecasting.errors import UsageError, did_you_mean
from forecasting.files import write_json
from forecasting.plain import call

FILE = "sweep.json"
MAY_CHANGE = ("trials", "max_time_s", "prune")


@dataclass(frozen=True)
class SweepSettings:
    """How to sweep; see `configs/sweep.yaml`."""

    space: Any
    trials: int
    max_time_s: float | None
    prune: bool
    seed: int

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"sweep.trials must be at least 1, found {self.trials}")
        if self.max_time_s is not None and not self.max_time_s > 0:
            raise UsageError(f"sweep.max_time_s must be positive or null, found {self.max_time_s}")


@dataclass(frozen=True)
class Sweep:
    """A sweep.

    Attributes:
        folder: of it; overrides: of every trial, KEY=VALUE; settings: how.
    """

    folder: Path
    overrides: tuple[str, ...]
    settings: SweepSettings


def sweep_of(words: Sequence[str], default: str) -> Sweep:
    """A sweep from the words of a command; in a folder that holds one already, they must be the same ones.

    Args:
        words: KEY=VALUE; default: folder, where no ``run=`` names one.

    Raises:
        UsageError: if a key of the sweep is unknown (names the nearest), or the folder holds another sweep.
    """
    own = [word.lstrip("+").removeprefix("sweep.") for word in words if word.lstrip("+").startswith("sweep.")]
    others = [word for word in words if not word.lstrip("+").startswith("sweep.")]
    folders = [word.partition("=")[2] for word in others if word.startswith("run=")]
    folder = Path(folders[-1] if folders else default)
    sweep = Sweep(folder, tuple(word for word in others if not word.startswith("run=")), _settings(own))
    if (folder / FILE).exists():
        before = _read(folder)
        for name, old, new in (
            ("configuration", before.overrides, sweep.overrides),
            ("sweep.space", before.settings.space, sweep.settings.space),
            ("sweep.seed", before.settings.seed, sweep.settings.seed),
        ):
            if old != new:
                raise UsageError(f"{folder} holds a sweep with another {name} ({old}, not {new}); name another folder with run=")
    elif (folder / "config.yaml").exists():
        raise UsageError(f"{folder} holds a run of forecast train; name another folder with run=")
    return sweep


def sweep_again(folder: str, words: Sequence[str]) -> Sweep:
    """The sweep that a folder holds, with new values of what may change.

    Raises:
        UsageError: if it holds none, or the words say what must stay as it was.
    """
    if not (Path(folder) / FILE).exists():
        raise UsageError(f"{folder} holds no sweep to resume: it has no {FILE}")
    before = _read(Path(folder))
    for word in words:
        key = word.partition("=")[0]
        if key not in {f"sweep.{name}" for name in MAY_CHANGE}:
            raise UsageError(f"{key} stays as it was in {folder}; what may change is sweep.{', sweep.'.join(MAY_CHANGE)}")
    given = _settings([word.removeprefix("sweep.") for word in words])
    changed = {word.removeprefix("sweep.").partition("=")[0] for word in words}
    return replace(before, settings=replace(before.settings, **{name: getattr(given, name) for name in changed}))


def keep(sweep: Sweep) -> None:
    """Write what the sweep is into its folder."""
    plain = {"overrides": list(sweep.overrides), "sweep": vars(sweep.settings)}
    write_json(sweep.folder / FILE, plain)


def _read(folder: Path) -> Sweep:
    kept: Mapping[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return Sweep(folder, tuple(kept["overrides"]), call(SweepSettings, kept["sweep"], str(folder / FILE)))


def _settings(words: Sequence[str]) -> SweepSettings:
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from forecasting.config_files import config_directory

    known = list(SweepSettings.__dataclass_fields__)
    for word in words:
        key, sign, _ = word.partition("=")
        if not sign:
            raise UsageError(f"configuration is KEY=VALUE, found 'sweep.{word}'")
        if key not in known:
            raise UsageError(f"unknown config key 'sweep.{key}'; {did_you_mean(key, known)}")
    try:
        with initialize_config_dir(str(config_directory()), version_base="1.3"):
            plain = OmegaConf.to_container(compose("sweep", [f"++{word}" for word in words]))
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError("sweep: " + " ".join(line.strip() for line in str(error).splitlines()[:3])) from None
    return call(SweepSettings, {str(key): value for key, value in dict(plain or {}).items()}, "sweep")  # type: ignore[call-overload]
