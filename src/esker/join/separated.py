"""Attribute-separation join as source 003 runs it: within limits of memory and disk, on tape where the disk is small.

Phase 1 (3.1) separates the keys: both sides are scanned once, selection and projection on the way; the rows stay where
they lie, their place is their id, and the keys J go to the disk, divided by hash, or to tape. Phase 2 (3.2) joins the
keys, as CDT-GH or CTT-GH would; its result is the join index (JRI). Phase 3 (3.3) is `Passes`, below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

import pyarrow as pa

from esker.core.context import QueryContext
from esker.join.account import DiskSpace, Work
from esker.join.chunked import ChunkedGraceJoin, keeps_on_disk, partition_count
from esker.join.decide import KeyReader
from esker.join.join_index import JoinIndex, JoinIndexBuilder
from esker.join.keyed import ROW_ID
from esker.join.limits import JoinLimits
from esker.join.materialise import materialise
from esker.join.orient import scratch_tape
from esker.join.part_join import IndexEmitter
from esker.join.partitioned import PartitionedFile
from esker.join.passes import Passes, choose_passes
from esker.join.problem import JoinProblem, Side
from esker.join.relation import Relation, TapeRelation
from esker.join.scratch import ScratchTape
from esker.join.work import key_bytes

# Of the free memory, what the pairs of the join index may take.
_INDEX_SHARE = 4
# A pair of row ids.
PAIR_BYTES = 16


class SeparatedJoin:
    """One run: `separate` and `join` give the join index, `materialise` the rows."""

    def __init__(self, problem: JoinProblem, context: QueryContext) -> None:
        self._problem = problem
        self._context = context
        self._account = problem.account
        self._limits = problem.limits_in(context)
        self._space = DiskSpace(self._limits.disk_bytes)
        self._stack = ExitStack()
        tape = scratch_tape(problem)
        self._tape = self._stack.enter_context(closing(ScratchTape(tape, context))) if tape is not None else None

    def run(self) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows."""
        problem = self._problem
        with self._stack:
            if problem.index is None:
                problem.index = self._decide()
            index = problem.index
            self._stack.callback(index.close)
            yield from self._materialise(index)

    def _decide(self) -> JoinIndex:
        """Phases 1 and 2: the smaller key relation is divided and held, the other one goes past it."""
        problem, context = self._problem, self._context
        sides = [problem.left, problem.right]
        sizes = [key_bytes(side.input, side.keys) for side in sides]
        flipped = sizes[0] < sizes[1]
        if flipped:
            sides.reverse()
            sizes.reverse()
        probe_bytes, build_bytes = sizes
        readers = [KeyReader(side, problem, context) for side in sides]
        count = partition_count(build_bytes, self._limits)
        both, build_on_disk = self._places(build_bytes, probe_bytes)
        probe = self._keys(readers[0], count, on_disk=both)
        build = self._keys(readers[1], count, on_disk=build_on_disk)
        self._separate(((sides[1], build), (sides[0], probe)))
        if build.file is None and probe.file is not None:
            probe.move_to_tape(self._account.work("move", self._account.seconds))
        counts = (problem.left.input.store.row_count, problem.right.input.store.row_count)
        share = context.budget.free_bytes // _INDEX_SHARE
        builder = JoinIndexBuilder(counts, context, share, keeps_pairs=not problem.layout.only_left)
        try:
            self._join(probe, build, builder, flipped=flipped)
            rows = [key.reader.rows() for key in (probe, build)]
            index = builder.finish(*(reversed(rows) if flipped else rows))
        except BaseException:
            builder.close()
            raise
        self._account.end_phase("join")
        return index

    def _places(self, build_bytes: int, probe_bytes: int) -> tuple[bool, bool]:
        """Whether both key relations go to the disk, and whether the build one does; else to tape."""
        both = build_bytes + probe_bytes <= self._limits.disk_bytes or self._tape is None
        if both or self._tape is None:
            return True, True
        return False, keeps_on_disk(build_bytes, probe_bytes, self._limits, self._tape.tier.device)

    def _keys(self, reader: KeyReader, count: int, *, on_disk: bool) -> _Keys:
        keys = _Keys(reader, count, self._limits, self._space, self._context, self._tape, on_disk=on_disk)
        self._stack.enter_context(closing(keys))
        return keys

    def _separate(self, sides: Sequence[tuple[Side, _Keys]]) -> None:
        """Phase 1: one side after the other, as one line of work; keys are written behind it."""
        scan, write = self._account.work("separate"), self._account.work("write keys")
        for side, keys in sides:
            for batch in keys.read(side, self._problem, self._context, scan):
                self._context.check()
                write.wait(scan.now)
                keys.add(batch, write)
            keys.finish(write)
        self._account.end_phase("separate")

    def _join(self, probe: _Keys, build: _Keys, builder: JoinIndexBuilder, *, flipped: bool) -> None:
        """Phase 2; of a join of keys only pairs come out, whatever the kind of the whole join."""
        emitter = IndexEmitter(replace(self._problem.layout, how="inner"), builder, flipped=flipped)
        join = ChunkedGraceJoin(
            probe.relation,
            build.relation,
            emitter,
            0,
            self._limits,
            self._account,
            self._context,
            tape=self._tape,
            space=self._space,
            divided=build.file,
            phases=("join", "join"),
        )
        for _ in join.run() if probe.file is None else join.join_divided(probe.file):
            raise AssertionError("a join of keys gives no rows")

    def _materialise(self, index: JoinIndex) -> Iterator[pa.RecordBatch]:
        """Phase 3: in one pass the rows come out in order; in several, pass by pass."""
        problem = self._problem
        chosen = choose_passes(problem, index.pair_count, self._limits)
        self._account.counts["passes"] = chosen.count
        if chosen.count > 1:
            yield from Passes(problem, index, chosen, self._limits, self._space, self._context, self._tape).run()
        else:
            work = self._account.work("materialise", self._account.seconds)
            work.transfer(self._limits.disk, "write", chosen.pass_bytes)
            work.transfer(self._limits.disk, "read", chosen.pass_bytes)
            yield from materialise(replace(problem, spent=problem.spent.on(work)), index, self._context)
        self._account.end_phase("materialise")


class _Keys:
    """The keys of one side with their row ids: `file` on the disk, divided, or else `relation` on tape."""

    def __init__(
        self,
        reader: KeyReader,
        count: int,
        limits: JoinLimits,
        space: DiskSpace,
        context: QueryContext,
        tape: ScratchTape | None,
        *,
        on_disk: bool,
    ) -> None:
        self.reader = reader
        self._limits = limits
        self._space = space
        self._tape = tape
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._schema = pa.schema([(ROW_ID, pa.uint64()), *[reader.schema.field(name) for name in reader.names]])
        self.file = PartitionedFile(self._schema, reader.names, count, limits, context) if on_disk else None
        self._on_tape = TapeRelation(tape, self._schema, reader.names) if tape is not None else None

    @property
    def relation(self) -> Relation:
        """The keys as a relation; on the disk only its schema and keys are asked for."""
        return _Divided(self.file, self._schema, self.reader.names) if self.file is not None else self._tape_keys()

    def read(self, side: Side, problem: JoinProblem, context: QueryContext, work: Work) -> Iterator[pa.RecordBatch]:
        """Scan the side and yield its keys, charging `work`."""
        self.reader = KeyReader(side, problem, context, problem.spent.on(work))
        for batch in self.reader.batches():
            columns = [batch.column(len(self.reader.names)), *batch.columns[:-1]]
            yield pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def add(self, batch: pa.RecordBatch, work: Work) -> None:
        """Put keys where they belong; a disk that proves too small gives all of them to tape."""
        if self.file is not None:
            ids = self.file.partition_of(batch)
            sizes = self.file.sizes(batch, ids)
            size = int(sizes.sum())
            if size <= self._space.free_bytes or self._tape is None:
                self._space.take(size, work)
                work.transfer(self._limits.disk, "write", size)
                self.file.add(batch, ids, sizes)
                return
            self.move_to_tape(work)
        self._held.append(batch)
        self._held_bytes += batch.nbytes
        if self._held_bytes >= self._limits.memory_bytes // 2:
            self._flush(work)

    def move_to_tape(self, work: Work) -> None:
        """Write what is on the disk to tape instead."""
        file, self.file = self.file, None
        assert file is not None
        file.seal()
        for partition in range(file.count):
            for batch in file.read(partition, work):
                self._tape_keys().append([batch], work)
        self._space.give(int(file.bytes.sum()), work)
        file.close()

    def finish(self, work: Work) -> None:
        """Write what is held; the keys can be read after it."""
        if self.file is not None:
            self.file.seal()
        else:
            self._flush(work)
        work.settle()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def _flush(self, work: Work) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            self._tape_keys().append(held, work)

    def _tape_keys(self) -> TapeRelation:
        assert self._on_tape is not None, "keys leave the disk only for tape"
        return self._on_tape


class _Divided(Relation):
    """Keys on the disk, already divided."""

    def __init__(self, file: PartitionedFile, schema: pa.Schema, key_names: list[str]) -> None:
        self._file = file
        self.schema = schema
        self.key_names = key_names

    @property
    def size_bytes(self) -> int:
        return int(self._file.bytes.sum())

    def scan(self, work: Work) -> Iterator[pa.RecordBatch]:
        for partition in range(self._file.count):
            yield from self._file.read(partition, work)
