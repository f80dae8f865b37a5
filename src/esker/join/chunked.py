"""The tape joins of Myllymaki and Livny, as source 003 (section 4) tells them: CDT-GH and CTT-GH.

Step I divides the build side by the hash of its keys, in as many scans as the disk is smaller than it: each scan
makes some partitions whole on the disk, and they go to tape, one behind the other. A build side that fits the disk is
scanned once and stays there. Step II reads the probe side once, in chunks that fill the disk, divided by the same hash;
each chunk is joined with every partition of the build side, read from where step I put it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from esker.core.batch import slices
from esker.core.byte_size import format_bytes
from esker.core.context import QueryContext
from esker.core.device_profile import DeviceProfile
from esker.errors import SpillError
from esker.join.account import Account, DiskSpace, Work
from esker.join.divide import blocks
from esker.join.limits import JoinLimits
from esker.join.part_join import Emitter, PartJoin
from esker.join.partitioned import PartitionedFile, Sizes
from esker.join.relation import Relation, TapeRelation
from esker.join.scratch import ScratchTape
from esker.storage.tape.motion import locate_seconds, transfer_seconds

# Partitions are this much smaller than memory: they differ in size, and whole ones should fill the disk well.
_FINER = 4
_PARTITIONS_MAX = 1 << 14


class ChunkedGraceJoin:
    """One run: `right` is the build side, `left` the probe side, `row_count` what the build's row ids stay below.

    With a `tape` the partitions of the build side go there when it outgrows the disk, or when that is cheaper than
    the small chunks it would leave room for (CTT-GH); without, a disk that is too small is an error (CDT-GH). Rows
    come out chunk by chunk, in a chunk by the hash of their keys.
    """

    def __init__(
        self,
        left: Relation,
        right: Relation,
        emitter: Emitter,
        row_count: int,
        limits: JoinLimits,
        account: Account,
        context: QueryContext,
        *,
        tape: ScratchTape | None = None,
        space: DiskSpace | None = None,
        divided: PartitionedFile | None = None,
        phases: tuple[str, str] = ("step I", "step II"),
    ) -> None:
        self._left, self._right = left, right
        self._limits = limits
        self._account = account
        self._context = context
        self._tape = tape
        self._phases = phases
        self._space = space or DiskSpace(limits.disk_bytes)
        self._parts = PartJoin(left, right, emitter, row_count, limits.memory_bytes, context)
        self._count = divided.count if divided is not None else partition_count(right.size_bytes, limits)
        # What each partition takes: guessed for the first scan of the build side, which counts all of them.
        self._sizes = np.full(self._count, right.size_bytes // self._count, np.int64)
        start = account.seconds
        self._reader, self._writer, self._joiner = (account.work(name, start) for name in ("read", "write", "join"))
        self._on_disk = divided
        self._on_tape: dict[int, TapeRelation] = {}

    def run(self) -> Iterator[pa.RecordBatch]:
        """Yield what the emitter makes of the matches."""
        try:
            if self._on_disk is None:
                self._divide_build()
                self._account.end_phase(self._phases[0])
            yield from self._join_chunks()
            self._account.end_phase(self._phases[1])
        finally:
            self.close()

    def join_divided(self, chunk: PartitionedFile) -> Iterator[pa.RecordBatch]:
        """Join a probe side that is on the disk, whole and divided as the build side is."""
        try:
            yield from self._join_chunk(chunk, last=True)
        finally:
            chunk.close()
            self.close()

    def close(self) -> None:
        """Free memory and disk; calling it again does nothing."""
        self._parts.close()
        if self._on_disk is not None:
            self._on_disk.close()

    def _divide_build(self) -> None:
        """Step I. The partitions of a scan go to tape while the next scan is under way."""
        first = 0
        while first < self._count:
            file = self._scan_build(first)
            self._account.counts["scans of the build side"] += 1
            if self._stays(file):
                self._on_disk = file
                return
            try:
                self._to_tape(file)
                first = file.stop
            finally:
                file.close()

    def _stays(self, file: PartitionedFile) -> bool:
        """Whether the build side is whole on the disk, and is best left there."""
        if file.first > 0 or file.stop < self._count or self._on_tape:
            return False
        probe_bytes, build_bytes = self._left.size_bytes, int(file.bytes.sum())
        return self._tape is None or keeps_on_disk(build_bytes, probe_bytes, self._limits, self._tape.tier.device)

    def _scan_build(self, first: int) -> PartitionedFile:
        """Make as many partitions as fit, from `first` on; the last ones are given up when the disk is full."""
        fitting = int(np.searchsorted(np.cumsum(self._sizes[first:]), self._space.free_bytes, "right"))
        stop = self._count if self._tape is None else min(first + max(fitting, 1), self._count)
        file = self._new_file(self._right, first, stop)
        counted = np.zeros(self._count, np.int64)
        try:
            for batch in self._pieces(self._right.scan(self._reader)):
                self._context.check()
                ids = file.partition_of(batch)
                sizes = file.sizes(batch, ids)
                counted += sizes
                file = self._make_room(file, sizes)
                self._put(int(sizes[file.first : file.stop].sum()), self._reader)
                file.add(batch, ids, sizes)
            file.seal()
        except BaseException:
            file.close()
            raise
        self._sizes = counted
        self._reader.settle()
        return file

    def _pieces(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cut batches so that one always fits on an empty disk."""
        for batch in batches:
            row_bytes = max(batch.nbytes / max(batch.num_rows, 1), 1.0)
            yield from slices(batch, max(int(self._limits.disk_bytes / row_bytes / 2), 1))

    def _make_room(self, file: PartitionedFile, sizes: Sizes) -> PartitionedFile:
        """Give up the last partitions until there is room; one larger than the disk goes to tape as it comes."""
        while (wanted := int(sizes[file.first : file.stop].sum())) > self._space.free_bytes:
            if self._tape is None or wanted > self._limits.disk_bytes:
                raise SpillError(
                    f"the build side of the join takes more than the {format_bytes(self._limits.disk_bytes)} of disk"
                    " a join may use; raise spill_limit=, or choose another algorithm="
                )
            if file.stop - file.first > 1:
                self._space.give(file.give_up_last(), self._reader)
                continue
            file.seal()
            self._to_tape(file)
            file.close()
            file = self._new_file(self._right, file.first, file.stop)
        return file

    def _to_tape(self, file: PartitionedFile) -> None:
        assert self._tape is not None, "partitions leave the disk only for tape"
        self._writer.wait(self._reader.now)
        for partition in range(file.first, file.stop):
            self._context.check()
            written = self._on_tape.setdefault(
                partition, TapeRelation(self._tape, self._right.schema, self._right.key_names)
            )
            for block in blocks(file.read(partition, self._writer), max(self._limits.memory_bytes // 2, 1)):
                written.append(block, self._writer)
            self._space.give(int(file.bytes[partition]), self._writer)

    def _join_chunks(self) -> Iterator[pa.RecordBatch]:
        """Step II. While a chunk is joined, the next one fills the room that its partitions leave."""
        stream = self._left.scan(self._reader)
        chunk_bytes = self._space.free_bytes // (2 if self._limits.halved else 1)
        batch = next(stream, None)
        while True:
            chunk = self._new_file(self._left, 0, self._count)
            try:
                batch = self._fill(chunk, batch, stream, chunk_bytes)
                self._account.counts["chunks of the probe side"] += 1
                self._joiner.wait(self._reader.now)
                yield from self._join_chunk(chunk, last=batch is None)
            finally:
                chunk.close()
            if batch is None:
                return

    def _join_chunk(self, chunk: PartitionedFile, *, last: bool) -> Iterator[pa.RecordBatch]:
        for partition in range(self._count):
            self._context.check()
            yield from self._join_partition(chunk, partition, last=last)
            self._space.give(int(chunk.bytes[partition]), self._joiner)
        self._joiner.settle()

    def _fill(
        self, chunk: PartitionedFile, batch: pa.RecordBatch | None, stream: Iterator[pa.RecordBatch], chunk_bytes: int
    ) -> pa.RecordBatch | None:
        """Fill a chunk; gives what did not fit of the last batch, or None at the end of the probe side."""
        filled = 0
        while batch is not None:
            self._context.check()
            row_bytes = max(batch.nbytes / max(batch.num_rows, 1), 1.0)
            rows = min(batch.num_rows, max(int((chunk_bytes - filled) / row_bytes), 0 if filled else 1))
            if rows:
                part = batch.slice(0, rows)
                ids = chunk.partition_of(part)
                sizes = chunk.sizes(part, ids)
                self._put(int(sizes.sum()), self._reader)
                chunk.add(part, ids, sizes)
                filled += int(row_bytes * rows)
            if rows < batch.num_rows:
                batch = batch.slice(rows)
                break
            batch = next(stream, None)
        chunk.seal()
        self._reader.settle()
        return batch

    def _join_partition(self, chunk: PartitionedFile, partition: int, *, last: bool) -> Iterator[pa.RecordBatch]:
        rows = int(chunk.rows[partition])
        if not rows and not (last and self._parts.keeps_right):
            return
        if self._on_disk is not None:
            right = self._on_disk.read(partition, self._joiner)
        else:
            right = self._on_tape[partition].scan(self._joiner)
        yield from self._parts.join(right, lambda: chunk.read(partition, self._joiner), rows, last=last)

    def _put(self, size_bytes: int, work: Work) -> None:
        self._space.take(size_bytes, work)
        work.transfer(self._limits.disk, "write", size_bytes)

    def _new_file(self, relation: Relation, first: int, stop: int) -> PartitionedFile:
        names = relation.key_names
        return PartitionedFile(relation.schema, names, self._count, self._limits, self._context, first=first, stop=stop)


def partition_count(build_bytes: int, limits: JoinLimits) -> int:
    """Say into how many partitions a build side is divided, so that each fits in memory."""
    return max(1, min(-(-_FINER * build_bytes // limits.memory_bytes), _PARTITIONS_MAX))


def chunk_count(build_bytes: int, probe_bytes: int, limits: JoinLimits, *, on_disk: bool) -> int:
    """Say in how many chunks the probe side is read."""
    room = limits.disk_bytes - (build_bytes if on_disk else 0)
    return max(1, math.ceil(probe_bytes / max(room // (2 if limits.halved else 1), 1)))


def part_requests(build_bytes: int, chunk_bytes: int, limits: JoinLimits) -> int:
    """Say how many reads of the disk joining a chunk takes: each partition lies in as many pieces as were flushed."""
    flushed = max(limits.memory_bytes // 2, 1)
    pieces = max(1, -(-build_bytes // flushed)) + max(1, -(-chunk_bytes // flushed))
    return partition_count(build_bytes, limits) * pieces


def keeps_on_disk(build_bytes: int, probe_bytes: int, limits: JoinLimits, tape: DeviceProfile) -> bool:
    """Whether a build side on the disk, and small chunks beside it, cost less than one on tape and large chunks."""
    if build_bytes >= limits.disk_bytes:
        return False
    chunks = chunk_count(build_bytes, probe_bytes, limits, on_disk=True)
    requests = part_requests(build_bytes, probe_bytes // chunks, limits)
    on_disk = chunks * (build_bytes / limits.disk.bytes_per_second + requests * limits.disk.request_seconds)
    passes = chunk_count(build_bytes, probe_bytes, limits, on_disk=False)
    back = locate_seconds(tape, build_bytes, 0)
    on_tape = (1 + passes) * transfer_seconds(tape, build_bytes) + passes * back
    return on_disk <= on_tape
