"""A switch that ends streams from outside: in good order, or at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

from esker.errors import CancelledError
from esker.stream.feed import END, End
from esker.stream.run import Elements, Stage

T = TypeVar("T")


class KillSwitch:
    """Ends every stream that it was put into; may be thrown from any thread, before or while they run.

    >>> from esker import Stream
    >>> switch = KillSwitch()
    >>> def stop_at_three(n):
    ...     if n == 3:
    ...         switch.shutdown()
    ...     return n
    >>> Stream(range(1_000_000)).kill_switch(switch).map(stop_at_three).collect()
    [0, 1, 2, 3]
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakers: set[Callable[[], None]] = set()
        self._thrown = False
        self._failure: Exception | None = None

    @property
    def thrown(self) -> bool:
        """True once `shutdown` or `abort` was called."""
        return self._thrown

    def shutdown(self) -> None:
        """End the streams as if their sources had: what is under way arrives, and sinks complete."""
        self._throw(None)

    def abort(self, reason: str | Exception = "kill switch") -> None:
        """Fail the streams, with a CancelledError that tells the reason, or with the error given."""
        self._throw(reason if isinstance(reason, Exception) else CancelledError(f"stopped: {reason}"))

    def check(self) -> bool:
        """Say whether the streams are to end; raises when they are to fail."""
        if self._failure is not None:
            raise self._failure
        return self._thrown

    def _throw(self, failure: Exception | None) -> None:
        with self._lock:
            if self._thrown:
                return
            self._failure = failure
            self._thrown = True
            wakers = list(self._wakers)
        for wake in wakers:
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` in this task's event loop when the switch is thrown while the block runs."""
        token = anyio.lowlevel.current_token()
        loop_thread = threading.get_ident()

        def wake_there() -> None:
            if threading.get_ident() == loop_thread:
                wake()
                return
            # When the loop has ended meanwhile there is nobody to wake.
            with suppress(anyio.RunFinishedError):
                anyio.from_thread.run_sync(wake, token=token)

        with self._lock:
            self._wakers.add(wake_there)
        try:
            yield
        finally:
            with self._lock:
                self._wakers.discard(wake_there)


async def kill_switch(source: Elements[T], stage: Stage, switch: KillSwitch) -> Elements[T]:
    """Give elements until the switch is thrown, which ends a wait for the next one, too."""
    async with aclosing(source):
        while not switch.check():
            element = await _next_unless(source, switch)
            if element is END:
                switch.check()
                return
            yield element


async def _next_unless(source: Elements[T], switch: KillSwitch) -> T | End:
    with anyio.CancelScope() as scope, switch.waking(scope.cancel):
        try:
            return await anext(source)
        except StopAsyncIteration:
            return END
    return END
