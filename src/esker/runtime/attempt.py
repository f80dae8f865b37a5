"""What the code of a task may ask about the try it runs in, and the mark that outlives a process that dies."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MARK_BYTES = 4096
_MARK = struct.Struct("<QI")


@dataclass(frozen=True)
class Attempt:
    """`number` counts from 0; `mark` is memory that the driver still sees when this process is gone."""

    number: int = 0
    mark: memoryview | None = None

    @property
    def traced(self) -> bool:
        """Whether each element is to be marked before it is worked on: from the second try on."""
        return self.number > 0 and self.mark is not None

    def note(self, position: int, element: object) -> None:
        """Say which element comes next; `position` counts from 1."""
        if self.mark is None:
            return
        try:
            text = repr(element)[:200].encode("utf-8", "replace")
        except Exception:  # noqa: BLE001 - a mark must not fail where the work would not
            text = b""
        _MARK.pack_into(self.mark, 0, position, len(text))
        self.mark[_MARK.size : _MARK.size + len(text)] = text

    def clear(self) -> None:
        """Forget the mark of the task before."""
        if self.mark is not None:
            _MARK.pack_into(self.mark, 0, 0, 0)


def read_mark(mark: memoryview) -> tuple[int, str] | None:
    """Read the element that was worked on: its position from 1, and what it looks like."""
    position, length = _MARK.unpack_from(mark, 0)
    if not position or length > MARK_BYTES - _MARK.size:
        return None
    return position, bytes(mark[_MARK.size : _MARK.size + length]).decode("utf-8", "replace")


_STATE = threading.local()
_FIRST = Attempt()


def current_attempt() -> Attempt:
    """The try that this thread works at."""
    found: Attempt = getattr(_STATE, "attempt", _FIRST)
    return found


@contextmanager
def attempting(attempt: Attempt) -> Iterator[None]:
    """Work at `attempt` in this thread."""
    before = current_attempt()
    _STATE.attempt = attempt
    try:
        yield
    finally:
        _STATE.attempt = before
