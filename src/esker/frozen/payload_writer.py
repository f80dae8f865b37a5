"""Writing the payload: extents of whole row groups, written aside, checked, then handed to the tier."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from esker.core.checksum import checksum_bytes
from esker.core.context import QueryContext
from esker.core.extent import Extent
from esker.core.file_system import FileSystem
from esker.errors import EskerError, TierError
from esker.frozen.groups import GroupBuffer
from esker.frozen.parquet_out import ParquetOut
from esker.frozen.records import FrozenExtent
from esker.storage import Tier


@dataclass(frozen=True)
class ExtentShape:
    """How extents are cut: by rows where `extent_rows` is given, else at about `extent_bytes` as stored."""

    extent_rows: int | None
    extent_bytes: int
    row_group_rows: int
    row_group_bytes: int
    page_bytes: int


class PayloadWriter:
    """Take rows in row-id order and give extents; `footers` holds by key their last bytes, offset indexes and footer.

    An extent is written to a private file of the spill folder first: a tier gets whole objects only, and what it
    stored is compared with what was written.
    """

    def __init__(
        self,
        schema: pa.Schema,
        statistics: Collection[str],
        shape: ExtentShape,
        tier: Tier,
        name_key: Callable[[int], str],
        *,
        first_row: int,
        first_number: int,
        context: QueryContext,
        file_system: FileSystem,
    ) -> None:
        self._schema = schema
        self._statistics = statistics
        self._shape = shape
        self._tier = tier
        self._name_key = name_key
        self._context = context
        self._file_system = file_system
        self._buffer = GroupBuffer(shape.row_group_rows, shape.row_group_bytes)
        self._out: ParquetOut | None = None
        self._path: Path | None = None
        self._raw_bytes = 0
        self._first_number = first_number
        self.row_stop = first_row
        self.extents: list[FrozenExtent] = []
        self.footers: dict[str, bytes] = {}

    def add(self, batch: pa.RecordBatch, begins_extent: bool) -> None:
        """Append rows; they lie in a new extent if `begins_extent`."""
        if begins_extent:
            self.finish()
        while batch.num_rows:
            room = self._rows_left() - self._buffer.row_count
            taken = self._buffer.take(batch.slice(0, room))
            batch = batch.slice(taken)
            if self._buffer.full or taken == room:
                self._write_group()
            if self._rows_left() == 0:
                self.finish()

    def finish(self) -> None:
        """End the extent that is open, if one is."""
        self._write_group()
        if self._out is None:
            return
        assert self._path is not None
        with self._spill_errors():
            footer, checksum = self._out.close()
            tail = self._out.offset_indexes(footer) + footer
            self._out.file.close()
        key = self._name_key(self._first_number + len(self.extents))
        extent = Extent(key, self.row_stop, self._out.row_count, self._out.size_bytes, checksum)
        self._store(extent, self._path)
        self.footers[key] = tail
        self.extents.append(FrozenExtent(extent, checksum_bytes(tail), lambda: tail))
        self.row_stop = extent.row_stop
        self._out = None
        self._raw_bytes = 0

    def abandon(self) -> None:
        """Let go of the open file; the spill folder's owner removes it."""
        if self._out is not None:
            self._out.abandon()
            self._out.file.close()
            self._out = None

    def _store(self, extent: Extent, path: Path) -> None:
        try:
            stored = self._tier.write(extent.key, path)
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise TierError(f"cannot write {extent.key!r} to {self._tier.uri}: {error.strerror or error}") from error
        if (stored.bytes, stored.checksum or extent.checksum) != (extent.bytes, extent.checksum):
            raise TierError(
                f"{self._tier.uri} stored {stored.bytes:,} bytes of {extent.key!r} ({stored.checksum}); written were"
                f" {extent.bytes:,} ({extent.checksum})"
            )
        self._file_system.delete(path)
        self._context.log.emit("extent_frozen", key=extent.key, rows=extent.row_count, bytes=extent.bytes)
        self._context.progress.advance("freeze", extent.row_stop, None, "rows")

    def _rows_left(self) -> int:
        """Rows that the open extent may still take."""
        written = self._out.row_count if self._out is not None else 0
        return (self._shape.extent_rows or (1 << 62)) - written

    def _write_group(self) -> None:
        if not self._buffer.row_count:
            return
        raw_bytes = self._buffer.bytes
        if self._out is not None and self._shape.extent_rows is None:
            expected_bytes = raw_bytes * self._out.size_bytes / max(self._raw_bytes, 1)
            if self._out.size_bytes + expected_bytes > self._shape.extent_bytes:
                group = self._buffer.drain(self._schema)
                self.finish()
                self._write_table(group, raw_bytes)
                return
        self._write_table(self._buffer.drain(self._schema), raw_bytes)

    def _write_table(self, group: pa.Table, raw_bytes: int) -> None:
        with self._spill_errors():
            if self._out is None:
                self._path, fd = self._context.spill.new_file("extent")
                self._out = ParquetOut(
                    os.fdopen(fd, "w+b"),
                    self._schema,
                    statistics=self._statistics,
                    page_bytes=self._shape.page_bytes,
                    file_system=self._file_system,
                )
            self._out.write_group(group)
        self._raw_bytes += raw_bytes

    @contextmanager
    def _spill_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise self._context.spill.failure(error) from error
