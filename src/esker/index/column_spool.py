"""A column put by in a private file, to be gone over again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from esker.core.context import QueryContext
from esker.errors import SpillError


class ColumnSpool:
    """Batches of one schema in a spill file: written once, then read, then removed."""

    def __init__(self, schema: pa.Schema, context: QueryContext) -> None:
        self.schema = schema
        self._context = context
        self._path: Path | None = None
        self._file: pa.NativeFile | None = None
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._bytes = 0

    def add(self, arrays: list[pa.Array]) -> None:
        """Append rows."""
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        spill = self._context.spill
        self._bytes += batch.nbytes
        if self._bytes > spill.limit_bytes:
            raise SpillError(
                f"building an index spills more than the {spill.limit_bytes:,} bytes allowed in {spill.root}: raise"
                " spill_limit="
            )
        try:
            if self._writer is None:
                self._path, fd = spill.new_file("column")
                os.close(fd)
                self._file = pa.OSFile(str(self._path), "wb")
                self._writer = pa.ipc.new_stream(self._file, self.schema)
            self._writer.write_batch(batch)
        except OSError as error:
            raise spill.failure(error, batch.nbytes) from error

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Give all rows again; nothing more can be added."""
        self._end()
        if self._path is None:
            return
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                self._context.check()
                yield batch

    def close(self) -> None:
        """Remove the file; calling it again does nothing."""
        self._end()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _end(self) -> None:
        if self._writer is not None and self._file is not None:
            self._writer.close()
            self._file.close()
            self._writer = self._file = None
