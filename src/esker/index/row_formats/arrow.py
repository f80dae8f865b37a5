"""Rows as Arrow IPC, uncompressed and mapped into memory: a row costs the memory pages it lies on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.batch import slices
from esker.core.checksum import checksum_file
from esker.core.context import QueryContext
from esker.core.file_system import FileSystem
from esker.core.row_set import RowSet
from esker.errors import PageCorruptError, PayloadCorruptError
from esker.frozen.groups import GroupBuffer
from esker.frozen.hot import check_size, damage_named
from esker.frozen.parquet_out import CheckedSink
from esker.index.row_format import ReadPrice, RowFile, RowFormat, RowReader
from esker.kernel import _kernel

# Few batches make random reads cheap: each is looked into by itself. Of the budget a batch takes a 32nd.
BATCH_ROWS = 1 << 20
BATCH_BYTES_MAX = 128 << 20
BATCH_BYTES_MIN = 256 << 10
BUDGET_SHARE = 32
# What the system brings into memory for a row.
PAGE_BYTES = 4 << 10


class ArrowRows(RowFormat):
    """Large on disk, fast at random: no decoding, no more read than what is asked for."""

    name = "arrow"
    suffix = ".arrow"

    def write(
        self,
        batches: Iterator[pa.RecordBatch],
        schema: pa.Schema,
        path: Path,
        context: QueryContext,
        file_system: FileSystem,
    ) -> RowFile:
        batch_bytes = min(BATCH_BYTES_MAX, max(BATCH_BYTES_MIN, context.budget.total_bytes // BUDGET_SHARE))
        buffer = GroupBuffer(BATCH_ROWS, batch_bytes)
        counts: list[int] = []
        sizes = dict.fromkeys(schema.names, 0)
        with context.budget.reserve("index rows", 2 * batch_bytes), file_system.write_aside(path) as file:
            sink = CheckedSink(file, file_system)
            with pa.ipc.new_file(pa.PythonFile(sink, "w"), schema) as writer:

                def write_group(rows: pa.Table) -> None:
                    batch = rows.combine_chunks().to_batches()[0]
                    counts.append(batch.num_rows)
                    for name, column in zip(schema.names, batch.columns, strict=True):
                        sizes[name] += column.nbytes
                    writer.write_batch(batch)

                buffer.cut(batches, schema, write_group)
        detail = {"batches": counts, "column_bytes": sizes}
        return RowFile(path.name, sum(counts), sink.bytes, sink.checksum, detail)

    def open(self, folder: Path, file: RowFile, schema: pa.Schema) -> ArrowReader:
        return ArrowReader(folder / file.file, file, schema)


class ArrowReader(RowReader):
    """A mapped file. Offsets of texts are checked before they are followed: of the rows fetched, or of all scanned."""

    def __init__(self, path: Path, file: RowFile, schema: pa.Schema) -> None:
        check_size(path, file.bytes)
        self._path = path
        self._file = file
        self._schema = schema
        counts = [int(count) for count in file.detail["batches"]]
        self._starts = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
        self._column_bytes = {name: int(file.detail["column_bytes"][name]) for name in schema.names}
        self._batches: dict[int, pa.RecordBatch] = {}
        self._lock = threading.Lock()
        # Which columns the kernel gathers; the others are taken by pyarrow.
        self._gathered_schema = pa.schema([field for field in schema if _is_gathered(field.type)])
        self._gathered = frozenset(self._gathered_schema.names)
        self._gather = _kernel.BatchGather(self._gathered_schema, self._starts.tolist())
        self._given: set[int] = set()
        with damage_named(path):
            self._map = pa.memory_map(str(path))
            self._reader = pa.ipc.open_file(self._map)
        if not self._reader.schema.equals(schema) or self._reader.num_record_batches != len(counts):
            raise PayloadCorruptError(f"{path} has other columns or batches than its catalogue says; {_RESTORE}")

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        return self._fetch(rows.chunks(context.batch_rows), columns, context)

    def fetch_bitmap(self, rows: Bitmap, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        count = rows.count()
        chunks = rows.chunks(context.batch_rows) if count > context.batch_rows else iter([rows.to_numpy()])
        return self._fetch(chunks if count else iter(()), columns, context)

    def _fetch(
        self, chunks: Iterator[npt.NDArray[np.uint64]], columns: Sequence[str], context: QueryContext
    ) -> Iterator[pa.RecordBatch]:
        gathered = self._gathered.issuperset(columns)
        for ids in chunks:
            context.check()
            first, last = int(ids[0]), int(ids[-1])
            if last - first + 1 == len(ids):
                yield from self._stretch(first, last + 1, columns, context)
            elif gathered:
                yield from self._picked(ids, columns)
            else:
                yield from self._take(ids.astype(np.int64), columns)

    def _stretch(
        self, first: int, stop: int, columns: Sequence[str], context: QueryContext
    ) -> Iterator[pa.RecordBatch]:
        """Rows that follow one another, where they lie."""
        for number in range(len(self._starts) - 1):
            start = int(self._starts[number])
            begin, end = max(first, start), min(stop, int(self._starts[number + 1]))
            if begin < end:
                yield from self._sliced(self._batch(number), begin - start, end - begin, columns, context)

    def _picked(self, ids: npt.NDArray[np.uint64], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for number in self._gather.missing(ids):
            self._give(number)
        schema = self._gathered_schema
        try:
            array = self._gather.take(ids, [schema.get_field_index(name) for name in columns])
        except PageCorruptError as error:
            raise PayloadCorruptError(f"{self._path}: {error}; {_RESTORE}") from error
        except OverflowError:
            # Texts of more than 2 GiB in one batch.
            half = len(ids) // 2
            yield from self._picked(ids[:half], columns)
            yield from self._picked(ids[half:], columns)
            return
        yield pa.record_batch(_Gathered(pa.schema([schema.field(name) for name in columns]), array))

    def _give(self, number: int) -> None:
        """Show the kernel a batch, and how long the texts of each column are."""
        batch = self._batch(number).select(self._gathered_schema.names)
        sizes = []
        for column in batch.columns:
            buffers = column.buffers()
            sizes.append(buffers[2].size if len(buffers) > 2 and buffers[2] is not None else 0)
        with self._lock:
            if number not in self._given:
                self._gather.add(number, batch, sizes)
                self._given.add(number)

    def _take(self, ids: npt.NDArray[np.int64], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        cuts = np.searchsorted(ids, self._starts)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            places = ids[cuts[number] : cuts[number + 1]] - self._starts[number]
            yield self._taken(self._batch(number), places, columns)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        for number in range(len(self._starts) - 1):
            batch = self._batch(number)
            yield from self._sliced(batch, 0, batch.num_rows, columns, context)

    def fetch_price(self, rows: RowSet, columns: Sequence[str]) -> ReadPrice:
        # A row takes a memory page of each column, at most all of them; nearer rows share them.
        return self.price_at_most(len(rows), columns)

    def price_at_most(self, row_count: int, columns: Sequence[str]) -> ReadPrice:
        sizes = [min(self._column_bytes[name], row_count * PAGE_BYTES) for name in columns]
        return ReadPrice(sum(sizes), min(row_count, len(self._starts) - 1) * len(columns))

    def scan_price(self, columns: Sequence[str]) -> ReadPrice:
        return ReadPrice(sum(self._column_bytes[name] for name in columns), (len(self._starts) - 1) * len(columns))

    def verify(self) -> None:
        if checksum_file(self._path) != self._file.checksum:
            raise PayloadCorruptError(f"{self._path}: the checksum is wrong; {_RESTORE}")

    def close(self) -> None:
        with self._lock:
            self._batches.clear()
        # Batches handed out keep the mapping for as long as they live.

    def _batch(self, number: int) -> pa.RecordBatch:
        with self._lock:
            found = self._batches.get(number)
        if found is None:
            with damage_named(self._path):
                found = self._reader.get_batch(number)
                found.validate()
            if found.num_rows != int(self._starts[number + 1] - self._starts[number]):
                raise PayloadCorruptError(f"{self._path}: batch {number} has other rows than recorded; {_RESTORE}")
            with self._lock:
                self._batches[number] = found
        return found

    def _sliced(
        self, batch: pa.RecordBatch, first: int, count: int, columns: Sequence[str], context: QueryContext
    ) -> Iterator[pa.RecordBatch]:
        part = batch.select(list(columns)).slice(first, count)
        for name, column in zip(part.schema.names, part.columns, strict=True):
            self._check(name, column, None)
        for piece in slices(part, context.batch_rows):
            context.check()
            yield piece

    def _taken(self, batch: pa.RecordBatch, places: npt.NDArray[np.int64], columns: Sequence[str]) -> pa.RecordBatch:
        numbers = [self._schema.get_field_index(name) for name in columns]
        chosen = [batch.column(number) for number in numbers]
        for name, column in zip(columns, chosen, strict=True):
            self._check(name, column, places)
        indices = pa.array(places)
        fields = [self._schema.field(name) for name in columns]
        return pa.RecordBatch.from_arrays([column.take(indices) for column in chosen], schema=pa.schema(fields))

    def _check(self, name: str, column: pa.Array, places: npt.NDArray[np.int64] | None) -> None:
        """Never follow an offset that leads out of the file."""
        type_ = column.type
        if not _has_offsets(type_):
            if pa.types.is_nested(type_):
                with damage_named(self._path):
                    column.validate(full=True)
            return
        offsets = _offsets(column)
        firsts, stops = (offsets[:-1], offsets[1:]) if places is None else (offsets[places], offsets[places + 1])
        end = column.buffers()[2].size if column.buffers()[2] is not None else 0
        if len(firsts) and (int(firsts.min()) < 0 or int(stops.max()) > end or bool(np.any(firsts > stops))):
            raise PayloadCorruptError(f"{self._path}: column {name!r} is damaged; {_RESTORE}")


_RESTORE = "restore it from a copy of the folder, or build the index again"


class _Gathered:
    """A batch that the kernel made, for pyarrow to take."""

    def __init__(self, schema: pa.Schema, array: Any) -> None:
        self._schema = schema
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self._schema.__arrow_c_schema__(), self._array


def _is_gathered(type_: pa.DataType) -> bool:
    """Whether a value is some bytes at a place, or some bytes between two offsets."""
    types = pa.types
    tests = (types.is_nested, types.is_dictionary, types.is_string_view, types.is_binary_view, types.is_null)
    return not isinstance(type_, pa.BaseExtensionType) and not any(test(type_) for test in tests)


def _has_offsets(type_: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(test(type_) for test in tests)


def _offsets(column: pa.Array) -> npt.NDArray[np.int64] | npt.NDArray[np.int32]:
    wide = pa.types.is_large_string(column.type) or pa.types.is_large_binary(column.type)
    kind = np.dtype(np.int64 if wide else np.int32)
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros(len(column) + 1, np.int32)
    found: npt.NDArray[np.int32] = np.frombuffer(buffer, kind, len(column) + 1, column.offset * kind.itemsize)
    return found
