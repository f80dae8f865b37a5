"""The materialisation of source 003 (3.3) when what passes through the disk does not fit it at once.

The rows of one side are read in their order and written with the row ids of their partners (RC). When a pass has its
share of the disk, RC is sorted by those ids and merged with the other side, read in its order. The loop printed in the
paper merges only when the disk is full, and so never outputs the last partial RC; here the last pass is one like the
others. It also fills each pass to the brim; split evenly, the same number of passes winds the tape back behind fills.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from esker.core.batch import plain_type
from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.join.account import DiskSpace
from esker.join.cursor import PairCursor
from esker.join.held_rows import HeldRows
from esker.join.join_index import JoinIndex
from esker.join.layout import RESERVED
from esker.join.limits import JoinLimits
from esker.join.output import Matched, Output
from esker.join.problem import JoinProblem, Side
from esker.join.reading import read_rows
from esker.join.relation import TapeRelation
from esker.join.row_marks import RowMarks
from esker.join.scans import Scans
from esker.join.scratch import ScratchTape
from esker.join.sorted_runs import SortedRuns, ids_of
from esker.join.work import held_bytes

# A pair of row ids, and what each row of RC has beside its columns.
PAIR_BYTES = 16
# Of the free memory, what sorting RC may take, and what reading the join index may.
_SORT_SHARE, _INDEX_SHARE = 4, 8
_NO_ROWS = np.zeros(0, np.int64)
_OTHER_ID, _OWN_ID = f"{RESERVED}other_row", f"{RESERVED}own_row"


@dataclass(frozen=True)
class Chosen:
    """How the payload is put together: `flipped` when the left side's rows pass through the disk.

    `count` passes of at most `pass_bytes`; the join index waits on the disk, or on tape when it would take half of it.
    """

    count: int
    pass_bytes: int
    pass_pairs: int
    flipped: bool
    index_on_disk: bool


def choose_passes(problem: JoinProblem, pair_count: int, limits: JoinLimits) -> Chosen:
    """Choose the side that passes through the disk, by what scanning both sides then costs."""
    if not problem.layout.makes_pairs:
        return Chosen(1, 0, pair_count, flipped=False, index_on_disk=True)
    index_bytes = PAIR_BYTES * pair_count
    on_disk = 2 * index_bytes <= limits.disk_bytes
    room = max(limits.disk_bytes - (index_bytes if on_disk else 0), 1)
    found = []
    for flipped, (own, other) in enumerate(((problem.right, problem.left), (problem.left, problem.right))):
        width = _row_bytes(own)
        count = max(1, math.ceil(pair_count * width / room))
        pairs = -(-pair_count // count) if limits.even_passes else max(room // width, 1)
        seconds = Scans.of(own).first.seconds + Scans.of(other).times(count).seconds
        found.append((seconds, count, Chosen(count, min(pairs, pair_count) * width, pairs, bool(flipped), on_disk)))
    # Output in order needs the right side on the disk; the left one must be worth losing it.
    kept, turned = found
    return turned[2] if turned[:2] < kept[:2] and kept[1] > 1 else kept[2]


def _row_bytes(side: Side) -> int:
    rows = max(side.input.candidate_count, 1)
    return PAIR_BYTES + (held_bytes(side.input, side.columns) // rows if side.columns else 0)


class Passes:
    """One run; see above. Rows come out pass by pass, in a pass by the row ids of the side that is merged with."""

    def __init__(
        self,
        problem: JoinProblem,
        index: JoinIndex,
        chosen: Chosen,
        limits: JoinLimits,
        space: DiskSpace,
        context: QueryContext,
        tape: ScratchTape | None,
    ) -> None:
        self._problem = problem.flipped() if chosen.flipped else problem
        self._index = index
        self._chosen = chosen
        self._limits = limits
        self._space = space
        self._context = context
        self._tape = tape if not chosen.index_on_disk else None
        account = problem.account
        self._fill, self._merge = (account.work(name, account.seconds) for name in ("fill", "merge"))
        self._output = Output(self._problem.layout, context)
        own, other = (index.left_rows, index.left_matched), (index.right_rows, index.right_matched)
        if not chosen.flipped:
            own, other = other, own
        self._own_lone, self._other_lone = (rows - matched for rows, matched in (own, other))
        self._own_rows = own[0] if self._problem.layout.keeps_right else own[1]
        fields = [pa.field(name, pa.uint64()) for name in (_OTHER_ID, _OWN_ID)]
        side = self._problem.right
        store = side.input.store.schema
        payload = [pa.field(name, plain_type(store.field(name).type)) for name in side.columns]
        self._schema = pa.schema([*fields, *payload])

    def run(self) -> Iterator[pa.RecordBatch]:
        """Yield the joined rows."""
        pieces = _Pieces(self._pieces())
        first = True
        while first or pieces.more:
            runs = SortedRuns("join rows", self._schema, self._context, self._memory_bytes)
            marks = RowMarks(self._problem.left.input.store.row_count)
            held = self._context.budget.reserve("join rows", marks.nbytes)
            try:
                filled = 0
                for piece in pieces.take(self._chosen.pass_pairs):
                    if isinstance(piece, _Lone):
                        yield from self._output.right_only(HeldRows([piece.rows]), np.arange(piece.rows.num_rows))
                        continue
                    runs.add(piece)
                    marks.add(ids_of(piece, 0))
                    filled += piece.nbytes
                    self._space.take(min(piece.nbytes, self._space.free_bytes), self._fill)
                    self._fill.transfer(self._limits.disk, "write", piece.nbytes)
                runs.finish()
                self._fill.settle()
                self._merge.wait(self._fill.now)
                yield from self._merge_with(runs, marks.to_row_set(), first=first)
                self._merge.transfer(self._limits.disk, "read", filled)
                self._merge.settle()
                self._space.give(self._space.size_bytes - self._space.free_bytes, self._merge)
                self._fill.wait(self._merge.now)
            finally:
                runs.close()
                held.release()
            first = False

    @property
    def _memory_bytes(self) -> int:
        return min(2 * self._limits.memory_bytes, self._context.budget.free_bytes // _SORT_SHARE)

    def _merge_with(self, runs: SortedRuns, rows: RowSet, *, first: bool) -> Iterator[pa.RecordBatch]:
        """Read the other side's partners of a pass, and with the first pass its rows without any."""
        problem, lone = self._problem, RowSet.empty()
        if first and problem.layout.keeps_left:
            lone = self._other_lone
        cursor = PairCursor(runs.merged(self._context.batch_rows))
        side = problem.left
        spent = problem.spent.on(self._merge)
        for found in read_rows(side.input.store, rows | lone, side.columns, self._context, spent):
            pairs = (
                Matched(np.searchsorted(found.row_ids, ids_of(part, 0)), HeldRows([part]), np.arange(part.num_rows))
                for part in cursor.through(found.row_ids[-1])
            )
            alone = np.flatnonzero(lone.contains_each(found.row_ids))
            if self._chosen.flipped:  # a key of both sides is the right one's then, which these rows have not
                yield from self._output.joined(found.batch, pairs, _NO_ROWS)
                yield from self._output.left_only(found.batch, alone)
            else:
                yield from self._output.joined(found.batch, pairs, alone)

    def _pieces(self) -> Iterator[pa.RecordBatch | _Lone]:
        """Yield RC in the order of the side it is made of, and that side's rows without a partner."""
        side = self._problem.right
        cursor = PairCursor(self._pairs())
        spent = self._problem.spent.on(self._fill)
        rows_max = max(self._memory_bytes // 8 // _row_bytes(side), 1)
        for found in read_rows(side.input.store, self._own_rows, side.columns, self._context, spent):
            for part in cursor.through(found.row_ids[-1], rows_max):
                own = part.column(0)
                places = np.searchsorted(found.row_ids, own.to_numpy())
                columns = found.batch.take(pa.array(places)).columns
                yield pa.RecordBatch.from_arrays([part.column(1), own, *columns], schema=self._schema)
            if self._problem.layout.keeps_right:
                lone = self._own_lone.contains_each(found.row_ids)
                if lone.any():
                    yield _Lone(found.batch.filter(pa.array(lone)))

    def _pairs(self) -> Iterator[pa.RecordBatch]:
        """The join index sorted by the side that passes through the disk, that side first."""
        share = self._context.budget.free_bytes // _INDEX_SHARE
        rows = self._context.batch_rows
        index = self._index
        pairs = index.by_left(rows) if self._chosen.flipped else index.by_right(rows, self._context, share)
        size = PAIR_BYTES * index.pair_count
        if self._tape is None:
            self._space.take(min(size, self._space.free_bytes), self._fill)
            self._fill.transfer(self._limits.disk, "write", size)
            self._fill.transfer(self._limits.disk, "read", size)
            yield from pairs
            return
        kept: TapeRelation | None = None
        for batch in pairs:
            kept = kept or TapeRelation(self._tape, batch.schema, [])
            kept.append([batch], self._fill)
        if kept is not None:
            yield from kept.scan(self._fill)


@dataclass(frozen=True)
class _Lone:
    rows: pa.RecordBatch


class _Pieces:
    """A stream of pieces, cut where a pass has its share."""

    def __init__(self, stream: Iterator[pa.RecordBatch | _Lone]) -> None:
        self._stream = stream
        self._next = next(stream, None)

    @property
    def more(self) -> bool:
        return self._next is not None

    def take(self, rows: int) -> Iterator[pa.RecordBatch | _Lone]:
        """Yield pieces of `rows` rows of RC in all; those without a partner come along."""
        while self._next is not None:
            piece = self._next
            if isinstance(piece, _Lone):
                yield piece
            elif not rows:
                return
            elif piece.num_rows > rows:
                yield piece.slice(0, rows)
                self._next = piece.slice(rows)
                return
            else:
                yield piece
                rows -= piece.num_rows
            self._next = next(self._stream, None)
