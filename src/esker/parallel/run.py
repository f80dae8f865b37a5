"""One run of a program: its chunks go to an executor a few at a time, what becomes of them comes back by number."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any

from esker.core.seeded import generator
from esker.engine.bag.task_state import current_task
from esker.errors import OptionError, WorkerLostError
from esker.parallel.chunks import Chunk
from esker.parallel.task import Broken, Failure, Program, Task
from esker.runtime.executor import Executor
from esker.runtime.executors import EXECUTORS
from esker.runtime.pickled import Shared

# Chunks at the executor for each worker: one that is worked on, and one that follows without a word of the driver.
CHUNKS_AHEAD = 2
# Chunks whose results wait for an earlier one, for each worker.
CHUNKS_WAITING = 16
RUNTIMES = ("processes", "threads", "inline")


@dataclass(frozen=True)
class ParOptions:
    """How a par runs; what it computes does not depend on it, but for the seed."""

    workers: int
    runtime: str = "processes"
    ordered: bool = True
    seed: int = 0
    chunk: int | None = None


def worker_count(workers: int | None) -> int:
    """The number of workers: what the user says, or as many as this process may use processors."""
    if workers is None:
        return len(os.sched_getaffinity(0))
    if workers < 1:
        raise OptionError(f"workers={workers} is too few; 1 is the least")
    return workers


def check_runtime(runtime: str) -> None:
    """Refuse a runtime that is not there."""
    if runtime not in RUNTIMES:
        raise OptionError(f"runtime={runtime!r} is none of {', '.join(RUNTIMES)}")


def open_executor(runtime: str, workers: int) -> Executor:
    """Make an executor; inside a task of another all runs in its own thread: its workers are taken already."""
    return EXECUTORS["inline" if current_task() is not None else runtime](workers)


def nested_seed(seed: int) -> int:
    """The seed of a run: inside a task one of its own for each item, or all of them would have the same numbers."""
    task = current_task()
    if task is None:
        return seed
    return int(generator(task.seed, task.stage, task.partition, seed).integers(0, 2**63))


Outcome = Any | Failure | Broken


@dataclass(frozen=True)
class _Sent:
    number: int
    task: Task
    attempt: int


class Run:
    """Hands chunks over and takes outcomes; leaving the block ends what is still worked on."""

    def __init__(self, program: Program, options: ParOptions) -> None:
        self._shared = Shared(program)
        self._chunks = enumerate(program.source.chunks(options.chunk))
        self._options = options
        self._seed = nested_seed(options.seed)
        self._executor: Executor = open_executor(options.runtime, options.workers)
        self._sent: dict[int, _Sent] = {}
        self._more = True
        self._stopped = threading.Event()
        self._handed = 0
        self._taken = 0

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._executor.cancel(self._sent)
        self._executor.close()

    def in_order(self) -> Iterator[Any]:
        """Give what became of each chunk, in order; the first failure, in that order, is raised."""
        waiting: dict[int, Outcome] = {}
        for number in count():
            while number not in waiting:
                if not self._feed():
                    return
                for found, outcome in self._outcomes():
                    waiting[found] = outcome
                    if is_failure(outcome):
                        self.narrow(found)
            self._taken += 1
            yield raised(waiting.pop(number))

    def as_done(self) -> Iterator[tuple[int, Outcome]]:
        """Give what became of chunks, with their numbers, as they are done; failures are given too."""
        while self._feed():
            for number, outcome in self._outcomes():
                self._taken += 1
                yield number, outcome

    def narrow(self, number: int) -> None:
        """Want no chunk behind this one any more; those that are worked on are ended."""
        self._more = False
        beyond = [ticket for ticket, sent in self._sent.items() if sent.number > number]
        self._executor.cancel(beyond)
        for ticket in beyond:
            del self._sent[ticket]

    def outstanding(self) -> list[int]:
        """The numbers of the chunks that are at the executor."""
        return [sent.number for sent in self._sent.values()]

    def _feed(self) -> bool:
        """Hand over chunks while there is room for them; False when nothing is left anywhere."""
        ahead = CHUNKS_AHEAD * self._options.workers
        window = CHUNKS_WAITING * self._options.workers
        while self._more and len(self._sent) < ahead:
            if self._handed - self._taken >= window:
                break
            following: tuple[int, Chunk] | None = next(self._chunks, None)
            if following is None:
                self._more = False
                break
            number, chunk = following
            self._handed += 1
            # A thread cannot be ended: its task asks between two items. A process can, and its task is pickled.
            stopped = None if self._executor.apart else self._stopped.is_set
            self._send(_Sent(number, Task(self._shared, chunk, self._seed, stopped), 0))
        return bool(self._sent)

    def _send(self, sent: _Sent) -> None:
        self._sent[self._executor.submit(sent.task, sent.attempt)] = sent

    def _outcomes(self) -> Iterator[tuple[int, Outcome]]:
        for completion in self._executor.completed():
            sent = self._sent.pop(completion.ticket, None)
            if sent is None:
                continue
            if isinstance(completion.error, WorkerLostError):
                if sent.attempt == 0:
                    # Once more: maybe it was another process's fault. If not, each item is noted before it is tried.
                    self._send(_Sent(sent.number, sent.task, 1))
                    continue
                yield sent.number, Broken(self._lost(completion.error, sent))
                continue
            yield sent.number, completion.value if completion.error is None else Broken(completion.error)

    def _lost(self, error: WorkerLostError, sent: _Sent) -> WorkerLostError:
        program: Program = self._shared.value
        names = ", ".join(step.operator for step in program.steps) or "the end of the line"
        at = (
            f"item {error.mark[0] - 1}: {error.mark[1]}" if error.mark else f"the items from {sent.task.chunk.first} on"
        )
        return WorkerLostError(
            f"{error}, twice\n  in {names}, on {at}",
            exit_status=error.exit_status,
            mark=error.mark,
            stack=error.stack,
        )


def is_failure(outcome: Outcome) -> bool:
    """Tell a failure from a result."""
    return isinstance(outcome, Failure | Broken)


def raised(outcome: Outcome) -> Any:
    """Give the result, or raise the failure."""
    if isinstance(outcome, Failure | Broken):
        raise outcome.error()
    return outcome
