"""A narrow word for progress, so that engines need no terminal: rows and bytes done, by operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


class Progress(Protocol):
    """Told by operators how far they are; totals may be unknown (None)."""

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """`done` of `total` `unit` (rows, bytes, seconds) since the operator started."""

    def close(self) -> None:
        """The query ended."""


@runtime_checkable
class Watcher(Progress, Protocol):
    """A Progress that also sees the events of the query's log (docs/formats/event-log.md)."""

    def watch(self, event: Mapping[str, Any]) -> None:
        """An event was logged; called in the thread that logged it."""


class Silent:
    """No progress: what a library does unless asked."""

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        return None

    def close(self) -> None:
        return None
