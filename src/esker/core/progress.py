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


def progress_of(given: Progress | bool | None) -> Progress:
    """What an option `progress=` means: True is bars where stderr is a terminal, and silence elsewhere.

    >>> type(progress_of(None)).__name__
    'Silent'
    """
    if given is True:
        # Rich is imported only for those who want it.
        from esker.core.bars import bars_for_a_terminal

        return bars_for_a_terminal() or Silent()
    return given or Silent()


class Silent:
    """No progress: what a library does unless asked."""

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        return None

    def close(self) -> None:
        return None
