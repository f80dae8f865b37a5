"""An executor in two halves: one in a process of a Ray cluster, one in a script that reaches no other process there.

The script's half keeps the order of jobs and packs tasks; the cluster's half starts them as Ray tasks and holds what
they made until it is asked for. Each question is answered within a moment, with a bounded number of bytes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, cast

from esker.core.clock import SYSTEM_CLOCK
from esker.errors import SessionLostError
from esker.runtime import frames
from esker.runtime.executors.ray import Outcome, RayExecutor, RayJob, Sent, pack, unpack
from esker.runtime.pickled import load, out_of_band
from esker.runtime.queued_executor import Job, QueuedExecutor
from esker.runtime.worker import dump_error

# How long the cluster's half waits for something to tell, and after how many bytes an answer is full.
_HOLD_SECONDS = 0.2
_ANSWER_BYTES = 4 << 20
#: What goes to the cluster with one question: a slow line is to have room for others meanwhile.
PART_BYTES = 4 << 20

#: A question to the cluster: its word and arguments.
Ask = Callable[..., Any]


class Layout(NamedTuple):
    """How the bytes of a packed task lie one behind the other, and what else there is of it."""

    sizes: tuple[int, ...]
    digests: tuple[bytes, ...]
    path: list[str]
    folder: str

    @classmethod
    def of(cls, sent: Sent) -> tuple[Layout, bytes]:
        """The layout, and the bytes.

        >>> layout, whole = Layout.of((b"task", [b"rows"], {b"digest": b"function"}, ["/src"], "/"))
        >>> whole, layout.sizes
        (b'taskrowsfunction', (4, 4, 8))
        """
        data, buffers, blobs, path, folder = sent
        pieces = [memoryview(piece) for piece in (data, *buffers, *blobs.values())]
        return cls(tuple(piece.nbytes for piece in pieces), tuple(blobs), path, folder), b"".join(pieces)

    def sent(self, whole: bytes | bytearray) -> Sent:
        """The packed task again."""
        stops = list(accumulate(self.sizes))
        data, *pieces = [bytes(whole[stop - size : stop]) for size, stop in zip(self.sizes, stops, strict=True)]
        buffer_count = len(pieces) - len(self.digests)
        blobs = dict(zip(self.digests, pieces[buffer_count:], strict=True))
        return data, out_of_band(pieces[:buffer_count]), blobs, self.path, self.folder


class RelayExecutor(RayExecutor):
    """The half in the cluster: tasks come packed, and outcomes go on as they are. Threads may ask, one at a time."""

    def __init__(self, worker_count: int, nodes: Callable[[], Collection[str]] | None = None) -> None:
        super().__init__(worker_count, nodes)
        self._lock = threading.Lock()
        self._stowed = bytearray()
        self._streams: dict[int, RayJob] = {}
        self._ended_streams: list[int] = []

    def stow(self, part: bytes, begin: int) -> None:
        """Take a part of a task's bytes that are too many for one question."""
        with self._lock:
            self._stowed[begin:] = part

    def begin(self, last: bytes, begin: int, layout: Layout, window: int, attempt: int) -> int:
        """Start the task whose last bytes these are; the ticket names it. One with a `window` is a stream."""
        with self._lock:
            whole = self._stowed[:begin] + last
            self._stowed.clear()
            job = self._add(cast(Any, layout.sent(whole)), window, attempt)
            if window:
                self._streams[job.ticket] = job
            else:
                self._outstanding += 1
            return job.ticket

    def ended(self) -> list[tuple[int, Outcome | None]]:
        """What tasks that have ended gave, after a moment at the latest; None for a stream, which may still be read."""
        with self._lock:
            until = SYSTEM_CLOCK.seconds() + _HOLD_SECONDS
            while not (self._finished or self._ended_streams) and SYSTEM_CLOCK.seconds() < until:
                if not self._running:
                    break
                self._listen()
            streams, self._ended_streams = self._ended_streams, []
            jobs, self._finished = self._finished, []
            self._outstanding -= len(jobs)
            outcomes = [(job.ticket, job.value if job.error is None else _failed(job.error)) for job in jobs]
            return [*((ticket, None) for ticket in streams), *outcomes]

    def items(self, ticket: int) -> list[Outcome]:
        """What a stream has made: as much as fits into an answer, nothing when it makes nothing for a moment."""
        with self._lock:
            job = self._streams[ticket]
            found: list[Outcome] = []
            size, seconds = 0, _HOLD_SECONDS
            if job.reference is None:
                self._listen()
                return found
            while size < _ANSWER_BYTES and (outcome := self._told(job, seconds)) is not None:
                found.append(outcome)
                if outcome[0] != frames.ITEM:
                    self._leave(job)
                    self._forget(job)
                    break
                size += len(outcome[1]) + sum(len(buffer) for buffer in outcome[2])
                seconds = 0
            return found

    def end(self, tickets: Sequence[int]) -> None:
        """End tasks and streams that nobody wants any more."""
        with self._lock:
            for job in [self._streams[ticket] for ticket in tickets if ticket in self._streams]:
                self._drop(job)
                self._forget(job)
            self.cancel(tickets)

    def close(self) -> None:
        with self._lock:
            super().close()
            for job in list(self._streams.values()):
                self._forget(job)

    def _told(self, job: RayJob, seconds: float) -> Outcome | None:
        """The next outcome of a stream; its loss is one, too."""
        try:
            outcome = self._next(job, seconds)
        except Exception as error:  # noqa: BLE001  # it is the script's to judge
            return _failed(error)
        return None if outcome is None else _plain(outcome)

    def _forget(self, job: RayJob) -> None:
        self._streams.pop(job.ticket, None)
        job.reference = job.ended = None

    def _take(self, job: RayJob) -> None:
        super()._take(job)
        if job.window:
            self._ended_streams.append(job.ticket)

    def _packed(self, task: Any) -> Sent:
        sent: Sent = task
        return sent

    def _opened(self, outcome: Outcome) -> Any:
        return _plain(outcome)


def _plain(outcome: Outcome) -> Outcome:
    """Copied: Ray's client server can pickle no views of Ray's memory."""
    kind, data, buffers = outcome
    return kind, bytes(data), [bytes(buffer) for buffer in buffers]


def _failed(error: BaseException) -> Outcome:
    return frames.FAILED, dump_error(error), []


@dataclass(eq=False)
class _AskedJob(Job):
    """A job, with its ticket in the cluster."""

    there: int = -1


class AskingExecutor(QueuedExecutor[_AskedJob]):
    """The half in the script: `ask` brings a question to the `RelayExecutor` that it opens, and the answer back.

    `wake` does nothing: no question takes longer than a moment, and `check` is called between them.
    """

    def __init__(self, worker_count: int, ask: Ask) -> None:
        super().__init__(worker_count, _AskedJob)
        self._ask = ask
        self._number: int = ask("open_executor", worker_count)

    def close(self) -> None:
        self._waiting.clear()
        self._running.clear()
        with suppress(SessionLostError):  # with the cluster's half all it ran is gone
            self._ask("close_executor", self._number)

    def _start(self, job: _AskedJob) -> None:
        layout, whole = Layout.of(pack(job.task))
        begin = 0
        while len(whole) - begin > PART_BYTES:
            self._ask("stow", self._number, whole[begin : begin + PART_BYTES], begin)
            begin += PART_BYTES
        job.there = self._ask("begin", self._number, whole[begin:], begin, layout, job.window, job.attempt)
        self._running.append(job)

    def _listen(self) -> None:
        self._check()
        by_ticket = {job.there: job for job in self._running}
        for ticket, outcome in self._ask("ended", self._number):
            # A stream that was read to its end meanwhile is no longer here.
            job = by_ticket.get(ticket)
            if job is not None:
                self._take(job, outcome)
        self._assign()

    def _take(self, job: _AskedJob, outcome: Outcome | None) -> None:
        self._running.remove(job)
        if outcome is None:
            return
        try:
            job.value = unpack(outcome)
        except Exception as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
            job.error = error
        self._finish(job)

    def _items(self, job: _AskedJob) -> Generator[Any]:
        told = False  # all of it
        try:
            while job.there < 0:
                self._listen()
            while not told:
                self._check()
                for outcome in self._ask("items", self._number, job.there):
                    if outcome[0] != frames.ITEM:
                        told = True
                        unpack(outcome)
                        break
                    yield load(outcome[1], outcome[2])
        finally:
            if told:
                self._leave(job)
            elif job.there >= 0:
                self._end([job], force=False)
            self._drop(job)

    def _leave(self, job: _AskedJob) -> None:
        with suppress(ValueError):
            self._running.remove(job)

    def _end(self, jobs: Sequence[_AskedJob], *, force: bool) -> None:
        tickets = [job.there for job in jobs]
        if tickets:
            with suppress(SessionLostError):  # with the cluster's half all it ran is gone
                self._ask("end", self._number, tickets)
        for job in jobs:
            self._leave(job)
