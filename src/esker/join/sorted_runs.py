"""An external sort by two row ids: runs sorted in memory, spilled when they are many, merged on reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.batch import one_batch
from esker.core.context import QueryContext
from esker.join.held_rows import gather
from esker.join.spill_file import SpillFile

Ids = npt.NDArray[np.uint64]

# Runs merged at a time: each holds one batch, so runs are written in batches of a run's share of the memory.
FAN_IN = 32
_IDS, _ID_BITS = 2, 64


class SortedRuns:
    """Batches that begin with two uint64 columns, given back sorted by both.

    Holds at most `memory_bytes` while filled (and sorts that much at a time, so a run takes half of it), then one
    batch a run. What fits is never written. `merged` may be called several times.
    """

    def __init__(
        self, name: str, schema: pa.Schema, context: QueryContext, memory_bytes: int, *, fan_in: int | None = None
    ) -> None:
        assert schema.types[:2] == [pa.uint64(), pa.uint64()], "runs are sorted by two row ids"
        self._name = name
        self.schema = schema
        self._context = context
        self._run_bytes = max(memory_bytes // 2, 1)
        self._fan_in = fan_in or FAN_IN
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._reservation = context.budget.reserve(name, 0)
        self._files: list[SpillFile] = []
        self._in_memory: pa.RecordBatch | None = None
        self.row_count = 0
        self.spilled_bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows in any order."""
        if not batch.num_rows:
            return
        self.row_count += batch.num_rows
        self._held_bytes += batch.nbytes
        # Twice, for the copy that sorting makes.
        if self._held and not (
            self._held_bytes <= self._run_bytes and self._reservation.try_resize(2 * self._held_bytes)
        ):
            self._held_bytes = batch.nbytes
            self._spill()
        self._held.append(batch)

    def finish(self) -> None:
        """Sort what is left; rows can be read after it."""
        if self._files:
            self._spill()
            self._reservation.release()
            while len(self._files) > self._fan_in:
                self._files = [self._merge_files(group) for group in _groups(self._files, self._fan_in)]
        elif self._held:
            self._in_memory = _sorted(self._held)
            self._held = []
            self._reservation.try_resize(self._in_memory.nbytes)

    def merged(self, rows_max: int) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, in batches of at most `rows_max`."""
        if self._in_memory is not None:
            yield from _slices(self._in_memory, rows_max)
        for batch in merge([file.batches() for file in self._files]):
            self._context.check()
            yield from _slices(batch, rows_max)

    def close(self) -> None:
        """Free memory and files; calling it again does nothing."""
        self._held, self._in_memory = [], None
        self._reservation.release()
        for file in self._files:
            file.close()
        self._files = []

    def _spill(self) -> None:
        batches, self._held = self._held, []
        if batches:
            self._files.append(self._write([_sorted(batches)]))

    def _write(self, batches: Iterable[pa.RecordBatch]) -> SpillFile:
        file = SpillFile(self._name.replace(" ", "-"), self.schema, self._context)
        try:
            for batch in batches:
                row_bytes = max(batch.nbytes // max(batch.num_rows, 1), 1)
                for part in _slices(batch, max(self._run_bytes // self._fan_in // row_bytes, 1)):
                    self._context.check()
                    file.write(part)
            self.spilled_bytes += file.seal()
        except BaseException:
            file.close()
            raise
        return file

    def _merge_files(self, files: Sequence[SpillFile]) -> SpillFile:
        if len(files) == 1:
            return files[0]
        made = self._write(merge([file.batches() for file in files]))
        for file in files:
            file.close()
        return made


def merge(streams: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """Merge streams that are each sorted by their first two columns."""
    heads = [(head, stream) for stream in streams if (head := next(stream, None)) is not None]
    while len(heads) > 1:
        # Rows up to the least of the heads' last rows: nothing that comes later sorts before them.
        bound = min(_key(head, head.num_rows - 1) for head, _ in heads)
        ready, rest = [], []
        for head, stream in heads:
            count = _count_through(head, bound)
            if count:
                ready.append(head.slice(0, count))
            following = head.slice(count) if count < head.num_rows else next(stream, None)
            if following is not None:
                rest.append((following, stream))
        yield _sorted(ready)
        heads = rest
    for head, stream in heads:
        yield head
        yield from stream


def ids_of(batch: pa.RecordBatch, index: int) -> Ids:
    """A row-id column as an array, without a copy."""
    ids: Ids = batch.column(index).to_numpy()
    return ids


def _sorted(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    schema = batches[0].schema
    packed, shift = _packed(batches)
    if packed is None:
        first, second = (np.concatenate([ids_of(batch, index) for batch in batches]) for index in range(_IDS))
        return gather(batches, np.lexsort((second, first)))
    if (packed[1:] >= packed[:-1]).all():
        return one_batch(batches)
    if len(schema) > _IDS:
        return gather(batches, np.argsort(packed))
    packed.sort()
    second = packed & np.uint64((1 << shift) - 1)
    packed >>= np.uint64(shift)
    return pa.RecordBatch.from_arrays([pa.array(packed), pa.array(second)], schema=schema)


def _packed(batches: Sequence[pa.RecordBatch]) -> tuple[Ids | None, int]:
    """Both ids of each row in one number, which is many times as fast to sort, and the bits of the second.

    None when 64 bits do not hold them.
    """
    most = [max(int(ids_of(batch, index).max()) for batch in batches) for index in range(_IDS)]
    shift = most[1].bit_length()
    if most[0].bit_length() + shift > _ID_BITS:
        return None, shift
    packed = np.concatenate([ids_of(batch, 0) for batch in batches])
    packed <<= np.uint64(shift)
    start = 0
    for batch in batches:
        packed[start : start + batch.num_rows] |= ids_of(batch, 1)
        start += batch.num_rows
    return packed, shift


def _key(batch: pa.RecordBatch, row: int) -> tuple[int, int]:
    return int(ids_of(batch, 0)[row]), int(ids_of(batch, 1)[row])


def _count_through(batch: pa.RecordBatch, bound: tuple[int, int]) -> int:
    """How many rows of a sorted batch are at or before `bound`."""
    first, second = ids_of(batch, 0), ids_of(batch, 1)
    low = int(np.searchsorted(first, np.uint64(bound[0]), "left"))
    high = int(np.searchsorted(first, np.uint64(bound[0]), "right"))
    return low + int(np.searchsorted(second[low:high], np.uint64(bound[1]), "right"))


def _slices(batch: pa.RecordBatch, rows_max: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, rows_max):
        yield batch.slice(start, rows_max)


def _groups(files: Sequence[SpillFile], fan_in: int) -> Iterator[Sequence[SpillFile]]:
    for start in range(0, len(files), fan_in):
        yield files[start : start + fan_in]
