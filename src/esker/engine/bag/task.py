"""Tasks: one partition's work, in whatever process it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from esker.core.clock import SYSTEM_CLOCK
from esker.engine.bag.pipeline import Pipeline
from esker.engine.bag.task_state import Counted, TaskState, running
from esker.errors import EskerError
from esker.runtime.pickled import Shared

# A batch on its way: some thousand elements, a quarter of a mebibyte, a twentieth of a second, whatever is least.
_BATCH_ITEMS_MAX = 4096
_BATCH_BYTES = 256 << 10
_BATCH_SECONDS = 0.05


@dataclass(frozen=True)
class Consumer:
    """What is done with the elements of a partition; `function` takes their iterator.

    Where it has a method `fed`, that may be called instead, with `Pipeline.feed`.
    """

    function: Callable[[Iterator[Any]], Any]
    operator: str


@dataclass(frozen=True)
class Report:
    """What a task gives: the consumer's value, what was added to accumulators, what the steps counted."""

    value: Any
    updates: Mapping[int, Any]
    counts: Mapping[tuple[int, ...], Counted]


@dataclass(frozen=True, eq=False)
class Task:
    """One partition and what becomes of it."""

    pipeline: Pipeline
    consumer: Shared
    partition: int
    partition_count: int
    stage: int
    seed: int
    properties: Mapping[str, str]

    def __call__(self) -> Report:
        consumer: Consumer = self.consumer.value
        with running(self.state()) as state:
            try:
                fed = getattr(consumer.function, "fed", None)
                if fed is not None and self.pipeline.can_feed():
                    value = fed(self.pipeline.feed)
                else:
                    value = self._consumed(consumer.function)
            except EskerError:
                raise
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's function may raise anything
                raise _failure(error, consumer.operator) from None
        return Report(value, state.updates, state.counts)

    def _consumed(self, function: Callable[[Iterator[Any]], Any]) -> Any:
        elements = self.pipeline.open()
        try:
            return function(elements)
        finally:
            close = getattr(elements, "close", None)
            if close is not None:
                close()

    def state(self) -> TaskState:
        """What the task is to those that ask from within."""
        return TaskState(self.partition, self.partition_count, self.stage, self.seed, self.properties)


@dataclass(frozen=True, eq=False)
class StreamTask(Task):
    """One partition whose elements are wanted themselves, in batches; `skip` were taken from a try before."""

    skip: int = 0

    def __call__(self) -> Any:
        return self._batches()

    def _batches(self) -> Iterator[list[Any] | Report]:
        consumer: Consumer = self.consumer.value
        state = self.state()
        # The state is this thread's only while we work: between two batches the thread may be the reader's own.
        with running(state):
            elements = self.pipeline.open()
        found = batches(islice(elements, self.skip, None) if self.skip else elements)
        while True:
            with running(state):
                try:
                    batch = next(found, None)
                except EskerError:
                    raise
                except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's function may raise anything
                    raise _failure(error, consumer.operator) from None
            if batch is None:
                break
            yield batch
            del batch
        if state.updates or state.counts:
            yield Report(None, state.updates, state.counts)


def _failure(error: BaseException, operator: str) -> Exception:
    # What tells of failures is loaded by those that fail.
    from esker.engine.bag.failure import user_failure

    return user_failure(error, operator)


def batches(elements: Iterator[Any], items_max: int = _BATCH_ITEMS_MAX) -> Iterator[list[Any]]:
    """Cut elements into lists: a first one soon, then such that each is quick to make and small.

    >>> [len(batch) for batch in batches(iter(range(100)))]
    [1, 4, 16, 64, 15]
    """
    size = 1
    clock = SYSTEM_CLOCK.seconds
    start = clock()
    while batch := list(islice(elements, size)):
        taken = len(batch)
        each_bytes = _size_of(batch)
        yield batch
        del batch
        seconds, start = clock() - start, clock()
        wanted = min(size * 4, items_max, max(1, _BATCH_BYTES // each_bytes))
        if seconds > _BATCH_SECONDS:
            wanted = max(1, min(wanted, int(taken * _BATCH_SECONDS / seconds)))
        size = wanted


def _size_of(batch: list[Any]) -> int:
    """About how many bytes one element takes, from a few of them."""
    sample = batch[:: max(1, len(batch) // 8)][:8]
    return max(1, sum(map(_shallow, sample)) // len(sample))


def _shallow(element: Any) -> int:
    size = sys.getsizeof(element, 64)
    nbytes = getattr(element, "nbytes", 0)
    if isinstance(nbytes, int):
        size += nbytes
    if isinstance(element, tuple | list | set | frozenset):
        size += sum(sys.getsizeof(part, 64) for part in islice(element, 64)) * max(1, len(element) // 64)
    return size
