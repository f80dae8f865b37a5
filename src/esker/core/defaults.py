"""Options that hold for every query of this process that does not say otherwise: what `esker run` sets for a script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Kind = TypeVar("Kind", bound=DataclassInstance)

_defaults: Mapping[str, Any] = {}


def filled(options: Kind) -> Kind:
    """Give the options with those that are None as they are by default."""
    known = {field.name for field in fields(options)}
    missing = {name: value for name, value in _defaults.items() if name in known and getattr(options, name) is None}
    return replace(options, **missing) if missing else options


@contextmanager
def default_options(**options: Any) -> Iterator[None]:
    """Let options hold by default while the block runs; None is no option.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Some:
    ...     memory: str | None = None
    >>> with default_options(memory="64MiB", threads=2):
    ...     filled(Some()), filled(Some("1GiB"))
    (Some(memory='64MiB'), Some(memory='1GiB'))
    >>> filled(Some())
    Some(memory=None)
    """
    global _defaults
    before = _defaults
    _defaults = {**before, **{name: value for name, value in options.items() if value is not None}}
    try:
        yield
    finally:
        _defaults = before
