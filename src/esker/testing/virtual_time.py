"""An event loop whose clock jumps: what waits for time waits no time, and always in the same order.

When every task waits, the loop moves its clock to the moment the first of them waits for. So hours of throttling are
tested at once, and a test says exactly what happened when. What waits for a thread, a file or a socket waits in real
time, and the clock stands still for it only while nothing waits for time: keep the two apart.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for input without waiting; a wait for time is added to the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.seconds += max(timeout, 0.0)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop of asyncio on virtual time, which begins at 0.

    >>> run_in_virtual_time(lambda: asyncio.sleep(3600, "an hour later"))
    'an hour later'
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.seconds


def run_in_virtual_time(main: Callable[[], Awaitable[T]]) -> T:
    """Run an asynchronous function on a clock that jumps."""

    async def run() -> T:
        return await main()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())
