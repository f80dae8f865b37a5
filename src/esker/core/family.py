"""A family: variants of one thing, by name, loaded when first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from esker.errors import OptionError

T = TypeVar("T")


class Family(Generic[T]):
    """The table of a family: registered name -> "module:attribute".

    >>> numbers = Family[Any]("number", {"pi": "math:pi"})
    >>> round(numbers["pi"], 2)
    3.14
    >>> numbers["tau"]
    Traceback (most recent call last):
        ...
    esker.errors.OptionError: no number 'tau'; there is: pi [ESK-106]

    Other packages add variants through the entry-point group `esker.<name>` (spaces become underscores); a name
    of our own table cannot be taken over.
    """

    def __init__(self, name: str, table: Mapping[str, str]) -> None:
        self.name = name
        self._targets = dict(table)
        self._loaded: dict[str, T] = {}
        self._entry_points_read = False

    def __getitem__(self, variant: str) -> T:
        if variant not in self._loaded:
            self._loaded[variant] = self._load(variant)
        return self._loaded[variant]

    def __iter__(self) -> Iterator[str]:
        self._read_entry_points()
        return iter(self._targets)

    def __contains__(self, variant: object) -> bool:
        self._read_entry_points()
        return variant in self._targets

    def __len__(self) -> int:
        self._read_entry_points()
        return len(self._targets)

    def items(self) -> Iterator[tuple[str, T]]:
        """Every variant, loaded."""
        for variant in self:
            yield variant, self[variant]

    def values(self) -> Iterator[T]:
        """Every variant's object, loaded, in the order of the table."""
        for variant in self:
            yield self[variant]

    def _load(self, variant: str) -> T:
        if variant not in self._targets:
            self._read_entry_points()
        if variant not in self._targets:
            raise OptionError(f"no {self.name} {variant!r}; there is: {', '.join(self._targets)}")
        module_name, _, attribute = self._targets[variant].partition(":")
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]  # the table says what is there; the contract suite checks it

    def _read_entry_points(self) -> None:
        if self._entry_points_read:
            return
        self._entry_points_read = True
        # Imported only here: it takes longer than starting a worker process.
        from importlib.metadata import entry_points

        for point in entry_points(group=f"esker.{self.name.replace(' ', '_')}"):
            self._targets.setdefault(point.name, point.value)
