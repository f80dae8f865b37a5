"""Any Python on each group of rows, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.each_partition import map_each_partition
from esker.engine.group import groups
from esker.engine.results import in_batches
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stream import PartitionedStream
from esker.engine.user_function import call


def map_groups(
    barrier: ShuffleBarrier,
    by: Sequence[str],
    function: Callable[[pa.Table], Any],
    schema: pa.Schema,
    context: QueryContext,
) -> PartitionedStream:
    """A stream of what `function` returns for each group, in order of the groups' first rows in each partition."""

    def results(table: pa.Table) -> Iterator[Any]:
        for group in groups(table, by):
            context.check()
            yield call(function, group, "map_groups", partial(_place, group, by))

    def call_with_groups(table: pa.Table) -> Iterator[pa.RecordBatch]:
        return in_batches(results(table), schema)

    return map_each_partition("map_groups", barrier, by, call_with_groups, schema, context)


def _place(group: pa.Table, by: Sequence[str]) -> str:
    key = ", ".join(f"{name}={group.column(name)[0].as_py()!r}" for name in by)
    return f"the group {key} ({group.num_rows:,} rows)"
