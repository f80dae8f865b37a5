"""The last phase of an attribute-separation join: each side's rows once, put together through the join index.

The right side's rows are what source 003 calls RC. They are held when they fit; if not, they are written for every
pair, with the left row id, sorted by it and merged with the left side. The loop printed in the paper drops the last
partial RC; here what is left in memory is the last run of the sort, so nothing is dropped. Where rows have many
partners, RC by pair would be many times the rows: then they are written once, and looked up in the mapped file. So
they are, too, where that file stays in the system's cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from esker.core.batch import plain_type
from esker.core.context import QueryContext
from esker.core.memory import Reservation, file_cache_bytes
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.join.account import waits
from esker.join.cursor import PairCursor
from esker.join.held_rows import HeldRows, copies_held
from esker.join.join_index import JoinIndex
from esker.join.layout import RESERVED
from esker.join.output import Job, Matched, Output
from esker.join.problem import JoinProblem
from esker.join.reading import read_rows
from esker.join.row_marks import RowPlaces
from esker.join.sorted_runs import Ids, SortedRuns, ids_of
from esker.join.spill_file import SpillFile, tell_spill
from esker.join.work import (
    GATHER_BYTES_PER_SECOND,
    MERGE_BYTES_PER_SECOND,
    SPILL_BYTES_PER_SECOND,
    payload_bytes,
)

# RC by pair may hold a row this many times, on average; beyond that rows are kept once and looked up.
_COPIES_MAX = 4
# Of what the system has for files, what one that is looked up may take.
_CACHE_SHARE = 2
# Of the free bytes, what held rows may take, and what each of the sorts may; both sides' reads need the rest.
_HELD_SHARE = 3
_RUNS_SHARE = 8
_SPILLED = "the right side's rows"
_NO_IDS = np.zeros(0, np.uint64)
_LEFT_ID, _RIGHT_ID = f"{RESERVED}left_row", f"{RESERVED}right_row"


def left_rows_needed(problem: JoinProblem, index: JoinIndex) -> RowSet:
    """The left rows whose payload the output needs."""
    if problem.layout.how == "anti":
        return index.left_rows - index.left_matched
    return index.left_rows if problem.layout.keeps_left else index.left_matched


def right_rows_needed(problem: JoinProblem, index: JoinIndex) -> RowSet:
    """The right rows whose payload the output needs."""
    if problem.layout.only_left:
        return RowSet.empty()
    return index.right_rows if problem.layout.keeps_right else index.right_matched


def materialise(problem: JoinProblem, index: JoinIndex, context: QueryContext) -> Iterator[pa.RecordBatch]:
    """Yield the output, sorted by left row id and then right; unmatched right rows last, in their order."""
    output = Output(problem.layout, context)
    if problem.layout.only_left:
        for found in _left(problem, index, context):
            yield from output.left_only(found.batch, np.arange(len(found.row_ids)))
        return
    with context.budget.reserve("join rows") as held:
        ids, kept, rest = _hold(problem, index, held, context)
        if rest is None:
            yield from _with_held(problem, index, output, np.concatenate(ids or [_NO_IDS]), HeldRows(kept), context)
            return
        held.release()
        free_bytes = context.budget.free_bytes
        fetched = chain(_drain(ids, kept), rest)
        if looks_up(problem, index.pair_count, len(right_rows_needed(problem, index))):
            yield from _with_mapped(problem, index, output, fetched, free_bytes, context)
        else:
            yield from _with_sorted(problem, index, output, fetched, free_bytes, context)


def looks_up(problem: JoinProblem, pair_count: int, right_count: int) -> bool:
    """Whether right rows that memory does not hold are written once and looked up in the mapped file.

    That is quickest while the file stays in the system's cache; where it does not, rows are sorted by pair, unless
    each has so many partners that sorting would write them over and over.
    """
    if pair_count > _COPIES_MAX * right_count:
        return True
    return payload_bytes(problem.right, right_count) <= file_cache_bytes() // _CACHE_SHARE


def put_together_seconds(problem: JoinProblem, pair_count: int, right_count: int, context: QueryContext) -> float:
    """Say how long it takes to put so many pairs of so many right rows together, once they are read."""
    left, right = problem.left, problem.right
    right_bytes = payload_bytes(right, right_count)
    copied = payload_bytes(left, pair_count) + payload_bytes(right, pair_count)
    seconds = copied / GATHER_BYTES_PER_SECOND
    held = copies_held(pa.schema(_plain(right.input.store.schema, right.columns))) * right_bytes
    if problem.layout.only_left or held <= context.budget.free_bytes // _HELD_SHARE:
        return seconds
    if looks_up(problem, pair_count, right_count):
        return seconds + right_bytes / SPILL_BYTES_PER_SECOND
    return seconds + payload_bytes(right, pair_count) / MERGE_BYTES_PER_SECOND


def _left(problem: JoinProblem, index: JoinIndex, context: QueryContext) -> Iterator[RowBatch]:
    side = problem.left
    return read_rows(side.input.store, left_rows_needed(problem, index), side.columns, context, problem.spent)


def _hold(
    problem: JoinProblem, index: JoinIndex, held: Reservation, context: QueryContext
) -> tuple[list[Ids], list[pa.RecordBatch], Iterator[RowBatch] | None]:
    """Read the right rows until they outgrow their share of what is free; what is still to come is the third value."""
    side = problem.right
    rows = right_rows_needed(problem, index)
    stream = read_rows(side.input.store, rows, side.columns, context, problem.spent)
    ids: list[Ids] = []
    kept: list[pa.RecordBatch] = []
    limit, size = context.budget.free_bytes // _HELD_SHARE, 0
    for found in stream:
        ids.append(found.row_ids)
        kept.append(found.batch)
        size += _held_bytes(found)
        if size > limit or not held.try_resize(size):
            return ids, kept, stream
    return ids, kept, None


def _held_bytes(found: RowBatch) -> int:
    """What rows take in memory: row ids twice, for the copy that makes one run of them."""
    size: int = copies_held(found.batch.schema) * found.batch.nbytes + 2 * found.row_ids.nbytes
    return size


def _with_held(
    problem: JoinProblem, index: JoinIndex, output: Output, ids: Ids, right: HeldRows, context: QueryContext
) -> Iterator[pa.RecordBatch]:
    """Stream the left rows past the right ones in memory."""
    jobs = _held_jobs(problem, index, output, ids, right, context)
    if waits(problem.left.input.store):
        # What is ready is not kept for what may be ready tomorrow.
        yield from (job() for job in jobs)
    else:
        yield from output.ahead(jobs)


def _held_jobs(
    problem: JoinProblem, index: JoinIndex, output: Output, ids: Ids, right: HeldRows, context: QueryContext
) -> Iterator[Job]:
    cursor = PairCursor(index.by_left(context.batch_rows))
    right_places = RowPlaces(ids)
    for found in _left(problem, index, context):
        places = RowPlaces(found.row_ids)
        pairs = (
            Matched(places.of(ids_of(part, 0)), right, right_places.of(ids_of(part, 1)))
            for part in cursor.through(found.row_ids[-1])
        )
        yield from output.jobs(found.batch, pairs, _unmatched(problem, index, found.row_ids))
    if problem.layout.keeps_right:
        yield from output.right_jobs(right, np.flatnonzero(~index.right_matched.contains_each(ids)))


def _with_sorted(
    problem: JoinProblem,
    index: JoinIndex,
    output: Output,
    fetched: Iterable[RowBatch],
    free_bytes: int,
    context: QueryContext,
) -> Iterator[pa.RecordBatch]:
    """Write the right rows once for each pair, sorted by left row, and merge them with the left rows."""
    sorted_right = _SortedRight(problem, index, context)
    try:
        sorted_right.fill(fetched)
        needed = _HELD_SHARE * sorted_right.held_bytes
        tell_spill(_SPILLED, sorted_right.spilled_bytes, needed, free_bytes, context)
        cursor = PairCursor(sorted_right.pairs.merged(context.batch_rows))
        for found in _left(problem, index, context):
            places = RowPlaces(found.row_ids)
            pairs = (
                Matched(places.of(ids_of(part, 0)), HeldRows([part]), np.arange(part.num_rows))
                for part in cursor.through(found.row_ids[-1])
            )
            yield from output.joined(found.batch, pairs, _unmatched(problem, index, found.row_ids))
        for batch in sorted_right.unmatched.merged(context.batch_rows):
            yield from output.right_only(HeldRows([batch]), np.arange(batch.num_rows))
    finally:
        sorted_right.close()


def _with_mapped(
    problem: JoinProblem,
    index: JoinIndex,
    output: Output,
    fetched: Iterable[RowBatch],
    free_bytes: int,
    context: QueryContext,
) -> Iterator[pa.RecordBatch]:
    """Write the right rows once, and take them from the mapped file as if they were held."""
    side = problem.right
    file = SpillFile("join-rows", pa.schema(_plain(side.input.store.schema, side.columns)), context)
    ids: list[Ids] = []
    size = 0
    try:
        for found in fetched:
            ids.append(found.row_ids)
            size += _held_bytes(found)
            file.write(pa.RecordBatch.from_arrays(found.batch.columns, schema=file.schema))
        tell_spill(_SPILLED, file.seal(), _HELD_SHARE * size, free_bytes, context)
        right = HeldRows(file.batches())
        yield from _with_held(problem, index, output, np.concatenate(ids), right, context)
    finally:
        file.close()


class _SortedRight:
    """RC: the right rows by pair, sorted by left row id; and those without a partner, by their own."""

    def __init__(self, problem: JoinProblem, index: JoinIndex, context: QueryContext) -> None:
        side = problem.right
        self._index = index
        self._context = context
        self._keeps_right = problem.layout.keeps_right
        share = context.budget.free_bytes // _RUNS_SHARE
        schema = pa.schema(
            [(_LEFT_ID, pa.uint64()), (_RIGHT_ID, pa.uint64()), *_plain(side.input.store.schema, side.columns)]
        )
        self.pairs = SortedRuns("join rows", schema, context, share)
        self.unmatched = SortedRuns("unmatched rows", schema, context, share // 2)
        # What the rows would take if they were held.
        self.held_bytes = 0

    def fill(self, fetched: Iterable[RowBatch]) -> None:
        """Take every right row once, in row-id order."""
        share = self._context.budget.free_bytes // _RUNS_SHARE
        cursor = PairCursor(self._index.by_right(self._context.batch_rows, self._context, share))
        for found in fetched:
            self.held_bytes += _held_bytes(found)
            rows_max = max(share // _RUNS_SHARE // max(found.batch.nbytes // len(found.row_ids), 1), 1)
            own = RowPlaces(found.row_ids)
            for part in cursor.through(found.row_ids[-1], rows_max):
                places = pa.array(own.of(ids_of(part, 0)))
                self._add(self.pairs, part.column(1), part.column(0), found.batch.take(places))
            if self._keeps_right:
                mask = pa.array(~self._index.right_matched.contains_each(found.row_ids))
                ids = pa.array(found.row_ids).filter(mask)
                self._add(self.unmatched, ids, ids, found.batch.filter(mask))
        self.pairs.finish()
        self.unmatched.finish()

    @property
    def spilled_bytes(self) -> int:
        return self.pairs.spilled_bytes + self.unmatched.spilled_bytes

    def close(self) -> None:
        self.pairs.close()
        self.unmatched.close()

    def _add(self, runs: SortedRuns, first: pa.Array, second: pa.Array, rows: pa.RecordBatch) -> None:
        runs.add(pa.RecordBatch.from_arrays([first, second, *rows.columns], schema=runs.schema))


def _plain(schema: pa.Schema, columns: Sequence[str]) -> list[pa.Field]:
    return [pa.field(name, plain_type(schema.field(name).type)) for name in columns]


def _unmatched(problem: JoinProblem, index: JoinIndex, ids: Ids) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if not problem.layout.keeps_left:
        return np.zeros(0, np.int64)
    return np.flatnonzero(~index.left_matched.contains_each(ids))


def _drain(ids: list[Ids], batches: list[pa.RecordBatch]) -> Iterator[RowBatch]:
    while batches:
        yield RowBatch(ids.pop(0), batches.pop(0))
