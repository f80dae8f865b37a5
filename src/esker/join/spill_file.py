"""A private file of Arrow batches in the query's spill folder, read back through a map."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from esker.core.context import QueryContext
from esker.errors import PageCorruptError, SpillError

_BUDGET_STEP = 16 << 20


class SpillFile:
    """Batches of one schema, written once, then read any number of times.

    The map costs no anonymous memory (contracts, 1). The file goes with `close`, or with the query.
    """

    def __init__(self, name: str, schema: pa.Schema, context: QueryContext) -> None:
        self._context = context
        self.schema = schema
        self.row_count = 0
        self._bytes_max = context.spill.room_bytes
        self.path, fd = context.spill.new_file(name)
        self._file = os.fdopen(fd, "wb")
        self._writer: pa.RecordBatchFileWriter | None = pa.ipc.new_file(self._file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; a full disk or cap is a SpillError that says what to change."""
        assert self._writer is not None, "a sealed spill file takes no more batches"
        try:
            self._writer.write_batch(batch)
            if self._file.tell() > self._bytes_max:
                raise OSError(errno.ENOSPC, "the cap on spill is reached")
        except OSError as error:
            raise self._failure(error, batch.nbytes) from error
        self.row_count += batch.num_rows

    def seal(self) -> int:
        """End the writing; returns the file's size in bytes."""
        assert self._writer is not None, "sealed twice"
        try:
            self._writer.close()
            self._file.close()
        except OSError as error:
            raise self._failure(error, 0) from error
        self._writer = None
        size = self.path.stat().st_size
        self._context.activity.spilled(size)
        return size

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches in the order written."""
        assert self._writer is None, "seal before reading"
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(self.path)))
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
        except pa.ArrowInvalid as error:
            raise PageCorruptError(f"spill file {self.path} is damaged: {error}") from error

    def close(self) -> None:
        """Remove the file; calling it again does nothing."""
        with suppress(OSError, pa.ArrowInvalid):
            self._file.close()
        self._writer = None
        Path(self.path).unlink(missing_ok=True)

    def _failure(self, error: OSError, bytes_wanted: int) -> OSError:
        return error if isinstance(error, SpillError) else self._context.spill.failure(error, bytes_wanted)


def tell_spill(what: str, spilled_bytes: int, needed_bytes: int, free_bytes: int, context: QueryContext) -> None:
    """Tell the event log what a join wrote to disk, and the budget, to 16 MiB, with which it would not have.

    `needed_bytes` are those that would have to be free where `free_bytes` were.
    """
    if not spilled_bytes:
        return
    others = context.budget.total_bytes - free_bytes
    context.log.emit(
        "join_spilled",
        what=what,
        bytes=spilled_bytes,
        budget_bytes=context.budget.total_bytes,
        budget_bytes_wanted=-(-(others + needed_bytes) // _BUDGET_STEP) * _BUDGET_STEP,
    )
