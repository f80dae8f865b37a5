"""An open index segment: the root of its directory in memory, the rest on disk until asked for."""

from __future__ import annotations

import os
import threading
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.bitmap import Bitmap, Narrowing, union
from esker.core.checksum import checksum_file
from esker.errors import BitmapCorruptError
from esker.frozen.records import SegmentLike
from esker.index.column_spec import KINDS
from esker.index.encode import no_rows, profile_of
from esker.index.layout import Combination
from esker.index.layouts import LAYOUTS
from esker.index.segment_file import (
    FOOTER,
    MAGIC,
    Places,
    Root,
    read_block,
    read_directory_1,
    read_footer,
    read_root,
)
from esker.index.slots import FIRST_SLOT
from esker.index.vector_cache import VectorCache

SlotMask = npt.NDArray[np.bool_]

# Vectors ORed at a time: enough for the wide union to pay, few enough to bound memory.
UNION_BYTES = 16 << 20
# Vectors that lie so close are read by one request.
GAP_BYTES = 4 << 10
# Blocks of a directory that are kept: those of a million vectors.
BLOCKS_KEPT = 256


@dataclass(frozen=True)
class SegmentInfo:
    """A written segment: file name in the index folder, and what a catalogue has to record; `spec` is plain JSON."""

    file: str
    column: str
    kind: str
    bytes: int
    checksum: str
    spec: dict[str, Any]


@dataclass
class ReadCount:
    """Vectors, their bytes, bytes of directories and requests for either, by any number of threads."""

    vectors: int = 0
    bytes: int = 0
    directory_bytes: int = 0
    requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, vectors: int, size_bytes: int, directory_bytes: int = 0, requests: int = 0) -> None:
        """Count a read."""
        with self._lock:
            self.vectors += vectors
            self.bytes += size_bytes
            self.directory_bytes += directory_bytes
            self.requests += requests


@dataclass(frozen=True)
class VectorPlan:
    """Which vectors give a set of slots: the union of `combinations`, or what is not in it."""

    combinations: tuple[Combination, ...]
    inverted: bool
    bytes: int
    requests: int = 0

    @property
    def vectors(self) -> int:
        """How many vectors are read."""
        return len({vector for one in self.combinations for vector in one.vectors})

    @cached_property
    def united(self) -> tuple[int, ...] | None:
        """The vectors whose union it is; None where vectors are combined in other ways, too."""
        if any(one.operation != "unite" for one in self.combinations):
            return None
        return tuple(vector for one in self.combinations for vector in one.vectors)


class SegmentFile:
    """The file under a segment: checked reads of its directory and of single vectors.

    Opening reads the footer and the root; a block of the directory is read when a vector of it is named. Vectors are
    read with `pread`, not through a mapping: each is checked whole when it is read, and a file cut short while open is
    then an error and not a signal.
    """

    def __init__(self, folder: Path, info: SegmentLike) -> None:
        self.info = info
        self.place = f"index of column {info.column!r} ({info.file})"
        self.path = folder / info.file
        self.opening = ReadCount()
        self.cache: VectorCache | None = None
        if self.path.parent != folder or not info.file:
            raise BitmapCorruptError(f"{self.place}: the file does not lie in the index folder")
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BitmapCorruptError(f"{self.place}: cannot be opened: {error.strerror}; build it again") from error
        self._close = weakref.finalize(self, os.close, self._fd)
        self._blocks: OrderedDict[int, Places] = OrderedDict()
        self._lock = threading.Lock()
        try:
            self.root = self._read_root()
        except BaseException:
            self.close()
            raise
        counts = self.root.counts.astype(np.int64)
        # First vector of each block, and one past the last of all.
        self.starts = np.concatenate(([0], np.cumsum(counts)))

    @property
    def row_count(self) -> int:
        """Rows there are."""
        return self.root.row_count

    @property
    def vector_count(self) -> int:
        """Vectors there are."""
        return self.root.vector_count

    @property
    def label_type(self) -> pa.DataType:
        """The type of what vectors stand for."""
        return self.root.firsts.type

    def block(self, number: int, count: ReadCount | None = None) -> Places:
        """Give a block of the directory, read on first use."""
        with self._lock:
            found = self._blocks.get(number)
            if found is not None:
                self._blocks.move_to_end(number)
                return found
        root, place = self.root, f"{self.place}, directory block {number}"
        offset, length = int(root.offsets[number]), int(root.lengths[number])
        data = self.pread(offset, length)
        if zlib.crc32(data) != int(root.checksums[number]):
            raise BitmapCorruptError(f"{place}: the checksum is wrong; build it again or restore the file")
        found = read_block(data, int(root.counts[number]), offset, place)
        (count or self.opening).add(0, 0, length, 1)
        with self._lock:
            self._blocks[number] = found
            while len(self._blocks) > BLOCKS_KEPT and root.lengths[number]:
                self._blocks.popitem(last=False)
        return found

    def labels(self, first: int = 0, stop: int | None = None) -> pa.Array:
        """Give the labels of vectors `first` to `stop`."""
        stop = self.vector_count if stop is None else stop
        parts = [pa.array([], self.label_type)]
        for number in self.blocks_of(first, stop):
            start = int(self.starts[number])
            parts.append(self.block(number).labels[max(first - start, 0) : stop - start])
        return parts[1] if len(parts) == 2 else pa.concat_arrays(parts)

    def column(self, name: str, first: int = 0, stop: int | None = None) -> npt.NDArray[np.uint64]:
        """Give one array of the directory for vectors `first` to `stop`: rows, slot_rows, lengths."""
        stop = self.vector_count if stop is None else stop
        parts: list[npt.NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
        for number in self.blocks_of(first, stop):
            start = int(self.starts[number])
            parts.append(getattr(self.block(number), name)[max(first - start, 0) : stop - start])
        return np.concatenate(parts)

    def blocks_of(self, first: int, stop: int) -> range:
        """Name the blocks that hold vectors `first` to `stop`."""
        if first >= stop:
            return range(0)
        return range(
            int(np.searchsorted(self.starts, first, "right")) - 1, int(np.searchsorted(self.starts, stop, "left"))
        )

    def read(self, vector: int, count: ReadCount) -> Bitmap:
        """Read and check one vector."""
        return next(self.read_each((vector,), count))

    def read_each(self, vectors: Sequence[int], count: ReadCount) -> Iterator[Bitmap]:
        """Read and check vectors, those that lie close together by one request."""
        if self.cache is not None:
            yield from self._read_cached(vectors, count, self.cache)
            return
        yield from self._read_uncached(vectors, count)

    def _read_cached(self, vectors: Sequence[int], count: ReadCount, cache: VectorCache) -> Iterator[Bitmap]:
        """Give those that are held, and read the others; in the order asked for when all are held, or none."""
        held, missing = cache.get_many(self.info.file, vectors)
        yield from held
        if not missing:
            return
        # The order of what is read is that of the vectors which have rows.
        filled = [vector for vector in missing if self.column("lengths", vector, vector + 1)[0]]
        for vector, read in zip(filled, self._read_uncached(filled, count), strict=True):
            cache.put((self.info.file, vector), read)
            yield read
        yield from (no_rows(self.row_count) for _ in range(len(missing) - len(filled)))

    def _read_uncached(self, vectors: Sequence[int], count: ReadCount) -> Iterator[Bitmap]:
        for number, places, which in self._by_block(vectors, count):
            filled = which[places.lengths[which] > 0]
            yield from (no_rows(self.row_count) for _ in range(len(which) - len(filled)))
            for group in _close_together(places, filled):
                yield from self._read_group(number, places, group, count)

    def read_in_order(self, vectors: Sequence[int], count: ReadCount) -> list[Bitmap]:
        """Read ascending vectors; those without a row are given in their place."""
        given = self._read_uncached(vectors, count)
        filled = {vector for vector in vectors if self.column("lengths", vector, vector + 1)[0]}
        rest = iter([one for one in given if one])
        return [next(rest) if vector in filled else no_rows(self.row_count) for vector in vectors]

    def price_of(self, vectors: Sequence[int]) -> tuple[int, int]:
        """Say how many bytes vectors have, and how many requests read them."""
        size_bytes = requests = 0
        for _, places, which in self._by_block(vectors, None):
            filled = which[places.lengths[which] > 0]
            size_bytes += int(places.lengths[filled].sum())
            requests += sum(1 for _ in _close_together(places, filled))
        return size_bytes, requests

    def pread(self, offset: int, length: int) -> bytes:
        """Read bytes, all of them."""
        assert offset >= len(MAGIC) or length == 0, "vectors begin after the magic"
        try:
            data = os.pread(self._fd, length, offset)
        except OSError as error:
            raise BitmapCorruptError(f"{self.place}: cannot be read: {error.strerror}") from error
        if len(data) != length:
            raise BitmapCorruptError(f"{self.place}: ends before byte {offset + length}")
        return data

    def check_bytes(self) -> None:
        """Check the whole file against its checksum."""
        if checksum_file(self.path) != self.info.checksum:
            raise BitmapCorruptError(f"{self.place}: the file's checksum is wrong; build it again or restore the file")

    def close(self) -> None:
        """Close the file; calling it again does nothing."""
        self._close()

    def _by_block(
        self, vectors: Sequence[int], count: ReadCount | None
    ) -> Iterator[tuple[int, Places, npt.NDArray[np.intp]]]:
        """Group vectors by block, in the order given: block, its places, which of them."""
        numbers = np.asarray(vectors, np.intp)
        if len(self.starts) == 2:
            yield 0, self.block(0, count), numbers
            return
        blocks = np.searchsorted(self.starts, numbers, "right") - 1
        for group in np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(blocks)) + 1):
            if len(group):
                block = int(blocks[group[0]])
                yield block, self.block(block, count), numbers[group] - int(self.starts[block])

    def _read_group(
        self, block: int, places: Places, group: npt.NDArray[np.intp], count: ReadCount
    ) -> Iterator[Bitmap]:
        first, last = group[0], group[-1]
        start = int(places.offsets[first])
        data = memoryview(self.pread(start, int(places.offsets[last] + places.lengths[last]) - start))
        count.add(len(group), int(places.lengths[group].sum()), 0, 1)
        for one in group.tolist():
            offset, length = int(places.offsets[one]) - start, int(places.lengths[one])
            part = data[offset : offset + length]
            number = int(self.starts[block]) + one
            if zlib.crc32(part) != int(places.checksums[one]):
                raise BitmapCorruptError(
                    f"{self.place}, vector {number}: the checksum is wrong; build it again or restore the file"
                )
            code = int(places.encodings[one])
            if code >= len(self.root.encodings):
                raise BitmapCorruptError(f"{self.place}, vector {number}: encoding number {code} has no name")
            yield Bitmap.decode(
                part,
                self.row_count,
                self.root.encodings[code],
                count=int(places.rows[one]),
                profile=profile_of(self.root.encodings[code]),
                place=f"{self.place}, vector {number}",
            )

    def _read_root(self) -> Root:
        size = os.fstat(self._fd).st_size
        if size != self.info.bytes:
            raise BitmapCorruptError(f"{self.place}: has {size} bytes, the catalogue says {self.info.bytes}")
        footer = self.pread(size - FOOTER.size, FOOTER.size) if size > FOOTER.size else b""
        version, row_count, offset, length, checksum, vector_count = read_footer(footer, size, self.place)
        data = self.pread(offset, length)
        self.opening.add(0, 0, length + FOOTER.size, 2)
        if zlib.crc32(data) != checksum:
            raise BitmapCorruptError(f"{self.place}: the directory's checksum is wrong")
        if version == 1:
            root, self._blocks[0] = read_directory_1(data, row_count, offset, vector_count, self.place)
        else:
            root = read_root(data, row_count, offset, vector_count, self.place)
        if (root.meta.column, root.meta.kind) != (self.info.column, self.info.kind):
            raise BitmapCorruptError(f"{self.place}: is an index of column {root.meta.column!r}, {root.meta.kind}")
        return root


class Segment(SegmentFile):
    """The vectors of one column: slot 0 is null, slot 1 NaN, the others a value or bin each, in ascending order.

    Each row is in exactly one slot; the layout says which stored vectors give the rows of slots.
    """

    def __init__(self, folder: Path, info: SegmentLike) -> None:
        super().__init__(folder, info)
        try:
            self._check()
        except BaseException:
            self.close()
            raise
        self._layout = LAYOUTS[self.root.meta.layout]()
        # What predicates say of slots, and the vectors that give slots: a query plans, then runs.
        self.truths: dict[Any, Any] = {}
        self.plans: dict[bytes, VectorPlan] = {}

    @property
    def slot_count(self) -> int:
        """Slots there are: null, NaN and one for each value or bin."""
        return self.root.meta.slot_count

    @property
    def holds_values(self) -> bool:
        """True when a slot is a value, False when it is a bin."""
        return self.root.meta.slots == "values"

    @property
    def values(self) -> pa.Array:
        """The value of each slot from FIRST_SLOT on, or the lower edge of each bin but the first."""
        first = FIRST_SLOT if self.holds_values else FIRST_SLOT + 1
        return self.labels(first, self.slot_count)

    def slot_rows(self) -> npt.NDArray[np.uint64]:
        """Count the rows of each slot, from the directory."""
        return self.column("slot_rows", 0, self.slot_count)

    def rows_in(self, slots: SlotMask) -> int:
        """Count the rows of slots, from the directory."""
        return self._total(slots, "slot_rows")

    def plan(self, slots: SlotMask) -> VectorPlan:
        """Choose the vectors that give the rows of `slots`, or those that give all others where these are smaller."""
        rows = self.rows_in(slots)
        if rows == 0 or rows == self.row_count:
            return VectorPlan((), rows > 0, 0)
        if self.root.meta.layout == "equality":
            wanted, every = self._total(slots, "lengths"), int(self.root.vector_bytes.sum())
            inverted = wanted * 2 > every
            return self._priced(self._combinations(~slots if inverted else slots), inverted)
        plans = [
            self._priced(self._combinations(~slots if inverted else slots), inverted) for inverted in (False, True)
        ]
        return min(plans, key=lambda plan: plan.bytes)

    def _priced(self, combinations: tuple[Combination, ...], inverted: bool) -> VectorPlan:
        named = sorted({vector for one in combinations for vector in one.vectors})
        return VectorPlan(combinations, inverted, *self.price_of(named))

    def run(self, plan: VectorPlan, count: ReadCount) -> Bitmap:
        """Read and join the vectors of a plan."""
        rows = [self._joined(one, count) for one in plan.combinations]
        found = union(rows) if rows else no_rows(self.row_count)
        return ~found if plan.inverted else found

    def narrow(self, narrowing: Narrowing, plan: VectorPlan, count: ReadCount) -> None:
        """Keep the rows that a plan gives."""
        if not plan.united or plan.bytes > UNION_BYTES:
            narrowing.within([self.run(plan, count)])
        elif plan.inverted:
            narrowing.outside(list(self.read_each(plan.united, count)))
        else:
            narrowing.within(list(self.read_each(plan.united, count)))

    def union(self, slots: SlotMask, count: ReadCount) -> Bitmap:
        """Give the rows of slots."""
        return self.run(self.plan(slots), count)

    def slot_vector(self, slot: int, count: ReadCount) -> Bitmap:
        """Give the rows of one slot, whatever the layout stores."""
        wanted = np.zeros(self.slot_count, bool)
        wanted[slot] = True
        return self.union(wanted, count)

    def validate(self) -> None:
        """Read and check every byte; raises BitmapCorruptError naming the column and file."""
        self.check_bytes()
        if self.root.meta.layout == "equality":
            # They hold as many rows as there are, so that all are there only if none is in two.
            if self._or(range(self.slot_count), ReadCount()).count() != self.row_count:
                raise BitmapCorruptError(f"{self.place}: a row is in two vectors")
            return
        seen = no_rows(self.row_count)
        for slot in range(self.slot_count):
            vector = self.slot_vector(slot, ReadCount())
            if seen & vector:
                raise BitmapCorruptError(f"{self.place}: a row is in two vectors")
            seen |= vector

    def _combinations(self, slots: SlotMask) -> tuple[Combination, ...]:
        missing = tuple(np.flatnonzero(slots[:FIRST_SLOT]).tolist())
        meta = self.root.meta
        edges = np.flatnonzero(np.diff(slots[FIRST_SLOT:].astype(np.int8), prepend=0, append=0)).tolist()
        runs = list(zip(edges[0::2], edges[1::2], strict=True))
        found = self._layout.combinations(runs, self.slot_count - FIRST_SLOT, meta.spans)
        shifted = [Combination(one.operation, tuple(v + FIRST_SLOT for v in one.vectors)) for one in found]
        return (*([Combination("unite", missing)] if missing else []), *shifted)

    def _joined(self, combination: Combination, count: ReadCount) -> Bitmap:
        if combination.operation == "unite":
            return self._or(combination.vectors, count)
        left, right = (self.read(vector, count) for vector in combination.vectors)
        return left & right if combination.operation == "intersect" else left - right

    def _or(self, vectors: Sequence[int], count: ReadCount) -> Bitmap:
        pending: list[Bitmap] = []
        pending_bytes = 0
        for vector in self.read_each(vectors, count):
            pending.append(vector)
            pending_bytes += vector.nbytes
            if pending_bytes > UNION_BYTES:
                pending = [union(pending)]
                pending_bytes = pending[0].nbytes
                if pending[0].count() == self.row_count:
                    break
        return union(pending) if pending else no_rows(self.row_count)

    def _total(self, slots: SlotMask, name: str) -> int:
        """Add up a column of the directory over slots; blocks wanted whole are known by the root."""
        if len(self.starts) == 2:
            return int(getattr(self.block(0), name)[: self.slot_count][slots].sum())
        totals = self.root.slot_rows if name == "slot_rows" else self.root.vector_bytes
        total = 0
        for number in np.unique(np.searchsorted(self.starts, np.flatnonzero(slots), "right") - 1).tolist():
            first, stop = int(self.starts[number]), int(self.starts[number + 1])
            part = slots[first:stop]
            if len(part) == stop - first and part.all():
                total += int(totals[number])
            else:
                total += int(getattr(self.block(number), name)[: len(part)][part].sum())
        return total

    def _check(self) -> None:
        root, meta = self.root, self.root.meta
        least = FIRST_SLOT + (meta.slots == "bins")
        known = meta.kind in KINDS and meta.slots in ("values", "bins") and meta.layout in LAYOUTS
        if not known or meta.slot_count < least:
            raise BitmapCorruptError(
                f"{self.place}: kind {meta.kind!r} with {meta.slot_count} slots is not known; a newer Esker may have"
                " written it"
            )
        spans = root.vector_count - meta.slot_count
        if len(meta.spans) != spans:
            raise BitmapCorruptError(f"{self.place}: {spans} vectors past the slots, and {len(meta.spans)} spans")
        rows = int(root.slot_rows.sum()) if not spans else int(self.slot_rows().sum())
        if rows != root.row_count:
            raise BitmapCorruptError(f"{self.place}: the vectors hold {rows} rows of {root.row_count}")
        if len(self.starts) == 2 and self.labels(least, meta.slot_count).null_count:
            raise BitmapCorruptError(f"{self.place}: a value or edge is null")


def _close_together(places: Places, which: npt.NDArray[np.intp]) -> Iterator[npt.NDArray[np.intp]]:
    """Cut vectors into groups that are read by one request each: ascending, close, and no more than a union holds."""
    if len(which) <= 1:
        if len(which):
            yield which
        return
    offsets = places.offsets[which].astype(np.int64)
    stops = offsets + places.lengths[which].astype(np.int64)
    gaps = offsets[1:] - stops[:-1]
    apart = (gaps < 0) | (gaps > GAP_BYTES) | (np.diff(offsets // UNION_BYTES) > 0)
    yield from np.split(which, np.flatnonzero(apart) + 1)
