"""Names for things: lazy, collision-checked, open to other packages through entry points."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from fgbench.errors import UsageError

T = TypeVar("T")


def resolve(reference: str) -> Any:
    """Import ``module:attribute``.

    Raises:
        UsageError: a built-in package is missing, i.e. this is a bare checkout that was never installed.
    """
    module_name, _, attribute = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name in {"fgbench.tasks", "fgbench.adapters", "fgbench.leaderboards"}:
            raise UsageError(f"{error.name} is not installed. In the project's folder run: pip install -e .") from error
        raise
    return getattr(module, attribute) if attribute else module


def unknown_name(kind: str, name: str, names: Iterable[str]) -> str:
    """Say that there is no such name, with the ones that look like it, or all."""
    by_folded = {known.lower(): known for known in names}
    close = [by_folded[match] for match in difflib.get_close_matches(name.lower(), by_folded, n=3, cutoff=0.6)]
    hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else f" Known: {', '.join(by_folded.values())}."
    return f"There is no {kind} {name!r}.{hint}"


class Registry(Generic[T]):
    """A mapping from names to things, filled by :meth:`add` and by an entry-point group.

    Entry points are listed without importing them and loaded when asked for.
    """

    def __init__(self, kind: str, *, entry_point_group: str | None = None) -> None:
        """
        Args:
            kind: what the names stand for; used in messages.
            entry_point_group: where other packages register more names.
        """
        self.kind = kind
        self._things: dict[str, T] = {}
        self._origins: dict[str, str] = {}
        self._entry_points: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=entry_point_group) if entry_point_group else ():
            self._entry_points.setdefault(point.name, []).append(point)

    def add(self, name: str, thing: T, *, origin: str) -> None:
        """Register ``thing``.

        Raises:
            UsageError: the name is taken.
        """
        if name in self._things:
            raise UsageError(
                f"Two {self.kind}s are called {name!r}: one from {self._origins[name]}, one from {origin}. "
                "Rename one of them."
            )
        self._things[name] = thing
        self._origins[name] = origin

    def get(self, name: str) -> T:
        """Look a name up; ``distribution/name`` picks the entry point of one package.

        Raises:
            UsageError: unknown or ambiguous name, or a plug-in that cannot be imported.
        """
        points = self._points(name)
        if name in self._things and not points:
            return self._things[name]
        owners = [f"{point.dist.name if point.dist else '?'}/{point.name}" for point in points]
        if len(points) + (name in self._things) > 1:
            built_in = [f"{name} of fgbench itself"] if name in self._things else []
            raise UsageError(
                f"{self.kind.capitalize()} {name!r} is claimed by {', '.join(built_in + owners)}. "
                f"Choose one: {', '.join(owners)}; or uninstall a package."
            )
        if not points:
            raise UsageError(unknown_name(self.kind, name, self.names()))
        try:
            return cast(T, points[0].load())
        except Exception as error:
            raise UsageError(
                f"{self.kind.capitalize()} {name!r} comes from the package {owners[0].split('/')[0]!r}, which cannot "
                f"be loaded: {type(error).__name__}: {error}. Update or uninstall that package."
            ) from error

    def origin(self, name: str) -> str:
        """Where a name comes from: a module, or the distribution that provides the entry point."""
        if name in self._origins:
            return self._origins[name]
        point = self._points(name)[0]
        return f"{point.dist.name} {point.dist.version}" if point.dist else point.value

    def names(self) -> list[str]:
        """All names, built-in ones first, in order of registration."""
        return [*self._things, *(name for name in self._entry_points if name not in self._things)]

    def __contains__(self, name: str) -> bool:
        return name in self._things or bool(self._points(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def _points(self, name: str) -> list[EntryPoint]:
        """Entry points of this name, from any package or, for ``distribution/name``, from one."""
        distribution, slash, short = name.rpartition("/")
        points = self._entry_points.get(short, [])
        return [point for point in points if not slash or (point.dist and point.dist.name == distribution)]
