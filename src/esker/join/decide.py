"""The key phase of an attribute-separation join: both sides' keys, and nothing else, become a join index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.memory import Reservation
from esker.core.row_set import RowSet
from esker.join.divide import SHARES, Part, block_bytes, blocks, divide, keep_for_rereading, load
from esker.join.join_index import JoinIndex, JoinIndexBuilder
from esker.join.key_filter import KeyFilter
from esker.join.key_join import MATCH_BYTES_PER_ROW, KeyTable, concat_column, drop_null_keys
from esker.join.problem import JoinProblem, Side
from esker.join.reading import Spent, deciding_rows, key_arrays

_ROW_ID = "row_id"
# Matching takes several times what narrow keys do: blocks of them are that much smaller.
_KEY_SHARE = 4


def decide(problem: JoinProblem, context: QueryContext) -> JoinIndex:
    """Join the keys of both sides; keys that outgrow their share of the budget are divided and spilled."""
    sides = (problem.left, problem.right)
    readers = [KeyReader(side, problem, context) for side in sides]
    counts = (problem.left.input.store.row_count, problem.right.input.store.row_count)
    share = context.budget.free_bytes // SHARES
    builder = JoinIndexBuilder(counts, context, share, keeps_pairs=not problem.layout.only_left)
    try:
        with context.budget.reserve("join keys") as held, _filtered(readers, problem, context):
            _match(readers, builder, held, share, context)
        index = builder.finish(readers[0].rows(), readers[1].rows())
    except BaseException:
        builder.close()
        raise
    context.log.emit(
        "join_index",
        pairs=index.pair_count,
        left_rows=len(index.left_rows),
        left_matched=len(index.left_matched),
        right_rows=len(index.right_rows),
        right_matched=len(index.right_matched),
        spilled_bytes=index.spilled_bytes,
    )
    return index


class KeyReader:
    """The keys of a side with their row ids, and on the way the set of rows that passed its filter."""

    def __init__(self, side: Side, problem: JoinProblem, context: QueryContext, spent: Spent | None = None) -> None:
        self._side = side
        self._types = problem.layout.key_types
        self._context = context
        self._spent = spent or problem.spent
        self._passed: list[RowSet] = []
        self.collected: KeyFilter | None = None
        self.filter: KeyFilter | None = None
        self.names = [f"key_{number}" for number in range(len(self._types))]
        fields = [*zip(self.names, self._types, strict=True), (_ROW_ID, pa.uint64())]
        self.schema = pa.schema(fields)

    @property
    def candidate_count(self) -> int:
        """How many rows there are before the filter."""
        return self._side.input.candidate_count

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the keys in row order; rows with a null key are left out, as they match nothing."""
        side = self._side
        filter_ = self.filter if self.filter is not None and self.filter.complete else None
        input_ = side.input if filter_ is None else filter_.narrow(side.input, side.keys)
        for found in deciding_rows(input_, side.keys, side.keys, self._context, self._spent, side.seen):
            if side.input.predicate is not None:
                self._passed.append(RowSet.of(found.row_ids))
            columns = [*key_arrays(found.batch, side.keys, self._types), pa.array(found.row_ids, pa.uint64())]
            batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
            mask = drop_null_keys(columns[:-1])
            if self.collected is not None:
                self.collected.add(columns[:-1])
            if filter_ is not None and (known := filter_.may_match(columns[:-1])) is not None:
                mask = known if mask is None else known & mask
            yield batch if mask is None else batch.filter(pa.array(mask))
        if self.collected is not None:
            self.collected.finish()

    def rows(self) -> RowSet:
        """The rows that passed the side's filter, once all were read."""
        if self._side.input.predicate is None:
            return self._side.input.candidates
        if not self._passed:
            return RowSet.empty()
        runs = [rows.runs() for rows in self._passed]
        return RowSet.from_runs(np.concatenate([run[0] for run in runs]), np.concatenate([run[1] for run in runs]))


@contextmanager
def _filtered(readers: list[KeyReader], problem: JoinProblem, context: QueryContext) -> Iterator[None]:
    """Let what the smaller side's keys are spare reads of the larger, unless all of its rows come out anyway."""
    small = 0 if readers[0].candidate_count < readers[1].candidate_count else 1
    layout, nothing = problem.layout, np.zeros(0, np.bool_)
    lone = (layout.lone_left(nothing) if layout.how != "semi" else None), layout.lone_right(nothing)
    if lone[1 - small] is not None:
        yield
        return
    filter_ = KeyFilter(layout.key_types, readers[small].candidate_count, context)
    readers[small].collected = readers[1 - small].filter = filter_
    try:
        yield
        filter_.log(context)
    finally:
        filter_.close()


def _match(
    readers: list[KeyReader], builder: JoinIndexBuilder, held: Reservation, share: int, context: QueryContext
) -> None:
    gathered: list[list[pa.RecordBatch]] = [[], []]
    streams = [reader.batches() for reader in readers]
    size = 0
    # The smaller side comes first: its keys spare reads of the other.
    for side in (0, 1) if readers[0].candidate_count < readers[1].candidate_count else (1, 0):
        for batch in streams[side]:
            gathered[side].append(batch)
            size += 2 * batch.nbytes + MATCH_BYTES_PER_ROW * batch.num_rows
            if size > 2 * share or not held.try_resize(size):
                # What was gathered goes on into the shuffle, ahead of what is still to be read.
                held.release()
                row_bytes = sum(batch.nbytes for batch in gathered[side]) // sum(map(len, gathered[side]))
                parts = [chain(_drain(batches), stream) for batches, stream in zip(gathered, streams, strict=True)]
                _match_divided(readers, parts, row_bytes, builder, context)
                return
    _match_whole(readers[0], gathered[0], gathered[1], builder)


def _match_whole(
    reader: KeyReader, left: list[pa.RecordBatch], right: list[pa.RecordBatch], builder: JoinIndexBuilder
) -> None:
    if not left or not right:
        return
    key_count = len(reader.names)
    one, other = ([concat_column(side, index) for index in range(key_count + 1)] for side in (left, right))
    matches = KeyTable(other[:-1]).match(one[:-1])
    builder.add(matches, one[-1].to_numpy(), other[-1].to_numpy())


def _match_divided(
    readers: list[KeyReader],
    streams: list[chain[pa.RecordBatch]],
    row_bytes: int,
    builder: JoinIndexBuilder,
    context: QueryContext,
) -> None:
    names = readers[0].names
    right_bytes = (row_bytes + MATCH_BYTES_PER_ROW) * readers[1].candidate_count
    schemas = readers[0].schema, readers[1].schema
    for part in divide(streams[0], streams[1], schemas, (names, names), right_bytes, context):
        if part.fits:
            _match_part(part, readers, builder, context)
        else:
            _match_blocks(part, readers, builder, context)


def _match_part(part: Part, readers: list[KeyReader], builder: JoinIndexBuilder, context: QueryContext) -> None:
    right = list(load(part.right))
    if not right:
        return
    for left in blocks(load(part.left), _key_block_bytes(context)):
        _match_whole(readers[0], left, right, builder)


def _match_blocks(part: Part, readers: list[KeyReader], builder: JoinIndexBuilder, context: QueryContext) -> None:
    kept = keep_for_rereading(part.left, readers[0].schema, context)
    try:
        for right in blocks(load(part.right), _key_block_bytes(context)):
            for left in blocks(kept.batches(), _key_block_bytes(context)):
                _match_whole(readers[0], left, right, builder)
    finally:
        kept.close()


def _key_block_bytes(context: QueryContext) -> int:
    return max(block_bytes(context) // _KEY_SHARE, 1)


def _drain(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while batches:
        yield batches.pop(0)
