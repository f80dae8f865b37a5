"""Groups of rows on disk that outlive the query that made them: mapped when read, removed when nobody needs them."""

from __future__ import annotations

import os
import weakref
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import BinaryIO

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.spill import SpillFolder
from esker.errors import InputError, SpillError

# Small groups share a batch of the file up to this many bytes, or this share of the budget.
_BATCH_BYTES_MAX = 4 << 20
_BATCH_SHARE = 64


class KeptGroups:
    """Rows of many groups in one private file; `table(i)` gives those of a group, any number of times.

    A mapped file costs no anonymous memory (contracts, 1). It is removed on `close`, when this object is collected, or
    when the interpreter ends; what a crash leaves, the next query that spills in the same place removes.
    """

    def __init__(self, folder: SpillFolder, schema: pa.Schema) -> None:
        self.schema = schema
        self._folder = folder
        self._ends: list[int] = []
        self._batches: list[pa.RecordBatch] = []
        self._batch_ends: list[int] = []
        self._finalizer = weakref.finalize(self, _remove, folder, os.getpid())

    def __len__(self) -> int:
        return len(self._ends)

    def rows(self, group: int) -> int:
        """Rows of a group."""
        return self._ends[group] - (self._ends[group - 1] if group else 0)

    def table(self, group: int) -> pa.Table:
        """The rows of a group, in the order they were written."""
        if not self._finalizer.alive:
            raise InputError("these partitions were closed; call partition_by again")
        stop = self._ends[group]
        start = stop - self.rows(group)
        first, last = bisect_right(self._batch_ends, start), bisect_right(self._batch_ends, max(start, stop - 1))
        before = self._batch_ends[first - 1] if first else 0
        return pa.Table.from_batches(self._batches[first : last + 1], self.schema).slice(start - before, stop - start)

    def close(self) -> None:
        """Remove the file; calling it again does nothing."""
        self._batches.clear()
        self._finalizer()

    @contextmanager
    def writer(self, context: QueryContext) -> Iterator[GroupWriter]:
        """Write the groups, once; on an error nothing is left."""
        path, fd = self._folder.new_file("groups")
        try:
            with os.fdopen(fd, "wb") as file:
                writer = GroupWriter(file, self.schema, self._folder, context)
                yield writer
                writer.finish()
            self._ends = writer.ends
            with pa.ipc.open_stream(pa.memory_map(str(path))) as reader:
                self._batches = list(reader)
            self._batch_ends = list(accumulate(batch.num_rows for batch in self._batches))
        except BaseException:
            self.close()
            raise


class GroupWriter:
    """Appends groups to the file of a `KeptGroups`; small ones share a batch."""

    def __init__(self, file: BinaryIO, schema: pa.Schema, folder: SpillFolder, context: QueryContext) -> None:
        self._file = file
        self._stream = pa.ipc.new_stream(file, schema)
        self._folder = folder
        self._context = context
        self._bytes_max = min(_BATCH_BYTES_MAX, context.budget.total_bytes // _BATCH_SHARE)
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._rows = 0
        self.ends: list[int] = []

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Append a group."""
        for batch in batches:
            self._context.check()
            self._held.append(batch)
            self._held_bytes += batch.nbytes
            self._rows += batch.num_rows
            if self._held_bytes >= self._bytes_max:
                self._flush()
        self.ends.append(self._rows)

    def finish(self) -> None:
        """Write what is held, and the end of the stream."""
        self._flush()
        with self._failures():
            self._stream.close()
            self._file.flush()

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        with self._failures():
            for batch in _one(held):
                self._stream.write_batch(batch)
        limit_bytes = self._folder.limit_bytes
        if self._file.tell() > limit_bytes:
            raise SpillError(
                f"the partitions take more than the {limit_bytes:,} bytes allowed in {self._folder.root}:"
                " raise spill_limit=, or set spill_folder= to another disk"
            )

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._folder.failure(error) from error


def _one(batches: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
    found: list[pa.RecordBatch] = pa.Table.from_batches(batches).combine_chunks().to_batches() if batches else []
    return found


def _remove(folder: SpillFolder, process: int) -> None:
    # A forked child that ends has this finalizer too, and must leave the file to its parent.
    if os.getpid() == process:
        folder.close()
