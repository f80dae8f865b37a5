"""Cancellation that reaches every loop: a token that is asked, never an exception thrown from outside."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from esker.errors import CancelledError


class Cancellation:
    """A token shared by all that works for one query.

    >>> token = Cancellation()
    >>> token.check()
    >>> token.cancel("Ctrl-C")
    >>> token.check()
    Traceback (most recent call last):
        ...
    esker.errors.CancelledError: stopped: Ctrl-C [ESK-601]
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason = ""
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    @property
    def cancelled(self) -> bool:
        """True once `cancel` was called."""
        return self._event.is_set()

    def cancel(self, reason: str = "cancelled") -> None:
        """Ask everyone to stop; callbacks run once, in the caller's thread."""
        with self._lock:
            if self._event.is_set():
                return
            self._reason = reason
            self._event.set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def check(self) -> None:
        """Raise CancelledError if the query was cancelled."""
        if self._event.is_set():
            raise CancelledError(f"stopped: {self._reason}")

    def child(self) -> Cancellation:
        """A token of one query under this one: cancelled with it, and ended without ending it."""
        child = Cancellation()
        reference = weakref.ref(child)

        def pass_on() -> None:
            token = reference()
            if token is not None:
                token.cancel(self._reason)

        # A query that ended is collected and must not leave its callback behind for as long as the session lives.
        weakref.finalize(child, self._forget, pass_on)
        self.on_cancel(pass_on)
        return child

    def _forget(self, callback: Callable[[], None]) -> None:
        with self._lock:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Run `callback` when cancelled (at once, if it already is)."""
        with self._lock:
            if not self._event.is_set():
                self._callbacks.append(callback)
                return
        callback()
