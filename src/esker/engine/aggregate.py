"""Aggregations of each key: partial results of every batch, merged after the shuffle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from esker.core.context import QueryContext
from esker.engine.each_partition import map_each_partition
from esker.engine.reduce import Groups, reduce_column, sum_type
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stages import Stage
from esker.engine.stream import PartitionedStream
from esker.errors import InputError, UnsupportedTypeError

# What each aggregation is made of, by names that `reduce_column` knows.
PARTS = {
    "sum": ("sum",),
    "min": ("min",),
    "max": ("max",),
    "mean": ("sum", "count"),
    "count": ("count",),
    "len": ("len",),
    "count_distinct": ("count_distinct",),
    "first": ("first",),
    "last": ("last",),
}
# Counts and sums of parts add up; for the others a part of parts is found as a part of rows is.
_MERGE = {"count": "total", "len": "total", "sum": "total"}


@dataclass(frozen=True)
class Aggregation:
    """One column of the result: `function` (a key of `PARTS`) of `column`."""

    output: str
    column: str
    function: str


class Aggregator:
    """Aggregates tables by key: rows to partial results, partial results to fewer, these to the result.

    >>> sums = Aggregator(["k"], [Aggregation("n", "v", "sum")], pa.schema({"k": pa.int8(), "v": pa.int8()}))
    >>> part = sums.partial(pa.table({"k": [1, 2, 1], "v": [100, 5, 100]}))
    >>> sums.finish(sums.merge(pa.concat_tables([part, part]))).to_pylist()
    [{'k': 1, 'n': 400}, {'k': 2, 'n': 10}]
    """

    def __init__(self, by: Sequence[str], aggregations: Sequence[Aggregation], schema: pa.Schema) -> None:
        self._by = list(by)
        self._schema = schema
        self.aggregations = tuple(aggregations)
        parts = dict.fromkeys((one.column, part) for one in aggregations for part in PARTS[one.function])
        # Longer than any key's name, so that none is the same.
        stem = "_" * (1 + max(len(name) for name in by))
        self._parts = {part: f"{stem}{number}" for number, part in enumerate(parts)}
        self.partial_schema: pa.Schema = self._checked(schema)
        self.schema: pa.Schema = self.finish(self.partial_schema.empty_table()).schema

    @property
    def combines(self) -> bool:
        """Whether partial results can be merged; distinct values of one key must all be seen together."""
        return not any(part == "count_distinct" for _, part in self._parts)

    def partial(self, table: pa.Table) -> pa.Table:
        """One row for each key of `table`, with what the aggregations are made of."""
        groups = Groups.of(table, self._by)
        columns = {name: reduce_column(table[column], groups, how) for (column, how), name in self._parts.items()}
        return self._with_keys(table, groups, columns)

    def merge(self, table: pa.Table) -> pa.Table:
        """One row for each key of partial results."""
        groups = Groups.of(table, self._by)
        columns = {
            name: reduce_column(table[name], groups, _MERGE.get(how, how)) for (_, how), name in self._parts.items()
        }
        return self._with_keys(table, groups, columns)

    def finish(self, table: pa.Table) -> pa.Table:
        """The result, from partial results with one row for each key."""
        columns = {name: table[name] for name in self._by}
        for one in self.aggregations:
            parts = [table[self._parts[one.column, part]] for part in PARTS[one.function]]
            columns[one.output] = self._finished(one, parts)
        return pa.table(columns)

    def _finished(self, one: Aggregation, parts: list[pa.ChunkedArray]) -> pa.ChunkedArray:
        if one.function == "mean":
            total, count = (part.cast(pa.float64()) for part in parts)
            return pc.divide(total, count)
        if one.function != "sum":
            return parts[0]
        type_ = sum_type(self._schema.field(one.column).type)
        try:
            return parts[0].cast(type_)
        except pa.ArrowInvalid as error:
            raise InputError(f"{one.output!r}: a sum of {one.column!r} does not fit {type_}: {error}") from error

    def _with_keys(self, table: pa.Table, groups: Groups, columns: dict[str, pa.Array]) -> pa.Table:
        keys = {name: table[name].take(pa.array(groups.first)) for name in self._by}
        return pa.table(keys | columns)

    def _checked(self, schema: pa.Schema) -> pa.Schema:
        """The schema of partial results; UnsupportedTypeError names what cannot be aggregated."""
        # Only of the columns that take part: another may be of a type of which pyarrow makes no empty column.
        names = dict.fromkeys([*self._by, *(one.column for one in self.aggregations)])
        empty = pa.table({name: _nothing_of(schema.field(name)) for name in names})
        groups = Groups.of(empty, [])
        for one in self.aggregations:
            for part in PARTS[one.function]:
                try:
                    reduce_column(empty[one.column], groups, part)
                except (pa.ArrowNotImplementedError, pa.ArrowTypeError, pa.ArrowInvalid, pa.ArrowKeyError) as error:
                    raise UnsupportedTypeError(
                        f"{one.output!r}: there is no {one.function} of {one.column!r}, a column of type"
                        f" {schema.field(one.column).type}; choose another function or column"
                    ) from error
        return self.partial(empty).schema


def _nothing_of(field: pa.Field) -> pa.Array:
    try:
        return pa.array([], field.type)
    except pa.ArrowNotImplementedError as error:
        raise UnsupportedTypeError(
            f"column {field.name!r} is {field.type}, which can neither be aggregated nor the key of what is"
        ) from error


def partial_stage(aggregator: Aggregator) -> Stage:
    """Make partial results of each batch, so that memory follows the keys and not the rows."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from _batches(aggregator.partial(pa.Table.from_batches([batch])))

    return stage


def aggregate(
    barrier: ShuffleBarrier, by: Sequence[str], aggregator: Aggregator, context: QueryContext
) -> PartitionedStream:
    """A stream of the result; the barrier has partial results where these combine, else rows."""
    one_row_a_key = aggregator.merge if aggregator.combines else aggregator.partial

    def finished(table: pa.Table) -> Iterator[pa.RecordBatch]:
        yield from _batches(aggregator.finish(one_row_a_key(table)))

    return map_each_partition("aggregate", barrier, by, finished, aggregator.schema, context)


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    return iter(table.combine_chunks().to_batches())
