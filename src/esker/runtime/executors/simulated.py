"""A cluster that is not there: one thread, a seed, workers that die and results that come in any order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from esker.core.seeded import generator
from esker.errors import EskerError, UnpicklableFunctionError, WorkerLostError
from esker.runtime.attempt import Attempt, attempting
from esker.runtime.executor import Completion, Executor
from esker.runtime.pickled import dump, dump_task, load, load_task

# A task that was lost so often is left in peace: those who try again do so at least twice.
_LOSSES_MAX = 2
# A stream is lost before one of so many first items.
_ITEMS_MAX = 8


@dataclass(frozen=True)
class _Sent:
    """A task as it travels: what it changes at the worker is not the driver's."""

    ticket: int
    data: bytes
    buffers: list[bytes]
    blobs: dict[bytes, bytes]
    attempt: int

    def load(self) -> Callable[[], Any]:
        task: Callable[[], Any] = load_task(self.data, self.buffers, self.blobs)
        return task


class SimulatedExecutor(Executor):
    """Run tasks as a cluster would, in the caller's thread, the same way for the same `seed`.

    Tasks and results are pickled; of the first `worker_count` that wait any may end next. Of a hundred tries about
    `losses` * 100 are lost: before their work, or after it and with its result, and streams in the middle.

    >>> with SimulatedExecutor(3, seed=1, losses=0.0) as executor:
    ...     tickets = [executor.submit(lambda n=n: n * n) for n in range(3)]
    ...     ends = [executor.completed()[0] for _ in tickets]
    >>> sorted(end.value for end in ends), [end.ticket for end in ends] == tickets
    ([0, 1, 4], False)
    """

    apart = True

    def __init__(self, worker_count: int, seed: int = 0, losses: float = 0.0) -> None:
        self._worker_count = worker_count
        self._chance = generator(seed)
        self._losses = losses
        self._waiting: list[_Sent] = []
        self._next_ticket = 0
        self._check: Callable[[], None] = lambda: None

    def submit(self, task: Callable[[], Any], attempt: int = 0) -> int:
        self._waiting.append(self._sent(task, attempt))
        return self._waiting[-1].ticket

    def completed(self) -> list[Completion]:
        self._check()
        if not self._waiting:
            return []
        sent = self._waiting.pop(int(self._chance.integers(min(len(self._waiting), self._worker_count))))
        is_lost = self._is_lost(sent.attempt)
        if is_lost and self._chance.random() < 0.5:
            return [Completion(sent.ticket, error=_lost())]
        try:
            with attempting(Attempt(sent.attempt)):
                value = _copied(sent.load()())
        except Exception as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
            return [Completion(sent.ticket, error=error)]
        return [Completion(sent.ticket, error=_lost()) if is_lost else Completion(sent.ticket, value)]

    def stream(self, task: Callable[[], Iterable[Any]], window: int, attempt: int = 0) -> Generator[Any]:
        return self._items(self._sent(task, attempt))

    def watch(self, check: Callable[[], None]) -> None:
        self._check = check

    def cancel(self, tickets: Iterable[int]) -> None:
        unwanted = set(tickets)
        self._waiting = [sent for sent in self._waiting if sent.ticket not in unwanted]

    def close(self) -> None:
        self._waiting.clear()

    def _sent(self, task: Callable[[], Any], attempt: int) -> _Sent:
        try:
            data, buffers, shared = dump_task(task)
            blobs = {digest: value.blob for digest, value in shared.items()}
        except EskerError:
            raise
        except Exception as error:
            raise UnpicklableFunctionError(f"a task cannot go to a worker: {error}") from error
        self._next_ticket += 1
        return _Sent(self._next_ticket - 1, bytes(data), [bytes(buffer) for buffer in buffers], blobs, attempt)

    def _is_lost(self, attempt: int) -> bool:
        return attempt < _LOSSES_MAX and bool(self._chance.random() < self._losses)

    def _items(self, sent: _Sent) -> Generator[Any]:
        left = int(self._chance.integers(_ITEMS_MAX)) if self._is_lost(sent.attempt) else -1
        if not left:
            raise _lost()
        with attempting(Attempt(sent.attempt)):
            items = iter(sent.load()())
        try:
            while True:
                self._check()
                with attempting(Attempt(sent.attempt)):
                    item = next(items, _END)
                if item is _END:
                    return
                yield _copied(item)
                del item
                left -= 1
                if not left:
                    raise _lost()
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()


_END = object()


def _copied(value: Any) -> Any:
    data, buffers = dump(value)
    return load(bytes(data), [bytes(buffer) for buffer in buffers])


def _lost() -> WorkerLostError:
    return WorkerLostError("a simulated worker was lost")
