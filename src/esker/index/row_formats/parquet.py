"""Rows as Parquet with small row groups: a fraction of Arrow's bytes, and a row costs the row group it lies in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.checksum import checksum_bytes, checksum_file
from esker.core.context import QueryContext
from esker.core.file_system import FileSystem
from esker.core.row_set import RowSet
from esker.errors import PayloadCorruptError
from esker.frozen.footer import footer_length, read_footer
from esker.frozen.groups import GroupBuffer
from esker.frozen.hot import check_size, damage_named
from esker.frozen.parquet_out import ParquetOut
from esker.index.row_format import ReadPrice, RowFile, RowFormat, RowReader

# Of a row group that is read for one row, all is decoded: small ones lose 5 % of the file and win most of that time.
GROUP_ROWS = 8_192
GROUP_BYTES_MAX = 16 << 20
PAGE_BYTES = 64 << 10
# Row groups decoded by one call, at most, and of the free budget what they may take decoded.
GROUPS_READ = 64
BUDGET_SHARE = 8
_TAIL_BYTES = 8


class ParquetRows(RowFormat):
    """Small on disk and open to everyone: row groups of 8,192 rows, with page index."""

    name = "parquet"
    suffix = ".parquet"

    def write(
        self,
        batches: Iterator[pa.RecordBatch],
        schema: pa.Schema,
        path: Path,
        context: QueryContext,
        file_system: FileSystem,
    ) -> RowFile:
        buffer = GroupBuffer(GROUP_ROWS, min(GROUP_BYTES_MAX, context.budget.total_bytes // 32))
        with file_system.write_aside(path) as file:
            out = ParquetOut(file, schema, statistics=schema.names, page_bytes=PAGE_BYTES, file_system=file_system)
            try:
                buffer.cut(batches, schema, out.write_group)
                if not out.row_count:
                    out.write_group(buffer.drain(schema))
                footer, checksum = out.close()
            except BaseException:
                out.abandon()
                raise
        detail = {"footer_checksum": checksum_bytes(footer)}
        return RowFile(path.name, out.row_count, out.size_bytes, checksum, detail)

    def open(self, folder: Path, file: RowFile, schema: pa.Schema) -> ParquetReader:
        return ParquetReader(folder / file.file, file, schema)


class ParquetReader(RowReader):
    """A Parquet file whose footer is the recorded one; pages are checked as they are read."""

    def __init__(self, path: Path, file: RowFile, schema: pa.Schema) -> None:
        check_size(path, file.bytes)
        self._path = path
        self._file = file
        self._schema = schema
        self._footer = _checked_footer(path, file)
        groups = [self._footer.row_group(number) for number in range(self._footer.num_row_groups)]
        self._starts = np.concatenate(([0], np.cumsum([group.num_rows for group in groups], dtype=np.int64)))
        if self._footer.num_rows != file.row_count:
            raise PayloadCorruptError(f"{path} has other rows than its catalogue says; {_RESTORE}")
        self._sizes: dict[str, np.ndarray] = {name: np.zeros(len(groups), np.int64) for name in schema.names}
        self._decoded = {name: np.zeros(len(groups), np.int64) for name in schema.names}
        for number, group in enumerate(groups):
            for leaf in range(group.num_columns):
                chunk = group.column(leaf)
                path_in = chunk.path_in_schema
                name = path_in if path_in in self._sizes else path_in.split(".")[0]
                self._sizes[name][number] += chunk.total_compressed_size
                self._decoded[name][number] += chunk.total_uncompressed_size

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        ids = rows.to_numpy().astype(np.int64)
        cuts = np.searchsorted(ids, self._starts)
        for groups, table in self._read(np.flatnonzero(np.diff(cuts)).tolist(), columns, context):
            counts = [int(self._starts[number + 1] - self._starts[number]) for number in groups]
            # Where each row group begins among the rows just read.
            begins = np.concatenate(([0], np.cumsum(counts)))[:-1]
            parts = [
                ids[cuts[number] : cuts[number + 1]] - self._starts[number] + begin
                for number, begin in zip(groups, begins, strict=True)
            ]
            places = np.concatenate(parts)
            if len(places) == places[-1] - places[0] + 1:
                taken = table.slice(int(places[0]), len(places))
            else:
                taken = table.take(pa.array(places))
            yield from taken.combine_chunks().to_batches(context.batch_rows)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        for _, table in self._read(list(range(len(self._starts) - 1)), columns, context):
            yield from table.combine_chunks().to_batches(context.batch_rows)

    def fetch_price(self, rows: RowSet, columns: Sequence[str]) -> ReadPrice:
        starts, stops = rows.runs()
        touched = np.zeros(len(self._starts), np.int64)
        # A run of rows begins in one row group and ends in another.
        np.add.at(touched, np.searchsorted(self._starts, starts.astype(np.int64), "right") - 1, 1)
        np.add.at(touched, np.searchsorted(self._starts, stops.astype(np.int64), "left"), -1)
        return self._price(np.flatnonzero(np.cumsum(touched)[:-1] > 0), columns)

    def price_at_most(self, row_count: int, columns: Sequence[str]) -> ReadPrice:
        groups = min(row_count, len(self._starts) - 1)
        sizes = sum(int(np.sort(self._sizes[name])[::-1][:groups].sum()) for name in columns)
        return ReadPrice(sizes, groups * len(columns))

    def scan_price(self, columns: Sequence[str]) -> ReadPrice:
        return self._price(np.arange(len(self._starts) - 1), columns)

    def verify(self) -> None:
        if checksum_file(self._path) != self._file.checksum:
            raise PayloadCorruptError(f"{self._path}: the checksum is wrong; {_RESTORE}")

    def close(self) -> None:
        """Nothing is held open."""

    def _price(self, groups: np.ndarray, columns: Sequence[str]) -> ReadPrice:
        return ReadPrice(sum(int(self._sizes[name][groups].sum()) for name in columns), len(groups) * len(columns))

    def _read(
        self, groups: Sequence[int], columns: Sequence[str], context: QueryContext
    ) -> Iterator[tuple[Sequence[int], pa.Table]]:
        """Give row groups, several at a time: a call for each would cost more than decoding it."""
        schema = pa.schema([self._schema.field(name) for name in columns])
        with (
            damage_named(self._path),
            context.budget.reserve("index rows") as reservation,
            pq.ParquetFile(self._path, metadata=self._footer, page_checksum_verification=True) as file,
        ):
            for together in self._together(groups, columns, context.budget.free_bytes // BUDGET_SHARE):
                context.check()
                reservation.resize(sum(self._decoded_bytes(number, columns) for number in together))
                table = file.read_row_groups(list(together), columns=schema.names, use_threads=context.threads > 1)
                yield together, table.select(schema.names).cast(schema)

    def _together(self, groups: Sequence[int], columns: Sequence[str], bytes_max: int) -> Iterator[Sequence[int]]:
        held: list[int] = []
        held_bytes = 0
        for number in groups:
            size_bytes = self._decoded_bytes(number, columns)
            if held and (len(held) == GROUPS_READ or held_bytes + size_bytes > bytes_max):
                yield held
                held, held_bytes = [], 0
            held.append(number)
            held_bytes += size_bytes
        if held:
            yield held

    def _decoded_bytes(self, number: int, columns: Sequence[str]) -> int:
        return int(sum(self._decoded[name][number] for name in columns))


_RESTORE = "restore it from a copy of the folder, or build the index again"


def _checked_footer(path: Path, file: RowFile) -> pq.FileMetaData:
    with damage_named(path), path.open("rb") as opened:
        opened.seek(max(file.bytes - _TAIL_BYTES, 0))
        length = footer_length(opened.read(_TAIL_BYTES), str(path))
        opened.seek(max(file.bytes - length, 0))
        footer = opened.read(length)
    if checksum_bytes(footer) != file.detail["footer_checksum"]:
        raise PayloadCorruptError(f"{path}: the checksum of its footer is not the recorded one; {_RESTORE}")
    return read_footer(footer)
