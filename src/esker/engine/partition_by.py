"""Rows of each key, kept apart: one run of the input, through the shuffle, into a file that groups are read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.each_partition import PartitionMapper
from esker.engine.group import groups
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import TableSource
from esker.engine.stores.kept import GroupWriter, KeptGroups
from esker.errors import InputError
from esker.expression import Expression
from esker.join.input import JoinInput

Key = tuple[Any, ...]


def keep_groups(
    barrier: ShuffleBarrier, by: Sequence[str], keys_max: int, kept: KeptGroups, context: QueryContext
) -> list[Key]:
    """Write the rows of each key to `kept`, and return the keys in the same order; groups may exceed the memory."""
    keys: list[Key] = []
    with kept.writer(context) as writer:
        keeper = _Keeper(by, keys_max, writer, keys)
        mapper = PartitionMapper("partition_by", by, keeper.table, context, 1, keeper.large_group)
        for index in range(barrier.partition_count):
            for _ in mapper.partition(barrier, index):
                raise AssertionError("groups are written, not handed on")
    return keys


class _Keeper:
    def __init__(self, by: Sequence[str], keys_max: int, writer: GroupWriter, keys: list[Key]) -> None:
        self._by = list(by)
        self._keys_max = keys_max
        self._writer = writer
        self._keys = keys

    def table(self, table: pa.Table) -> Iterator[pa.RecordBatch]:
        for group in groups(table, self._by):
            self._add_key(group)
            self._writer.add(group.to_batches())
        return iter(())

    def large_group(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = next(batches)
        self._add_key(first)
        self._writer.add(_all(first, batches))
        return iter(())

    def _add_key(self, rows: pa.Table | pa.RecordBatch) -> None:
        if len(self._keys) == self._keys_max:
            raise InputError(
                f"partition_by({self._by}): there are more than keys_max={self._keys_max:,} keys; raise keys_max=,"
                " or use group_by(...).map_groups(...) or shuffle(...), which take any number"
            )
        self._keys.append(tuple(rows.column(name)[0].as_py() for name in self._by))


class GroupSource(Source):
    """The rows of one key."""

    format = "partition"

    def __init__(self, kept: KeptGroups, group: int, name: str) -> None:
        self._kept = kept
        self._group = group
        self.name = name
        self.schema = kept.schema

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        return self._table().read(columns, predicate, context)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        return self._table().join_input(columns, predicate, context)

    def _table(self) -> TableSource:
        return TableSource(self._kept.table(self._group), self.name)


def _all(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
