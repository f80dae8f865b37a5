"""The join index: pairs of row ids whose keys are equal (source 003's JRI), sorted, spilled when it is big."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.memory import Reservation
from esker.core.row_set import RowSet
from esker.join.key_join import Matches
from esker.join.row_marks import RowMarks
from esker.join.sorted_runs import Ids, SortedRuns, ids_of

_BY_LEFT = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
_BY_RIGHT = pa.schema([("right", pa.uint64()), ("left", pa.uint64())])


class JoinIndex:
    """Pairs (left row id, right row id), and which rows of each side took part and which found a partner.

    `left_rows` and `right_rows` are the rows that passed their side's filter; `left_matched` and `right_matched`
    those of them that have a pair. For semi and anti joins the pairs are counted, not kept.
    """

    def __init__(
        self,
        pairs: SortedRuns,
        pair_count: int,
        rows: tuple[RowSet, RowSet],
        matched: tuple[RowSet, RowSet],
        held: Reservation,
    ) -> None:
        self._pairs = pairs
        self._held = held
        self.pair_count = pair_count
        self.left_rows, self.right_rows = rows
        self.left_matched, self.right_matched = matched

    @property
    def spilled_bytes(self) -> int:
        """Bytes of pairs written to the spill folder."""
        return self._pairs.spilled_bytes

    def by_left(self, rows_max: int) -> Iterator[pa.RecordBatch]:
        """Yield the pairs as batches (left, right), sorted by left then right."""
        return self._pairs.merged(rows_max)

    def by_right(self, rows_max: int, context: QueryContext, memory_bytes: int) -> Iterator[pa.RecordBatch]:
        """Yield the pairs as batches (right, left), sorted by right then left."""
        turned = SortedRuns("join index", _BY_RIGHT, context, memory_bytes)
        try:
            for batch in self.by_left(rows_max):
                turned.add(pa.RecordBatch.from_arrays([batch.column(1), batch.column(0)], schema=_BY_RIGHT))
            turned.finish()
            yield from turned.merged(rows_max)
        finally:
            turned.close()

    def close(self) -> None:
        """Free memory and spill; calling it again does nothing."""
        self._pairs.close()
        self._held.release()

    def validate(self) -> None:
        """Raise AssertionError when pairs are out of order, repeated or not of the matched rows."""
        last = (-1, -1)
        count = 0
        for batch in self.by_left(1 << 16):
            for pair in zip(ids_of(batch, 0).tolist(), ids_of(batch, 1).tolist(), strict=True):
                assert pair > last, f"pair {pair} after {last}"
                assert pair[0] in self.left_matched and pair[1] in self.right_matched, pair
                last, count = pair, count + 1
        assert count in (0, self.pair_count), (count, self.pair_count)
        assert not self.left_matched - self.left_rows
        assert not self.right_matched - self.right_rows


class JoinIndexBuilder:
    """Gathers pairs as keys are matched, a partition or a block at a time."""

    def __init__(
        self, row_counts: tuple[int, int], context: QueryContext, memory_bytes: int, *, keeps_pairs: bool
    ) -> None:
        self._context = context
        self._pairs = SortedRuns("join index", _BY_LEFT, context, memory_bytes)
        self._marks = (RowMarks(row_counts[0]), RowMarks(row_counts[1]))
        self._keeps_pairs = keeps_pairs
        self._pair_count = 0
        self._held = context.budget.reserve("join index", sum(marks.nbytes for marks in self._marks))

    def add(self, matches: Matches, probe_ids: Ids, build_ids: Ids, *, flipped: bool = False) -> None:
        """Take what was matched between rows `probe_ids` and `build_ids`: left and right, or `flipped`."""
        self._pair_count += matches.pair_count
        probe_marks, build_marks = reversed(self._marks) if flipped else self._marks
        if self._keeps_pairs or not flipped:
            probe_marks.add(probe_ids[matches.counts > 0])
        if self._keeps_pairs or flipped:
            build_marks.add(build_ids[matches.build_matched()])
        if not self._keeps_pairs:
            return
        for probe, build in matches.pairs(self._context.batch_rows):
            self._context.check()
            columns = [pa.array(probe_ids[probe]), pa.array(build_ids[build])]
            if flipped:
                columns.reverse()
            self._pairs.add(pa.RecordBatch.from_arrays(columns, schema=_BY_LEFT))

    def finish(self, left_rows: RowSet, right_rows: RowSet) -> JoinIndex:
        """Sort the pairs; `left_rows` and `right_rows` are the rows that took part."""
        self._pairs.finish()
        matched = (self._marks[0].to_row_set(), self._marks[1].to_row_set())
        self._held.resize(sum(rows.nbytes for rows in (left_rows, right_rows, *matched)))
        return JoinIndex(self._pairs, self._pair_count, (left_rows, right_rows), matched, self._held)

    def close(self) -> None:
        """Free everything, when the index is not to be."""
        self._pairs.close()
        self._held.release()
