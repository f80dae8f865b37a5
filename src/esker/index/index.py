"""The bitmap index of a frozen data set: opened lazily, asked with predicate trees."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from esker.bitmap import Bitmap
from esker.errors import BitmapCorruptError, InputError, UnknownColumnError
from esker.expression import Expression
from esker.frozen.records import SegmentLike
from esker.index.answer import IndexAnswer, IndexPrice, Question
from esker.index.column_spec import BitSliced
from esker.index.segment import ReadCount, Segment, SegmentFile
from esker.index.sliced import SlicedSegment
from esker.index.vector_cache import VectorCache
from esker.index.vector_numbers import VectorNumbers

# Predicates whose steps an index remembers, and the most vectors such a one may name.
QUESTIONS_KEPT = 64
VECTORS_KEPT = 1 << 14


class Index:
    """Segments of one data set, one for each indexed column; threads may share it.

    Opening reads the directories; a question reads the vectors it names, which `statistics` counts.
    """

    def __init__(self, segments: Iterable[SegmentFile], row_count: int) -> None:
        self._segments = {segment.info.column: segment for segment in segments}
        self.row_count = row_count
        self._total = ReadCount()
        self._numbers = VectorNumbers(self._segments)
        self._questions: dict[Expression, Question] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        segments: Iterable[SegmentLike],
        row_count: int | None = None,
        cache: VectorCache | None = None,
    ) -> Index:
        """Open the segments a catalogue records; raises BitmapCorruptError for one that does not fit.

        `row_count` is what the catalogue says; without it, what the segments agree on. Vectors that were read stay in
        `cache`.
        """
        opened: dict[str, SegmentFile] = {}
        try:
            for info in segments:
                segment = open_segment(folder, info)
                segment.cache = cache
                if info.column in opened:
                    segment.close()
                    raise BitmapCorruptError(f"{segment.place}: the column has another segment, too")
                opened[info.column] = segment
                row_count = segment.row_count if row_count is None else row_count
                if segment.row_count != row_count:
                    raise BitmapCorruptError(f"{segment.place}: has {segment.row_count} rows, the data {row_count}")
        except BaseException:
            for segment in opened.values():
                segment.close()
            raise
        return cls(opened.values(), row_count or 0)

    @property
    def columns(self) -> frozenset[str]:
        """Columns that have a segment."""
        return frozenset(self._segments)

    def segment(self, column: str) -> Segment:
        """Give a column's segment of values or bins, to look at its vectors one by one."""
        segment = self.segment_file(column)
        if not isinstance(segment, Segment):
            raise InputError(f"the index of column {column!r} is {segment.info.kind}: it has no vector for each value")
        return segment

    def segment_file(self, column: str) -> SegmentFile:
        """Give a column's segment, of whatever kind."""
        if column not in self._segments:
            raise UnknownColumnError.of(column, self._segments, "the index")
        return self._segments[column]

    def evaluate(self, predicate: Expression) -> IndexAnswer:
        """Find the rows for which a bound predicate is true, or a superset and what is left to check.

        No row for which the predicate is true is ever missing. Columns without a segment are left to the check.
        """
        answer = self.question(predicate).ask()
        self._total.add(answer.vectors_read, answer.bytes_read, answer.directory_bytes_read, answer.requests)
        return answer

    def price(self, predicate: Expression) -> IndexPrice:
        """Say what `evaluate` would read at most; reads directories and no vector."""
        return self.question(predicate).price

    def question(self, predicate: Expression) -> Question:
        """Read a bound predicate into steps, or give what it was read into before."""
        found = self._questions.get(predicate)
        if found is None:
            found = Question(self._segments, self.row_count, self._numbers, predicate)
            if len(self._questions) >= QUESTIONS_KEPT:
                self._questions.clear()
            if found.price.vectors <= VECTORS_KEPT:
                self._questions[predicate] = found
        return found

    def vectors(self, first: int, last: int) -> Bitmap:
        """OR the vectors numbered `first` to `last` (see VectorNumbers)."""
        return self._numbers.union(first, last, self._total)

    @property
    def vector_count(self) -> int:
        """How many vectors have a number."""
        return self._numbers.count

    def statistics(self) -> dict[str, int]:
        """Count what there is, and what was read since the index was opened."""
        segments = self._segments.values()
        return {
            "segments": len(segments),
            "vectors": sum(segment.vector_count for segment in segments),
            "bytes": sum(segment.info.bytes for segment in segments),
            "vectors_read": self._total.vectors,
            "bytes_read": self._total.bytes,
            "directory_bytes_read": self._total.directory_bytes
            + sum(segment.opening.directory_bytes for segment in segments),
            "requests": self._total.requests + sum(segment.opening.requests for segment in segments),
        }

    def validate(self) -> None:
        """Read and check every byte of every segment."""
        for segment in self._segments.values():
            assert isinstance(segment, Segment | SlicedSegment), "a segment is of slots or of slices"
            segment.validate()

    def close(self) -> None:
        """Close the files; calling it again does nothing."""
        for segment in self._segments.values():
            segment.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({', '.join(sorted(self._segments))}; {self.row_count:,} rows)"


def open_segment(folder: Path, info: SegmentLike) -> SegmentFile:
    """Open a segment of any kind."""
    return SlicedSegment(folder, info) if info.kind == BitSliced.kind else Segment(folder, info)
