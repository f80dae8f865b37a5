"""A shuffle between processes: map tasks leave pages in files of their nodes, readers fetch those of a partition.

The driver holds places and checksums only. Pages that are lost (with a node, a process or a file) are made again, and
of these only those that somebody still has to read; a page has a name, so that no row arrives twice.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from esker.core.batch import joined
from esker.core.context import QueryContext
from esker.engine.page_nodes import NoPlaceError, PageNodes
from esker.engine.remote import (
    PAGE_LOSSES_MAX,
    PartitionTask,
    RemoteStream,
    Report,
    TaskSettings,
    heal,
    run_tasks,
    runs,
)
from esker.engine.session import Session
from esker.errors import PageCorruptError, PagesLostError, SpillError
from esker.shuffle.choose import AUTO, Choice
from esker.shuffle.operator import ShuffleOperator
from esker.shuffle.page_file import MapOutput, PageId, PageWriter, Segment, is_sealed
from esker.shuffle.page_server import PageReader, Places

# Map tasks for each worker: with more, less is made again when one is lost; with fewer, pages are fuller.
MAPS_OF_A_WORKER = 8
# Of a task's memory, what its shuffle may hold before it spills.
SHUFFLE_SHARE = 0.5
# Of a page in a file, where there are rows enough.
PAGE_BYTES = 1 << 20


@dataclass(frozen=True)
class ShuffleSpec:
    """What all map tasks of a shuffle have in common; `schema` is that of the rows that they take.

    The last columns of these, `key_only` of them, say the partition and are not kept.
    """

    shuffle: str
    schema: pa.Schema
    by: tuple[str, ...]
    partition_count: int
    function: str = "hash"
    strategy: str = AUTO
    seed: int = 0
    key_only: int = 0

    @property
    def kept_schema(self) -> pa.Schema:
        """The columns of the pages."""
        return pa.schema(list(self.schema)[: len(self.schema) - self.key_only], self.schema.metadata)


@dataclass(frozen=True)
class MapResult:
    """What a map task tells the driver."""

    output: MapOutput
    reports: tuple[Report, ...]
    rows: int
    statistics: dict[str, Any]


@dataclass(frozen=True, eq=False)
class MapTask:
    """Some partitions of the input, shuffled into one file of pages; of `wanted` partitions only, if that is given."""

    spec: ShuffleSpec
    number: int
    inputs: tuple[PartitionTask, ...]
    places: Places
    settings: TaskSettings
    wanted: frozenset[int] | None = None

    def __call__(self) -> MapResult:
        spec = self.spec
        node = self.places.here()
        place = self.places.nodes.get(node)
        if place is None:
            raise NoPlaceError.of(node)
        name = f"{spec.shuffle}-{self.number}-{secrets.token_hex(4)}"
        with self.settings.context() as context:
            with _filled(spec, context) as operator:
                reports, rows = self._push(operator, context)
                statistics = operator.statistics()
                sizes = operator.partition_bytes
                try:
                    with PageWriter(Path(place.folder), name, spec.kept_schema, spec.partition_count) as writer:
                        for partition in range(spec.partition_count):
                            if self.wanted is not None and partition not in self.wanted:
                                continue
                            for page in _pages(operator, spec, partition):
                                writer.write(partition, page)
                        output = writer.finish(spec.shuffle, self.number, node, sizes)
                except FileNotFoundError:
                    raise NoPlaceError.of(node) from None
                except OSError as error:
                    raise SpillError(
                        f"writing pages to {place.folder} failed: {error.strerror or error}; free space there"
                    ) from error
        return MapResult(output, tuple(reports), rows, statistics)

    def _push(self, operator: ShuffleOperator, context: QueryContext) -> tuple[list[Report], int]:
        reports, rows = [], 0
        for task in self.inputs:
            batches, report = task.open(context)
            for batch in batches:
                operator.push(batch)
                rows += batch.num_rows
            reports.append(report())
        operator.finish()
        return reports, rows


def _pages(operator: ShuffleOperator, spec: ShuffleSpec, partition: int) -> Iterator[pa.RecordBatch]:
    """The rows of a partition, in fewer and larger pages than those in memory: the driver has to know each."""
    batches = operator.partition(partition)
    # Dictionaries may differ from batch to batch.
    return batches if is_sealed(spec.kept_schema) else joined(batches, PAGE_BYTES)


def _filled(spec: ShuffleSpec, context: QueryContext) -> ShuffleOperator:
    return ShuffleOperator(
        spec.schema,
        spec.by,
        spec.partition_count,
        strategy=spec.strategy,
        budget=context.budget,
        memory_bytes=int(context.budget.free_bytes * SHUFFLE_SHARE),
        spill=context.spill,
        thread_count=1,
        ordered=True,
        seed=spec.seed,
        function=spec.function,
        cancellation=context.cancellation,
        key_only=spec.key_only,
    )


@dataclass(frozen=True, eq=False)
class FetchedPartition:
    """One partition of a shuffle, to be read at a worker: it has the face of a `ShuffleOperator`. Pickles."""

    schema: pa.Schema
    partition_count: int
    index: int
    row_count: int
    byte_count: int
    segments: tuple[Segment, ...]
    places: Places
    choice: Choice

    @property
    def partition_rows(self) -> list[int]:
        """Rows of each partition; of others than this one nothing is known."""
        return [self.row_count if index == self.index else 0 for index in range(self.partition_count)]

    @property
    def partition_bytes(self) -> list[int]:
        """Payload bytes of each partition."""
        return [self.byte_count if index == self.index else 0 for index in range(self.partition_count)]

    def partition(self, index: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order of the input; PagesLostError when some are gone."""
        assert index == self.index, "a task reads its own partition"
        with PageReader(self.places, self.schema) as reader:
            for segment in self.segments:
                for _, batch in reader.read(segment):
                    yield batch

    def statistics(self) -> dict[str, Any]:
        """Nothing: the driver has told of the shuffle."""
        return {}

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class _State:
    """What changes while a shuffle lives; behind its lock."""

    outputs: list[MapOutput | None]
    finished: set[int] = field(default_factory=set)
    remade: int = 0


class DistributedShuffle:
    """The driver's side: runs the map tasks, knows where pages are, has them made again.

    It has the face of a filled `ShuffleOperator`; threads may read different partitions.
    """

    def __init__(
        self,
        spec: ShuffleSpec,
        inputs: RemoteStream,
        input_count: int,
        choice: Choice,
        session: Session,
        context: QueryContext,
    ) -> None:
        self.schema = spec.kept_schema
        self.partition_count = spec.partition_count
        self.choice = choice
        self._spec = spec
        self._inputs = inputs
        self._session = session
        self._context = context
        self._nodes: PageNodes = session.pages()
        self._groups = runs(input_count, MAPS_OF_A_WORKER * session.worker_count)
        self._settings = TaskSettings.of(context, session)
        self._lock = threading.RLock()
        self._state = _State([None] * len(self._groups))
        self._statistics: dict[str, Any] = {}
        context.shuffles[spec.shuffle] = self
        context.resources.callback(self.close)

    def fill(self) -> Iterator[int]:
        """Run all map tasks; yields the rows of each as it ends."""
        for result in self._make(range(len(self._groups)), None):
            for report in result.reports:
                self._inputs.report(report)
            self._add(result.statistics)
            yield result.rows

    @property
    def partition_rows(self) -> list[int]:
        """Rows of each partition."""
        return self._summed(lambda output: output.partition_rows)

    @property
    def partition_bytes(self) -> list[int]:
        """Payload bytes of each partition."""
        return self._summed(lambda output: output.partition_bytes)

    def statistics(self) -> dict[str, Any]:
        """The sums of what the map tasks counted, and how often pages were made again."""
        with self._lock:
            return {**self._statistics, "map_tasks": len(self._groups), "remade_map_tasks": self._state.remade}

    def fetched(self, index: int) -> FetchedPartition:
        """A partition as a task reads it, as things are now."""
        with self._lock:
            # First: who is asked for places may find that some are gone.
            places = self._nodes.places()
            rows, sizes = self._totals()
            return FetchedPartition(
                self.schema,
                self.partition_count,
                index,
                int(rows[index]),
                int(sizes[index]),
                tuple(self._segments(index)),
                places,
                self.choice,
            )

    def partition(self, index: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition here, in the order of the input; what is lost meanwhile is made again."""
        taken: dict[PageId, int] = {}
        losses = 0
        while True:
            try:
                yield from self._rest(self.fetched(index), taken)
                self.finished(index)
                return
            except PagesLostError as error:
                losses += 1
                if losses > PAGE_LOSSES_MAX:
                    raise
                heal(error, self._context)

    def stream(self, partition: int, keeper: object) -> None:
        """Nothing: the kernel does not read these pages by itself."""
        return

    def finished(self, index: int) -> None:
        """Say that the rows of a partition were read to their end."""
        with self._lock:
            self._state.finished.add(index)

    def remake(self, error: PagesLostError) -> None:
        """Make again the pages that are gone, of the partitions that somebody has still to read."""
        with self._lock:
            outputs = [output for output in self._state.outputs if output is not None]
            gone = {output.map_number for output in self._nodes.lost(outputs)}
            named = self._state.outputs[error.map_number]
            # Damaged where it is: whoever read it says so, the node cannot know.
            if named is not None and named.name == error.name:
                gone.add(error.map_number)
            wanted = frozenset(range(self.partition_count)) - self._state.finished
            self._state.remade += len(gone)
            self._context.log.emit("pages_lost", map_tasks=sorted(gone), node=error.node[:12], why=str(error))
            for _ in self._make(sorted(gone), wanted):
                pass

    def close(self) -> None:
        """Remove the pages; calling it again does nothing."""
        if self._context.shuffles.pop(self._spec.shuffle, None) is not None:
            self._nodes.remove(self._spec.shuffle)

    def _make(self, numbers: Sequence[int], wanted: frozenset[int] | None) -> Iterator[MapResult]:
        tasks = [partial(self._task, number, wanted) for number in numbers]
        for place, result in run_tasks(tasks, self._session, self._context):
            number = numbers[place]
            with self._lock:
                before = self._state.outputs[number]
                self._state.outputs[number] = result.output if before is None else _merged(before, result.output)
            yield result

    def _task(self, number: int, wanted: frozenset[int] | None) -> MapTask:
        inputs = tuple(self._inputs.task(index) for index in self._groups[number])
        return MapTask(self._spec, number, inputs, self._nodes.places(), self._settings, wanted)

    def _rest(self, fetched: FetchedPartition, taken: dict[PageId, int]) -> Iterator[pa.RecordBatch]:
        """Yield the pages that were not taken, and take them."""
        with PageReader(fetched.places, self.schema) as reader:
            for segment in fetched.segments:
                for page in segment.pages:
                    if taken.get(page.id, page.checksum) != page.checksum:
                        raise PageCorruptError(
                            "pages that were lost came out differently when they were made again: a function of the"
                            " query gives other rows each time, and some of its rows were read already"
                        )
                for page, batch in reader.read(segment, set(taken)):
                    taken[page.id] = page.checksum
                    yield batch

    def _segments(self, index: int) -> Iterator[Segment]:
        for output in self._state.outputs:
            assert output is not None, "all map tasks have run"
            segment = output.segment(index)
            if segment is not None:
                yield segment

    def _summed(self, column: Callable[[MapOutput], Any]) -> list[int]:
        with self._lock:
            total = np.zeros(self.partition_count, np.int64)
            for output in self._state.outputs:
                assert output is not None, "all map tasks have run"
                total += column(output)
            return [int(number) for number in total]

    def _totals(self) -> tuple[list[int], list[int]]:
        return self.partition_rows, self.partition_bytes

    def _add(self, statistics: dict[str, Any]) -> None:
        with self._lock:
            for name, value in statistics.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._statistics[name] = self._statistics.get(name, 0) + value


def _merged(before: MapOutput, after: MapOutput) -> MapOutput:
    """What was made again, with the sizes that were known: it may lack partitions that nobody reads any more."""
    return MapOutput(
        after.shuffle,
        after.map_number,
        after.node,
        after.name,
        after.starts,
        after.offsets,
        after.lengths,
        after.rows,
        after.checksums,
        before.partition_bytes,
    )
