"""A flow of rows cut into Parquet files of chosen sizes, in a folder that is aside until all of them are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from esker.collection.options import is_whole
from esker.core.byte_size import parse_bytes
from esker.core.file_system import WITHIN_ASIDE
from esker.errors import OptionError
from esker.formats.parquet import ParquetFileWriter, ParquetWriteOptions

# A file that is this near to its size is not worth another row group.
_FULL = 15 / 16


@dataclass(frozen=True)
class FileSizes:
    """When a file ends: after `rows_max` rows, or about `bytes_target` bytes of file; None is no limit."""

    rows_max: int | None = None
    bytes_target: int | None = None

    @staticmethod
    def of(file_bytes: int | str | None, rows_per_file: int | None) -> FileSizes:
        """Read what a user asked for; OptionError says what is possible."""
        if rows_per_file is not None and (not is_whole(rows_per_file) or rows_per_file < 1):
            raise OptionError(f"rows_per_file={rows_per_file!r}: give a whole number of at least 1")
        return FileSizes(rows_per_file, None if file_bytes is None else parse_bytes(file_bytes, "file_bytes"))

    @property
    def limited(self) -> bool:
        """Whether rows may be cut into several files."""
        return self.rows_max is not None or self.bytes_target is not None


@dataclass(frozen=True)
class PartOptions:
    """How files are written: their sizes, and what `ParquetWriteOptions` has."""

    sizes: FileSizes = FileSizes()
    parquet: Mapping[str, Any] = field(default_factory=dict)

    def writer(self, path: Path, schema: pa.Schema) -> ParquetFileWriter:
        """A writer of one file; a row group is no larger than the file is to be."""
        options = ParquetWriteOptions(**self.parquet)
        if self.sizes.bytes_target is not None and self.sizes.bytes_target < options.row_group_bytes:
            options = ParquetWriteOptions(**{**self.parquet, "row_group_bytes": self.sizes.bytes_target})
        return ParquetFileWriter(path, schema, options, overwrite=False, file_system=WITHIN_ASIDE)


class PartFiles:
    """Writes rows to one file after another, in order; `path(n)` names the n-th.

    >>> import tempfile
    >>> folder, rows = Path(tempfile.mkdtemp()), pa.record_batch({"n": range(5)})
    >>> options = PartOptions(FileSizes(rows_max=2))
    >>> with PartFiles(lambda number: folder / f"{number}.parquet", rows.schema, options) as files:
    ...     files.write(rows)
    >>> sorted(path.name for path in folder.iterdir()), files.rows
    (['0.parquet', '1.parquet', '2.parquet'], 5)

    At most one file is open. The size of a file in bytes is met by what the row groups before have shown of how far
    the rows shrink, so the same rows always give the same files. Leaving the block on an error leaves a file behind
    that is not whole: the folder is to be removed.
    """

    def __init__(self, path: Callable[[int], Path], schema: pa.Schema, options: PartOptions) -> None:
        self._path = path
        self._schema = schema
        self._options = options
        self._writer: ParquetFileWriter | None = None
        self._number = 0
        self._shrinks_to = 1.0
        self.rows = 0

    @property
    def is_open(self) -> bool:
        """Whether a file is open."""
        return self._writer is not None

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of `batch`."""
        if not self._options.sizes.limited:
            self.open().write(batch)
            self.rows += batch.num_rows
            return
        while batch.num_rows:
            writer = self.open()
            fitting = min(batch.num_rows, self._fitting_rows(writer, batch))
            writer.write(batch.slice(0, fitting))
            self.rows += fitting
            if self._is_full(writer):
                self.end_file()
            batch = batch.slice(fitting)

    def flush(self) -> None:
        """Hold no batch any longer: the row group ends."""
        if self._writer is not None:
            self._writer.flush()

    def open(self) -> ParquetFileWriter:
        """The file that is open, or the next one."""
        if self._writer is None:
            writer = self._options.writer(self._path(self._number), self._schema)
            writer.__enter__()
            self._writer = writer
        return self._writer

    def end_file(self) -> None:
        """Close the file; rows that follow go to the next one."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        self._number += 1
        self._learn(writer)
        writer.__exit__(None, None, None)

    def __enter__(self) -> PartFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.end_file()
        elif self._writer is not None:
            writer, self._writer = self._writer, None
            writer.__exit__(kind, error, trace)

    def _learn(self, writer: ParquetFileWriter) -> None:
        if writer.encoded_from_bytes:
            self._shrinks_to = writer.encoded_bytes / writer.encoded_from_bytes

    def _fitting_rows(self, writer: ParquetFileWriter, batch: pa.RecordBatch) -> int:
        """How many rows of `batch` the file still takes; at least one."""
        sizes, fitting = self._options.sizes, int(batch.num_rows)
        if sizes.rows_max is not None:
            fitting = min(fitting, sizes.rows_max - writer.rows)
        if sizes.bytes_target is not None:
            left = self._left_bytes(writer, sizes.bytes_target) / self._shrinks_to
            fitting = min(fitting, int(left * batch.num_rows / max(batch.nbytes, 1)))
        return max(1, fitting)

    def _is_full(self, writer: ParquetFileWriter) -> bool:
        sizes = self._options.sizes
        if sizes.rows_max is not None and writer.rows >= sizes.rows_max:
            return True
        if (
            sizes.bytes_target is None
            or self._left_bytes(writer, sizes.bytes_target) > (1 - _FULL) * sizes.bytes_target
        ):
            return False
        writer.flush()  # so far that was a guess
        return self._left_bytes(writer, sizes.bytes_target) <= (1 - _FULL) * sizes.bytes_target

    def _left_bytes(self, writer: ParquetFileWriter, target: int) -> float:
        self._learn(writer)
        return target - writer.encoded_bytes - writer.pending_bytes * self._shrinks_to
