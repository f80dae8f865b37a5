"""A narrow word for progress, so that engines need no terminal: rows and bytes done, by operator."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told by operators how far they are; totals may be unknown (None)."""

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        """`done` of `total` `unit` (rows, bytes, seconds) since the operator started."""

    def close(self) -> None:
        """The query ended."""


class Silent:
    """No progress: what a library does unless asked."""

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        return None

    def close(self) -> None:
        return None
