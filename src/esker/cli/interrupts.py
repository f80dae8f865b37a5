"""Ctrl-C and SIGTERM: the first asks the query to stop and waits for its clean-up, the second does not wait."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from esker.core.cancellation import Cancellation

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interrupts:
    """Turns signals into a cancellation, while entered.

    A signal never raises in the middle of the work: whoever writes a file sees the cancellation between two batches
    and takes back what it wrote. A second signal raises KeyboardInterrupt, for work that does not look.

    >>> with Interrupts() as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    >>> interrupts.cancellation.cancelled, interrupts.exit_code
    (True, 130)
    """

    def __init__(self) -> None:
        self.cancellation = Cancellation()
        self._received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int | None:
        """128 + the signal, as shells write it, or None when there was none."""
        return None if self._received is None else 128 + self._received

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self._received is not None
        self._received = signal.Signals(number)
        self.cancellation.cancel(SIGNALS[self._received])
        if again:
            raise KeyboardInterrupt
