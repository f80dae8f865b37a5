"""What functions that a wide step calls raise, on its way up: told with the step and the key it was about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from esker.errors import EskerError


class Table(Protocol):
    """What calls functions while it reads an iterator."""

    @property
    def source_failed(self) -> bool:
        """Whether what was raised last came of the iterator."""


@dataclass
class CallFailure(Exception):
    """A function of `step` raised what stands in `__cause__`; `key` is what it was called for, where that is known."""

    step: str
    key: tuple[Any, ...] = ()


@contextmanager
def calling(step: str, table: Table | None = None) -> Iterator[None]:
    """Make a CallFailure of what a function of `step` raises; what `table` reads from may raise what it likes.

    Without it nobody could tell: a table calls the functions in the middle of the loop that feeds it, so that the
    steps before it are on the stack, too.
    """
    try:
        yield
    except (EskerError, CallFailure):
        raise
    except (Exception, SystemExit) as error:
        if table is not None and table.source_failed:
            raise
        raise CallFailure(step, _key(table)) from error


def _key(table: Table | None) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = None
    # It is for the message alone.
    with suppress(Exception):
        found = getattr(table, "current_key", None)
    return found or ()
