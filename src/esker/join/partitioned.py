"""Rows divided by the hash of their keys into one file on the join's disk, of which partitions can be given up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.batch import one_batch
from esker.core.context import QueryContext
from esker.join.account import Work
from esker.join.limits import JoinLimits
from esker.join.spill_file import SpillFile
from esker.shuffle.partition_function import partition_ids

Ids = npt.NDArray[np.uint32]
Sizes = npt.NDArray[np.int64]


class PartitionedFile:
    """Partitions `first` to `stop` of some rows; rows of other partitions are passed over.

    Rows wait in memory until `held_bytes_max` of them are there, then each partition's are written as one batch, so
    a partition is read back in few pieces.
    """

    def __init__(
        self,
        schema: pa.Schema,
        by: Sequence[str],
        partition_count: int,
        limits: JoinLimits,
        context: QueryContext,
        *,
        first: int = 0,
        stop: int | None = None,
    ) -> None:
        self.count = partition_count
        self.first = first
        self.stop = partition_count if stop is None else stop
        self._by = list(by)
        self._limits = limits
        self._context = context
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._reservation = context.budget.reserve("join partitions")
        self._file = SpillFile("join-partitions", schema, context)
        self._places: list[list[int]] = [[] for _ in range(partition_count)]
        self._batch_count = 0
        self._sealed: list[pa.RecordBatch] = []
        self.bytes = np.zeros(partition_count, np.int64)
        self.rows = np.zeros(partition_count, np.int64)

    def partition_of(self, batch: pa.RecordBatch) -> Ids:
        """Say the partition of each row."""
        return partition_ids(batch, self._by, self.count)

    def sizes(self, batch: pa.RecordBatch, ids: Ids) -> Sizes:
        """Say how many bytes each partition gets of a batch, as if its rows were alike."""
        counts = np.bincount(ids, minlength=self.count)
        found: Sizes = (counts * (batch.nbytes / max(batch.num_rows, 1))).astype(np.int64)
        return found

    def add(self, batch: pa.RecordBatch, ids: Ids, sizes: Sizes) -> None:
        """Take the rows of `batch` that belong here."""
        wanted = (ids >= self.first) & (ids < self.stop)
        if not wanted.all():
            places = np.flatnonzero(wanted)
            batch, ids = batch.take(pa.array(places)), ids[places]
        if not batch.num_rows:
            return
        self.rows += np.bincount(ids, minlength=self.count)
        self.bytes[self.first : self.stop] += sizes[self.first : self.stop]
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes >= self._limits.memory_bytes // 2 or not self._reservation.try_resize(3 * self._held_bytes):
            self._flush()

    def give_up_last(self) -> int:
        """Leave out the last partition there is; gives its bytes."""
        self.stop -= 1
        self._places[self.stop] = []
        size = int(self.bytes[self.stop])
        self.bytes[self.stop] = self.rows[self.stop] = 0
        return size

    def seal(self) -> None:
        """End the writing; partitions can be read after it."""
        self._flush()
        self._reservation.release()
        self._file.seal()
        self._sealed = [*self._file.batches()]

    def batches(self, partition: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition, in the order they came; any number of times."""
        for place in self._places[partition]:
            yield self._sealed[place]

    def read(self, partition: int, work: Work) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a partition, charging the disk."""
        work.transfer(self._limits.disk, "read", int(self.bytes[partition]), len(self._places[partition]))
        yield from self.batches(partition)

    def close(self) -> None:
        """Remove the file; calling it again does nothing."""
        self._held, self._sealed = [], []
        self._reservation.release()
        self._file.close()

    def _flush(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if not held:
            return
        self._context.check()
        batch = one_batch(held)
        ids = self.partition_of(batch)
        order = np.argsort(ids, kind="stable")
        batch = batch.take(pa.array(order))
        edges = np.searchsorted(ids[order], np.arange(self.first, self.stop + 1))
        for partition, start, stop in zip(range(self.first, self.stop), edges[:-1], edges[1:], strict=True):
            if stop > start:
                self._file.write(batch.slice(int(start), int(stop - start)))
                self._places[partition].append(self._batch_count)
                self._batch_count += 1
