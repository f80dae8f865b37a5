"""Writing one Parquet file of a frozen data set: counted and checksummed as it passes, pages that check themselves."""

from __future__ import annotations

from collections.abc import Collection
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.checksum import Checksum
from esker.core.file_system import FileSystem
from esker.formats.parquet import dictionary_leaves, repeats, write_batch_rows
from esker.formats.parquet_tail import PAGED_CHUNKS_MAX, ParquetTail
from esker.frozen.footer import footer_length

_TAIL_BYTES = 8
# Whoever reads one page reads its column's dictionary too: a few pages' worth, then plain values follow.
_DICTIONARY_BYTES_MIN = 128 << 10


# Wider values than this are written plain unless they repeat: of those a dictionary has few, and the page of one row
# would cost it too.
_WIDE_VALUE_BYTES = 32


class CheckedSink:
    """A file for pyarrow to write to: every byte goes through the file system seam, is counted and checksummed."""

    closed = False
    abandoned = False

    def __init__(self, file: BinaryIO, file_system: FileSystem) -> None:
        self._file = file
        self._file_system = file_system
        self._checksum = Checksum()
        self.bytes = 0

    def write(self, data: bytes | pa.Buffer) -> int:
        """Write all of `data`."""
        view = memoryview(data)
        if self.abandoned:
            return view.nbytes
        self._file_system.write(self._file, view)
        self._checksum.update(view)
        self.bytes += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        """Where the next byte goes."""
        return self.bytes

    def flush(self) -> None:
        """Nothing is held back here; the file is synced once, at its end."""

    def close(self) -> None:
        """Leave the file open: its owner syncs and closes it."""

    @property
    def checksum(self) -> str:
        """The checksum of all bytes so far."""
        return self._checksum.text


class ParquetOut:
    """One Parquet file, written a row group at a time.

    Pages carry checksums and the page index is on. Statistics are kept for `statistics` columns only: those of a
    payload cost up to a quarter of the file and serve nobody. The Arrow schema is in the footer, so that types
    Parquet lacks come back.
    """

    def __init__(
        self,
        file: BinaryIO,
        schema: pa.Schema,
        *,
        statistics: Collection[str],
        page_bytes: int,
        file_system: FileSystem,
    ) -> None:
        self.schema = schema
        self.file = file
        self._sink = CheckedSink(file, file_system)
        self._statistics = [name for name in schema.names if name in statistics]
        self._page_bytes = page_bytes
        self._writer: pq.ParquetWriter | None = None
        self.row_count = 0
        self._chunk_count = 0

    @property
    def size_bytes(self) -> int:
        """Bytes written so far; the footer comes at the end."""
        return self._sink.bytes

    def write_group(self, table: pa.Table) -> None:
        """Write all rows of `table` as one row group; without any, a file of no rows can be closed."""
        if self._writer is None:
            self._writer = self._open_writer(table)
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        self.row_count += table.num_rows
        self._chunk_count += table.num_columns

    def close(self) -> tuple[bytes, str]:
        """Write the footer; gives it, and the checksum of the whole file."""
        assert self._writer is not None, "a file without rows is not written"
        self._writer.close()
        self.file.flush()
        self.file.seek(self.size_bytes - _TAIL_BYTES)
        length = footer_length(self.file.read(_TAIL_BYTES), "the file just written")
        self.file.seek(self.size_bytes - length)
        return self.file.read(length), self._sink.checksum

    def offset_indexes(self, footer: bytes) -> bytes:
        """Give what lies before the footer, from the first offset index on; nothing where nobody reads by pages.

        Call it after `close`.
        """
        if self._chunk_count > PAGED_CHUNKS_MAX:
            return b""
        start = ParquetTail(footer, self.size_bytes).index_start()
        assert start is not None, "the page index is written"
        self.file.seek(start)
        return self.file.read(self.size_bytes - len(footer) - start)

    def abandon(self) -> None:
        """Let go without writing any more, now or when collected."""
        if self._writer is not None and self._writer.is_open:
            self._sink.abandoned = True
            self._writer.close()

    def _open_writer(self, first: pa.Table) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            self.schema,
            compression="zstd",
            compression_level=1,
            data_page_size=self._page_bytes,
            write_batch_size=write_batch_rows(first, self._page_bytes),
            use_dictionary=dictionary_leaves(
                first, [name for name in first.schema.names if _has_dictionary(first[name])]
            )
            or False,
            dictionary_pagesize_limit=max(self._page_bytes, _DICTIONARY_BYTES_MIN),
            write_statistics=self._statistics or False,
            write_page_index=True,
            write_page_checksum=True,
            store_schema=True,
        )


def _has_dictionary(column: pa.ChunkedArray) -> bool:
    return bool(column.nbytes <= _WIDE_VALUE_BYTES * len(column)) or repeats(column)
