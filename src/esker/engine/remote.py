"""Partitions that are made in other processes: the tasks, and the driver's loops over them.

What goes to a process is a task that makes the batches of one partition and, at the end, a report. A try that is lost
with its worker is made again behind the rows that came; pages that are lost are made again first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Protocol

import pyarrow as pa

from esker.core.activity import Counts
from esker.core.arrow_memory import settle_allocator
from esker.core.batch import packed, slices, unpacked
from esker.core.clock import SYSTEM_CLOCK
from esker.core.context import QueryContext
from esker.core.memory import MEMORY_MIN_BYTES, MemoryBudget
from esker.core.spill import SpillFolder
from esker.engine.page_nodes import NoPlaceError
from esker.engine.session import Session
from esker.errors import PagesLostError, WorkerLostError
from esker.runtime.executor import Executor

# How often a task is tried again whose worker died, and how often pages may be lost under it.
RETRIES = 2
PAGE_LOSSES_MAX = 8
# Parcels of a task that wait to be read, and when one is full: an executor takes some milliseconds for each.
_WINDOW = 2
_PARCEL_BYTES = 1 << 20
_PARCEL_SECONDS = 0.2
# Tasks for each worker: with more, less is made again when one is lost, and rows come sooner; each costs milliseconds.
_TASKS_OF_A_WORKER = 4


@dataclass(frozen=True)
class Report:
    """The last word of a task: what the steps of its plan counted, the topmost first."""

    counts: tuple[Counts, ...] = ()


class PartitionTask(Protocol):
    """Makes one partition of a stage. Pickles."""

    def open(self, context: QueryContext) -> tuple[Iterator[pa.RecordBatch], Callable[[], Report]]:
        """The batches, and what there is to report when they were read."""
        ...


@dataclass(frozen=True)
class RemoteStream:
    """How the partitions of a stream are made elsewhere, and what the driver does with reports.

    `prepare` runs what is below first; `done` is told when all rows of a partition were read. Of a `direct` stream the
    driver can read the rows as well as a worker could.
    """

    task: Callable[[int], PartitionTask]
    report: Callable[[Report], None]
    done: Callable[[int], None] = lambda index: None
    prepare: Callable[[], object] = lambda: None
    direct: bool = False


@dataclass(frozen=True)
class TaskSettings:
    """What a task takes from the query: its own share of a node's memory, and the words that change results."""

    memory_bytes: int | None
    tasks_of_a_node: int
    batch_rows: int
    ordered: bool
    seed: int
    spill_limit: int | str | None = None

    @classmethod
    def of(cls, context: QueryContext, session: Session) -> TaskSettings:
        """The settings of a query's tasks."""
        return cls(
            context.budget.total_bytes if context.budget.is_chosen else None,
            max(1, session.tasks_of_a_node),
            context.batch_rows,
            context.ordered,
            context.seed,
            context.spill.limit_option,
        )

    @property
    def task_bytes(self) -> int:
        """The memory of one task: its share of a node's, or, where nothing was chosen, of this machine's."""
        node_bytes = self.memory_bytes if self.memory_bytes is not None else MemoryBudget().total_bytes
        return max(node_bytes // self.tasks_of_a_node, MEMORY_MIN_BYTES)

    def context(self) -> QueryContext:
        """A context for one task, at the worker: its memory is the share of a node's that is one task's."""
        if self.memory_bytes is not None:
            settle_allocator()
        return QueryContext(
            budget=MemoryBudget(self.task_bytes),
            spill=SpillFolder(limit=self.spill_limit),
            threads=1,
            ordered=self.ordered,
            seed=self.seed,
            batch_rows=self.batch_rows,
        )


@dataclass(frozen=True, eq=False)
class StreamedPartitions:
    """Some partitions as a task that an executor takes: the batches of each, then its report."""

    tasks: tuple[PartitionTask, ...]
    settings: TaskSettings
    skip_rows: int = 0  # of the first one

    def __call__(self) -> Iterator[Parcel]:
        return parcels(self._items())

    def _items(self) -> Iterator[pa.RecordBatch | Report]:
        skip_rows = self.skip_rows
        with self.settings.context() as context:
            for task in self.tasks:
                batches, report = task.open(context)
                with closing(_generator(batches)) as made:
                    for batch in skipped(made, skip_rows):
                        yield from slices(batch, context.batch_rows)
                skip_rows = 0
                yield report()


#: What travels at once: rows as the bytes of an Arrow stream, and reports.
Parcel = list[pa.Buffer | Report]


def parcels(items: Iterator[pa.RecordBatch | Report]) -> Iterator[Parcel]:
    """Pack batches and reports: the first soon, then so many that it pays to send them, and to wait for them.

    >>> batch = pa.record_batch({"n": [1]})
    >>> [len(parcel) for parcel in parcels(iter([batch, batch, Report(), batch, Report()]))]
    [1, 4]
    """
    parcel: Parcel = []
    batches: list[pa.RecordBatch] = []
    size, size_max, start = 0, 0, SYSTEM_CLOCK.seconds()
    for item in items:
        if isinstance(item, Report):
            parcel += [*_packed(batches), item]
        else:
            batches.append(item)
            size += item.nbytes
        if size >= size_max or SYSTEM_CLOCK.seconds() - start >= _PARCEL_SECONDS:
            yield parcel + _packed(batches)
            parcel = []
            size, size_max, start = 0, _PARCEL_BYTES, SYSTEM_CLOCK.seconds()
    if parcel or batches:
        yield parcel + _packed(batches)


def _packed(batches: list[pa.RecordBatch]) -> list[pa.Buffer]:
    """Take what is there; as one stream."""
    taken, batches[:] = [*batches], []
    return [packed(pa.Table.from_batches(taken))] if taken else []


def skipped(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """`batches` without their first `rows` rows."""
    for batch in batches:
        if rows >= batch.num_rows > 0:
            rows -= batch.num_rows
            continue
        yield batch.slice(rows) if rows else batch
        rows = 0


def _generator(batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch]:
    yield from batches


class Patience:
    """What a task is forgiven: workers that die, pages that are lost. Used by one thread."""

    def __init__(self, context: QueryContext, session: Session) -> None:
        self._context = context
        self._session = session
        self.attempt = 0
        self._page_losses = 0

    def bear(self, error: BaseException) -> None:
        """Return when the task may be tried again, having made again what it needs; raise the error when not."""
        if isinstance(error, WorkerLostError) and self.attempt < RETRIES:
            self.attempt += 1
            look_again(error, self._session)
            return
        if isinstance(error, PagesLostError) and self._page_losses < PAGE_LOSSES_MAX:
            self._page_losses += 1
            heal(error, self._context)
            return
        raise error


def heal(error: PagesLostError, context: QueryContext) -> None:
    """Make pages again that a task did not find; raises the error for a shuffle that is not of this query."""
    shuffle = context.shuffles.get(error.shuffle)
    if shuffle is None:
        raise error
    shuffle.remake(error)


def look_again(error: WorkerLostError, session: Session) -> None:
    """Learn where the task's node keeps pages now, or the next try would not find that either."""
    if isinstance(error, NoPlaceError):
        session.pages().look_again(error.node)


def opened(session: Session, context: QueryContext) -> Executor:
    """An executor of the session that looks up when the query is cancelled."""
    executor = session.executor()
    executor.watch(context.check)
    context.cancellation.on_cancel(executor.wake)
    return executor


def run_remote(
    remote: RemoteStream, partitions: Sequence[int], session: Session, context: QueryContext
) -> Iterator[pa.RecordBatch]:
    """Make partitions elsewhere, some at a time, and yield their batches in the order of partitions."""
    if not partitions:
        return
    groups = [
        partitions[run.start : run.stop] for run in runs(len(partitions), _TASKS_OF_A_WORKER * session.worker_count)
    ]
    remote.prepare()
    with opened(session, context) as executor:
        ahead: deque[Generator[pa.RecordBatch]] = deque()
        try:
            for group in groups:
                ahead.append(_Reading(remote, group, executor, session, context).batches())
                if len(ahead) >= session.worker_count:
                    yield from ahead.popleft()
            while ahead:
                yield from ahead.popleft()
        finally:
            for stream in ahead:
                stream.close()


def run_one(remote: RemoteStream, session: Session, context: QueryContext, index: int) -> Iterator[pa.RecordBatch]:
    """Make one partition elsewhere."""
    return run_remote(remote, [index], session, context)


def runs(count: int, runs_max: int) -> list[range]:
    """Cut numbers into runs of about equal length, in order.

    >>> runs(5, 2), runs(2, 8)
    ([range(0, 2), range(2, 5)], [range(0, 1), range(1, 2)])
    """
    number_of_runs = max(1, min(count, runs_max))
    bounds = [count * number // number_of_runs for number in range(number_of_runs + 1)]
    return [range(first, stop) for first, stop in pairwise(bounds)]


class _Reading:
    """Reads the partitions of one task, and begins again behind the rows that came when a try is lost."""

    def __init__(
        self,
        remote: RemoteStream,
        partitions: Sequence[int],
        executor: Executor,
        session: Session,
        context: QueryContext,
    ) -> None:
        self._remote = remote
        self._left = deque(partitions)
        self._taken = 0
        self._executor = executor
        self._settings = TaskSettings.of(context, session)
        self._context = context
        self._patience = Patience(context, session)
        self._items = self._start()  # now, and not when the first row is asked for

    def batches(self) -> Generator[pa.RecordBatch]:
        """The batches, in the order of partitions."""
        try:
            while True:
                try:
                    yield from self._read()
                    return
                except (WorkerLostError, PagesLostError) as error:
                    self._items.close()
                    self._patience.bear(error)
                self._items = self._start()
        finally:
            self._items.close()

    def _start(self) -> Generator[Any]:
        tasks = tuple(map(self._remote.task, self._left))
        made = StreamedPartitions(tasks, self._settings, self._taken)
        return self._executor.stream(made, _WINDOW, self._patience.attempt)

    def _read(self) -> Iterator[pa.RecordBatch]:
        for item in chain.from_iterable(self._items):
            self._context.check()
            if isinstance(item, Report):
                self._remote.report(item)
                self._remote.done(self._left.popleft())
                self._taken = 0
                continue
            for batch in unpacked(item).to_batches():
                self._taken += batch.num_rows
                yield batch


def run_tasks(
    tasks: Sequence[Callable[[], Callable[[], Any]]], session: Session, context: QueryContext
) -> Iterator[tuple[int, Any]]:
    """Run tasks elsewhere, each made anew for each try; yield number and value of each as it ends."""
    with opened(session, context) as executor:
        patiences = [Patience(context, session) for _ in tasks]
        waiting = deque(range(len(tasks)))
        at: dict[int, int] = {}
        while waiting or at:
            # A few ahead of the workers: what a task carries is not all held at once.
            while waiting and len(at) < session.worker_count + 1:
                number = waiting.popleft()
                at[executor.submit(tasks[number](), patiences[number].attempt)] = number
            for completion in executor.completed():
                number = at.pop(completion.ticket)
                if completion.error is None:
                    yield number, completion.value
                    continue
                patiences[number].bear(completion.error)
                waiting.appendleft(number)
