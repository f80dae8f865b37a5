"""A predicate tree over several indexed columns: lower and upper bounds of the rows it is true for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.row_set import RowSet
from esker.errors import EskerError
from esker.expression import And, Expression, Not, Or, columns, conjunction, conjuncts, evaluate
from esker.index.segment import ReadCount, Segment
from esker.index.truth import Truth, slot_truth


@dataclass(frozen=True)
class IndexAnswer:
    """The rows a predicate may be true for. With `residual` None they are exactly its rows; else those of them for
    which `residual` is true are.

    `trace` says in words, step by step, what was read and what it gave.
    """

    rows: RowSet
    residual: Expression | None
    vectors_read: int
    bytes_read: int
    trace: list[str]

    @property
    def exact(self) -> bool:
        """True when nothing is left to check."""
        return self.residual is None


@dataclass(frozen=True)
class Bounds:
    """Rows for which it surely holds, and rows for which it may: lower is part of upper."""

    lower: Bitmap
    upper: Bitmap

    @property
    def exact(self) -> bool:
        return self.lower.count() == self.upper.count()


@dataclass
class Evaluation:
    """One predicate being answered from the segments of an index."""

    segments: Mapping[str, Segment]
    row_count: int
    count: ReadCount = field(default_factory=ReadCount)
    trace: list[str] = field(default_factory=list)
    _unions: dict[tuple[str, bytes], Bitmap] = field(default_factory=dict)
    _truths: dict[Expression, Truth] = field(default_factory=dict)

    def answer(self, predicate: Expression) -> IndexAnswer:
        """AND the predicate's conjuncts, the most selective first, and find what is left to check."""
        upper = Bitmap.all(self.row_count)
        unsure: list[tuple[Bitmap, list[Expression]]] = []
        for group in self._ordered(_grouped(conjuncts(predicate), self.segments)):
            if not upper:
                self.trace.append("no row is left: the other conditions are not read")
                break
            bounds = self._bounds(conjunction(group), True)
            upper = upper & bounds.upper
            if not bounds.exact:
                unsure.append((bounds.lower, self._inexact(group)))
        residual = [part for lower, parts in unsure if upper - lower for part in parts]
        rows = upper.rows()
        self.trace.append(f"{len(rows):,} of {self.row_count:,} rows" + (", to be checked" if residual else ", exact"))
        return IndexAnswer(
            rows, conjunction(residual) if residual else None, self.count.vectors, self.count.bytes, self.trace
        )

    def _inexact(self, group: Sequence[Expression]) -> list[Expression]:
        """Leave out the conjuncts that hold for every row the group lets through."""
        segment = self._segment_of(conjunction(group))
        if segment is None:
            return list(group)
        left = self._truth(segment, conjunction(group)).true.possible
        return [part for part in group if not self._truth(segment, part).true.certain[left].all()]

    def _ordered(self, groups: Sequence[Sequence[Expression]]) -> list[Sequence[Expression]]:
        """Fewest possible rows first, as the directories know them; what no single segment decides comes last."""

        def possible_rows(group: Sequence[Expression]) -> int:
            segment = self._segment_of(conjunction(group))
            if segment is None:
                return self.row_count + 1
            return segment.rows_in(self._truth(segment, conjunction(group)).true.possible)

        return sorted(groups, key=possible_rows)

    def _segment_of(self, predicate: Expression) -> Segment | None:
        """The one segment that decides `predicate`, if there is one."""
        names = columns(predicate)
        return self.segments.get(next(iter(names))) if len(names) == 1 else None

    def _bounds(self, predicate: Expression, polarity: bool) -> Bounds:
        """Bound the rows for which `predicate` is true (or, with polarity False, is false: null is neither)."""
        if not columns(predicate):
            return self._constant(predicate, polarity)
        segment = self._segment_of(predicate)
        if segment is not None:
            return self._leaf(segment, predicate, polarity)
        if isinstance(predicate, Not):
            return self._bounds(predicate.part, not polarity)
        if isinstance(predicate, And | Or):
            node = type(predicate)
            groups = [_node(node, group) for group in _grouped(predicate.parts, self.segments)]
            # NOT (a AND b) is (NOT a) OR (NOT b), for true and false alike.
            if isinstance(predicate, And) == polarity:
                return self._intersection(groups, polarity)
            return self._union(groups, polarity)
        return Bounds(Bitmap.none(self.row_count), Bitmap.all(self.row_count))

    def _intersection(self, parts: Sequence[Expression], polarity: bool) -> Bounds:
        bounds = self._bounds(parts[0], polarity)
        for part in parts[1:]:
            if not bounds.upper:
                break
            other = self._bounds(part, polarity)
            bounds = Bounds(bounds.lower & other.lower, bounds.upper & other.upper)
        return bounds

    def _union(self, parts: Sequence[Expression], polarity: bool) -> Bounds:
        bounds = self._bounds(parts[0], polarity)
        for part in parts[1:]:
            if bounds.lower.count() == self.row_count:
                break
            other = self._bounds(part, polarity)
            bounds = Bounds(bounds.lower | other.lower, bounds.upper | other.upper)
        return bounds

    def _leaf(self, segment: Segment, predicate: Expression, polarity: bool) -> Bounds:
        before = self.count.vectors, self.count.bytes
        part = self._truth(segment, predicate).of(polarity)
        lower = self._slots(segment, part.certain)
        unsure = part.possible & ~part.certain
        upper = lower | self._slots(segment, unsure) if unsure.any() else lower
        vectors, size_bytes = self.count.vectors - before[0], self.count.bytes - before[1]
        certainty = "exact" if lower.count() == upper.count() else f"{lower.count():,} of them for sure"
        self.trace.append(
            f"{segment.info.column}: read {vectors} of {segment.slot_count} vectors, {size_bytes:,} bytes;"
            f" {upper.count():,} rows, {certainty}"
        )
        return Bounds(lower, upper)

    def _truth(self, segment: Segment, predicate: Expression) -> Truth:
        if predicate not in self._truths:
            self._truths[predicate] = slot_truth(segment, predicate)
        return self._truths[predicate]

    def _slots(self, segment: Segment, slots: np.ndarray) -> Bitmap:
        key = segment.info.column, slots.tobytes()
        if key not in self._unions:
            self._unions[key] = segment.union(slots, self.count)
        return self._unions[key]

    def _constant(self, predicate: Expression, polarity: bool) -> Bounds:
        """Decide a predicate without columns."""
        none, every = Bitmap.none(self.row_count), Bitmap.all(self.row_count)
        try:
            value = evaluate(predicate, pa.RecordBatch.from_arrays([pa.array([0])], ["row"]))[0].as_py()
        except (EskerError, pa.ArrowException):
            return Bounds(none, every)
        return Bounds(every, every) if value is polarity else Bounds(none, none)


def _grouped(parts: Sequence[Expression], segments: Mapping[str, Segment]) -> list[list[Expression]]:
    """Put parts on the same indexed column together, so that a range is one question; keeps the order otherwise."""
    groups: dict[object, list[Expression]] = {}
    for number, part in enumerate(parts):
        names = columns(part)
        name = next(iter(names)) if len(names) == 1 else None
        groups.setdefault(name if name in segments else number, []).append(part)
    return list(groups.values())


def _node(node: type[And] | type[Or], parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else node(tuple(parts))
