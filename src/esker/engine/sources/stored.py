"""Tables and computed results as sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from esker.core.batch import cast_batch, packed, plain_schema, to_reader, unpacked
from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, RowStore
from esker.engine.source import Source, SourceRead
from esker.engine.stages import Stage, count_taken_stage, filter_stage, project_stage
from esker.engine.stores.spooled import spool
from esker.engine.stores.table import TableRows
from esker.engine.stream import PartitionedStream, run, single
from esker.errors import InputError
from esker.expression import Expression, columns, to_sql
from esker.join.input import JoinInput

# A partition of a table in memory: some batches, so that threads share the work evenly.
PARTITION_ROWS = 1 << 19


def needed(names: Sequence[str], predicate: Expression | None) -> list[str]:
    """`names`, then the columns that only the predicate needs."""
    extra = columns(predicate) - set(names) if predicate is not None else frozenset()
    return [*names, *sorted(extra)]


def filtered(
    stream: PartitionedStream,
    names: Sequence[str],
    predicate: Expression | None,
    schema: pa.Schema,
    explanation: Explanation | None = None,
    stage: Stage | None = None,
) -> PartitionedStream:
    """Apply the predicate, then keep `names`; the rows before the predicate are counted in `explanation`.

    `stage` applies the predicate in place of `filter_stage`.
    """
    if predicate is not None:
        if explanation is not None:
            stream = stream.then(count_taken_stage(explanation))
        stream = stream.then(stage or filter_stage(predicate))
    if stream.schema.names == list(names):
        return stream
    return stream.then(project_stage(names), pa.schema([schema.field(name) for name in names]))


def scan_explanation(
    source: str, format_: str, names: Sequence[str], predicate: Expression | None, **detail: Any
) -> Explanation:
    """What a scan is called in plans."""
    shown: dict[str, Any] = {"source": source, "columns": list(names)}
    if predicate is not None:
        shown["predicate"] = to_sql(predicate)
    return Explanation(f"scan {format_}", {**shown, **detail})


class TableSource(Source):
    """An Arrow table in memory."""

    format = "arrow"

    def __init__(self, table: pa.Table, name: str = "table") -> None:
        self._store = TableRows(table, name)
        self.name = name
        self.schema = self._store.schema

    def apart(self, index: int) -> Source:
        table = self._store.table
        count = max(1, -(-table.num_rows // PARTITION_ROWS))
        return TablePart(table.slice(index * PARTITION_ROWS, PARTITION_ROWS), index, count, self.name)

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        return _read_rows(self._store, self.schema, columns, predicate, context, self.name, self.format)

    def preview_cost(self, columns: Sequence[str]) -> Cost | None:
        return NO_COST

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        explanation = scan_explanation(self.name, self.format, columns, predicate)
        return JoinInput(self._store, None, tuple(columns), predicate), explanation


class TablePart(Source):
    """One partition of a table, for another process: the others are without rows there."""

    format = "arrow"

    def __init__(self, table: pa.Table, index: int, partition_count: int, name: str) -> None:
        self._store = TableRows(table, name)
        self._index = index
        self._partition_count = partition_count
        self.name = name
        self.schema = self._store.schema

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        wanted = needed(columns, predicate)

        def partition(index: int) -> Iterator[pa.RecordBatch]:
            if index == self._index:
                for rows in self._store.scan(wanted, context):
                    yield rows.batch

        schema = pa.schema([self.schema.field(name) for name in wanted])
        stream = PartitionedStream(schema, self._partition_count, partition)
        explanation = scan_explanation(self.name, self.format, columns, predicate)
        return SourceRead(filtered(stream, columns, predicate, self.schema), explanation)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        raise NotImplementedError("joins are planned where the whole table is")

    def __reduce__(self) -> tuple[Any, ...]:
        # Not the table itself: with a slice pickle sends all it is a slice of.
        return _part_of, (packed(self._store.table), self._index, self._partition_count, self.name)


def _part_of(data: pa.Buffer, index: int, partition_count: int, name: str) -> TablePart:
    return TablePart(unpacked(data), index, partition_count, name)


class StreamSource(Source):
    """A stream that can be read once: a reader, a generator of batches."""

    format = "stream"
    repeatable = False

    def __init__(self, reader: pa.RecordBatchReader, name: str = "stream") -> None:
        self._reader: pa.RecordBatchReader | None = reader
        self._input_schema = reader.schema
        self.name = name
        self.schema = plain_schema(reader.schema)

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        def batches() -> Iterator[pa.RecordBatch]:
            if self._reader is None:
                raise InputError(
                    f"{self.name} can be read once and was read already; pass a table, or write it to a file first"
                )
            reader, self._reader = self._reader, None
            wanted = needed(columns, predicate)
            for batch in reader:
                context.check()
                yield cast_batch(batch, self.schema).select(wanted)

        schema = pa.schema([self.schema.field(name) for name in needed(columns, predicate)])
        explanation = scan_explanation(self.name, self.format, columns, predicate)
        stream = filtered(single(schema, batches), columns, predicate, self.schema, explanation)
        return SourceRead(stream, explanation)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        read = self.read(columns, predicate, context)
        return spooled_source(read.stream, read.explanation, context).join_input(columns, None, context)


class SpooledSource(Source):
    """A computed result, run once when a join first asks for its rows."""

    format = "result"

    def __init__(self, store: RowStore, explanation: Explanation) -> None:
        self._store = store
        self._explanation = explanation
        self.name = store.name
        self.schema = store.schema

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        return _read_rows(self._store, self.schema, columns, predicate, context, self.name, self.format)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        return JoinInput(self._store, None, tuple(columns), predicate), self._explanation


class _LazySpool:
    """A row store that runs its stream when first asked for anything but its schema."""

    def __init__(self, stream: PartitionedStream, name: str, context: QueryContext) -> None:
        self._stream = stream
        self._context = context
        self._rows: TableRows | None = None
        self.name = name
        self.schema: pa.Schema = stream.schema
        self.hot_columns: frozenset[str] = frozenset(stream.schema.names)

    @property
    def rows(self) -> TableRows:
        if self._rows is None:
            batches = run(self._stream, self._context, self.name)
            self._rows = spool(batches, self._stream.schema, self.name, self._context)
        return self._rows

    @property
    def row_count(self) -> int:
        return self.rows.row_count

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        return self.rows.scan(columns, context)

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        return self.rows.fetch(rows, columns, context)

    def scan_cost(self, columns: Sequence[str]) -> Any:
        return self.rows.scan_cost(columns)

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Any:
        return self.rows.fetch_cost(rows, columns)


def spooled_source(stream: PartitionedStream, explanation: Explanation, context: QueryContext) -> SpooledSource:
    """A source over a computed stream; it is run at most once in this query."""
    return SpooledSource(_LazySpool(stream, explanation.operator, context), explanation)


def arrow_source(data: Any, name: str | None = None) -> Source:
    """A source over any Arrow object: a one-time reader stays a stream, everything else can be read again."""
    label = name or type(data).__name__
    reader = data if isinstance(data, pa.RecordBatchReader) else to_reader(data)
    names = reader.schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{label} has two columns named {twice!r}; rename one of them")
    return StreamSource(reader, label) if reader is data else TableSource(reader.read_all(), label)


def table_stream(table: TableRows, columns: Sequence[str], context: QueryContext) -> PartitionedStream:
    """The rows of a table in partitions that share the work of threads evenly."""

    def partition(index: int) -> Iterator[pa.RecordBatch]:
        start = index * PARTITION_ROWS
        stop = min(start + PARTITION_ROWS, table.row_count)
        for rows in table.scan_range(start, stop, columns, context):
            yield rows.batch

    schema = pa.schema([table.schema.field(name) for name in columns])
    return PartitionedStream(schema, max(1, -(-table.row_count // PARTITION_ROWS)), partition)


def _read_rows(
    store: RowStore,
    schema: pa.Schema,
    names: Sequence[str],
    predicate: Expression | None,
    context: QueryContext,
    source: str,
    format_: str,
) -> SourceRead:
    wanted = needed(names, predicate)
    read_schema = pa.schema([schema.field(name) for name in wanted])
    if isinstance(store, TableRows):
        stream = table_stream(store, wanted, context)
    else:
        stream = single(read_schema, lambda: (rows.batch for rows in store.scan(wanted, context)))
    explanation = scan_explanation(source, format_, names, predicate)
    explanation.estimated = store.scan_cost(wanted)
    return SourceRead(filtered(stream, names, predicate, schema, explanation), explanation)
