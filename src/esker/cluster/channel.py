"""One direction of a stream between two processes: what is sent never makes the sender wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

# A peer that stopped reading still takes this much, without making the writer wait: a quarter of HTTP/2's window.
_UNHEARD_BYTES = 16 << 10
_QUEUE_BYTES = 1 << 30
_FRAME_BYTES = 64

# How long a write may yet take when its stream is to go.
_SETTLE_SECONDS = 2.0


class Channel:
    """Sends at once while the peer is known to read, and from a thread of its own when it may not be.

    A peer that hangs stops reading, and a write to it waits for ever. Whoever holds the lock of a machine must not
    wait: so a message is written directly only while little was sent since the peer was last heard. What is too much
    for the queue is dropped, as a network may: the machines say it again.
    """

    def __init__(self, write: Callable[[bytes], None], on_broken: Callable[[], None] = lambda: None) -> None:
        self._write = write
        self._on_broken = on_broken
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._unheard = 0
        self._writing = False
        self._thread: threading.Thread | None = None
        self.closed = False

    def send(self, data: bytes) -> None:
        """Send, now or soon; nothing is said when it cannot be."""
        size = len(data) + _FRAME_BYTES
        with self._changed:
            if self.closed:
                return
            if self._writing or self._queue or self._unheard + size > _UNHEARD_BYTES:
                self._enqueue(data)
                return
            self._unheard += size
            self._writing = True
        self._written(data)
        self._end_writing()

    def heard(self) -> None:
        """Learn that the peer said something: it reads what it gets."""
        self._unheard = 0

    def close(self) -> None:
        """Send nothing any more; a write under way is left to end by itself."""
        with self._changed:
            self.closed = True
            self._queue.clear()
            self._changed.notify_all()

    def settle(self) -> None:
        """Wait a moment, after `close`, for a write that is under way: a stream that goes beneath it may end us.

        Who writes to a peer that hangs is not waited for any longer.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._writing, _SETTLE_SECONDS)

    def _enqueue(self, data: bytes) -> None:
        if self._queued_bytes + len(data) > _QUEUE_BYTES:
            return
        self._queue.append(data)
        self._queued_bytes += len(data)
        if self._thread is None:
            self._thread = threading.Thread(target=self._drain, name="esker-channel", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _drain(self) -> None:
        while True:
            with self._changed:
                while not self.closed and (self._writing or not self._queue):
                    self._changed.wait()
                if self.closed:
                    return
                data = self._queue.popleft()
                self._queued_bytes -= len(data)
                self._writing = True
            self._written(data)
            self._end_writing()

    def _end_writing(self) -> None:
        with self._changed:
            self._writing = False
            if self._queue or self.closed:
                self._changed.notify_all()

    def _written(self, data: bytes) -> None:
        try:
            self._write(data)
        except Exception:  # noqa: BLE001  # whatever it was, the stream is of no use any more
            self.close()
            self._on_broken()
