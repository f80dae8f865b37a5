"""Any Python on each group of rows, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa

from esker.core.batch import slices
from esker.core.context import QueryContext
from esker.engine.each_partition import ADVICE, map_each_partition
from esker.engine.group import groups
from esker.engine.results import BatchRows, in_batches
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream
from esker.engine.user_function import call

Batches = Generator[pa.RecordBatch]


def map_groups(
    barrier: ShuffleBarrier,
    by: Sequence[str],
    function: Callable[[pa.Table], Any],
    schema: pa.Schema,
    context: QueryContext,
) -> PartitionedStream:
    """A stream of what `function` returns for each group, in order of the groups' first rows in each partition."""
    batch_rows = BatchRows()

    def results(table: pa.Table) -> Iterator[Any]:
        for group in groups(table, by):
            context.check()
            yield call(function, group, "map_groups", partial(_place, group, by))

    def call_with_groups(table: pa.Table) -> Iterator[pa.RecordBatch]:
        return in_batches(results(table), schema, batch_rows)

    advice = f"{ADVICE}, or let the function take a group as an iterator: map_groups(..., batches=True)"
    return map_each_partition("map_groups", barrier, by, call_with_groups, schema, context, advice=advice)


def map_group_batches(
    barrier: ShuffleBarrier,
    by: Sequence[str],
    function: Callable[[Iterator[pa.RecordBatch]], Any],
    schema: pa.Schema,
    context: QueryContext,
) -> PartitionedStream:
    """A stream of what `function` returns for the batches of each group, which need not fit the memory.

    Groups come in the order of their first rows in each partition, but in one that does not fit: there, large ones
    come before the others.
    """
    batch_rows = BatchRows()

    def results(table: pa.Table) -> Iterator[Any]:
        for group in groups(table, by):
            yield from _called(partial(_batches, group, context), partial(_place, group, by))

    def large_group(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = next(batches)
        # Taken, not sliced: a slice would keep the page of its row.
        key = pa.Table.from_batches([first.select(list(by))]).take([0])
        given = partial(_sliced, chain([first], batches), context)
        return in_batches(_called(given, lambda: f"the group {_key(key, by)}"), schema)

    def _called(batches: Callable[[], Batches], place: Callable[[], str]) -> Iterator[Any]:
        given = batches()
        try:
            yield call(function, given, "map_groups", place)
        finally:
            # The function may have stopped early; who kept the iterator finds it at its end.
            given.close()

    def call_with_groups(table: pa.Table) -> Iterator[pa.RecordBatch]:
        return in_batches(results(table), schema, batch_rows)

    return map_each_partition("map_groups", barrier, by, call_with_groups, schema, context, large_group)


def _batches(group: pa.Table, context: QueryContext) -> Batches:
    return _sliced(group.to_batches(), context)


def _sliced(batches: Iterable[pa.RecordBatch], context: QueryContext) -> Batches:
    for batch in batches:
        context.check()
        yield from slices(batch, context.batch_rows)


def _place(group: pa.Table, by: Sequence[str]) -> str:
    return f"the group {_key(group, by)} ({group.num_rows:,} rows)"


def _key(group: pa.Table, by: Sequence[str]) -> str:
    return ", ".join(f"{name}={group.column(name)[0].as_py()!r}" for name in by)
