"""Names for the things a user may choose, built in or from an installed extension."""

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from forecasting.errors import UsageError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from name to object, filled when it is first asked.

    Built-in members register themselves when the modules of `package` are imported; extensions are found through the
    entry-point `group`, so a new format, model or method needs no edit of an existing file.

    Args:
        kind: what a member is, in words for error messages ("format", "model").
        package: package whose modules are imported on first use, but for private ones (``_name``).
        group: entry-point group of extensions, for instance ``forecasting.formats``.
    """

    def __init__(self, kind: str, package: str, group: str) -> None:
        self.kind, self.package, self.group = kind, package, group
        self._members: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a member with its name; a name can be taken once."""

        def add(member: T) -> T:
            if self._members.get(name, member) is not member:
                raise ValueError(f"{self.kind} '{name}' is registered twice")
            self._members[name] = member
            return member

        return add

    def names(self) -> list[str]:
        """Every known name, sorted."""
        self._load()
        return sorted(self._members)

    def __getitem__(self, name: str) -> T:
        """The member called `name`.

        Raises:
            UsageError: if there is none; names the nearest.
        """
        self._load()
        if name not in self._members:
            raise UsageError(f"unknown {self.kind} '{name}'; {did_you_mean(name, self._members)}")
        return self._members[name]

    def _load(self) -> None:
        if self._loaded:
            return
        package = importlib.import_module(self.package)
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_")):
            importlib.import_module(f"{self.package}.{module}")
        for point in entry_points(group=self.group):
            self.register(point.name)(point.load())
        self._loaded = True
