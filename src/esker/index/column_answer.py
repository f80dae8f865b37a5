"""One column's part in a question: bounds of the rows for which a predicate on it holds, and their price."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.bitmap import Bitmap
from esker.errors import EskerError
from esker.expression import (
    And,
    Column,
    Compare,
    CompareOp,
    Expression,
    InList,
    IsNull,
    Literal,
    Not,
    Or,
    conjunction,
    evaluate,
)
from esker.index.encode import every_row, no_rows
from esker.index.segment import ReadCount, Segment, SegmentFile, VectorPlan
from esker.index.sliced import SlicedSegment
from esker.index.truth import Truth, slot_truth

_MIRRORED: dict[CompareOp, CompareOp] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

# Predicates and sets of slots a segment remembers, so that planning and running a query decide them once; of many
# slots fewer, down to one.
KEPT = 32
KEPT_SLOTS = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """Rows for which it surely holds, and rows for which it may: lower is part of upper."""

    lower: Bitmap
    upper: Bitmap

    @property
    def exact(self) -> bool:
        return self.lower is self.upper or self.lower.count() == self.upper.count()

    def __and__(self, other: Bounds) -> Bounds:
        upper = self.upper & other.upper
        if self.lower is self.upper and other.lower is other.upper:
            return Bounds(upper, upper)
        return Bounds(self.lower & other.lower, upper)

    def __or__(self, other: Bounds) -> Bounds:
        upper = self.upper | other.upper
        if self.lower is self.upper and other.lower is other.upper:
            return Bounds(upper, upper)
        return Bounds(self.lower | other.lower, upper)


class ColumnAnswer(ABC):
    """What one segment says in one question; reads no vector twice."""

    segment: SegmentFile

    @abstractmethod
    def possible_rows(self, predicate: Expression) -> int:
        """Count rows for which `predicate` may hold, as far as the directory knows."""

    @abstractmethod
    def bounds(self, predicate: Expression, polarity: bool) -> Bounds:
        """Bound the rows for which `predicate` is true, or false; reads vectors."""

    @abstractmethod
    def inexact(self, group: Sequence[Expression]) -> list[Expression]:
        """Leave out the conjuncts that hold for every row that all of `group` lets through."""

    @abstractmethod
    def decides(self, predicate: Expression) -> bool:
        """Say whether bounds will be exact, as far as directories know."""

    @abstractmethod
    def price(self, predicate: Expression) -> tuple[int, int, int]:
        """Say how many vectors, bytes and requests bounding `predicate` reads."""


class SlotAnswer(ColumnAnswer):
    """Of a segment of values or bins."""

    def __init__(self, segment: Segment, count: ReadCount) -> None:
        self.segment = segment
        self.of_slots = segment
        self._segment = segment
        self._count = count
        self._unions: dict[bytes, Bitmap] = {}

    def possible_rows(self, predicate: Expression) -> int:
        return self._segment.rows_in(self._truth(predicate).true.possible)

    def bounds(self, predicate: Expression, polarity: bool) -> Bounds:
        part = self._truth(predicate).of(polarity)
        lower = self._slots(part.certain)
        if part.possible is part.certain:
            return Bounds(lower, lower)
        unsure = part.possible & ~part.certain
        return Bounds(lower, lower | self._slots(unsure)) if unsure.any() else Bounds(lower, lower)

    def exact_plan(self, predicate: Expression) -> VectorPlan | None:
        """The vectors that give the rows of `predicate`; None where some slots are true for some of their rows."""
        part = self._truth(predicate).true
        return self._plan(part.certain) if part.possible is part.certain else None

    def inexact(self, group: Sequence[Expression]) -> list[Expression]:
        left = self._truth(conjunction(group)).true.possible
        return [part for part in group if not self._truth(part).true.certain[left].all()]

    def decides(self, predicate: Expression) -> bool:
        part = self._truth(predicate).true
        return part.possible is part.certain or self._segment.rows_in(part.possible & ~part.certain) == 0

    def price(self, predicate: Expression) -> tuple[int, int, int]:
        part = self._truth(predicate).true
        unsure = () if part.possible is part.certain else (part.possible & ~part.certain,)
        plans = [self._plan(slots) for slots in (part.certain, *unsure) if slots.any()]
        return (
            sum(plan.vectors for plan in plans),
            sum(plan.bytes for plan in plans),
            sum(plan.requests for plan in plans),
        )

    def _truth(self, predicate: Expression) -> Truth:
        truths: dict[Expression, Truth] = self._segment.truths
        found = truths.get(predicate)
        if found is None:
            found = slot_truth(self._segment, predicate)
            _keep(truths, predicate, found, self._segment)
        return found

    def _plan(self, slots: np.ndarray) -> VectorPlan:
        key, plans = slots.tobytes(), self._segment.plans
        found = plans.get(key)
        if found is None:
            found = self._segment.plan(slots)
            _keep(plans, key, found, self._segment)
        return found

    def _slots(self, slots: np.ndarray) -> Bitmap:
        key = slots.tobytes()
        if key not in self._unions:
            self._unions[key] = self._segment.run(self._plan(slots), self._count)
        return self._unions[key]


def _keep(kept: dict[Any, Any], key: object, found: object, segment: Segment) -> None:
    if len(kept) >= max(1, min(KEPT, KEPT_SLOTS // segment.slot_count)):
        kept.clear()
    kept[key] = found


class SlicedAnswer(ColumnAnswer):
    """Of a bit-sliced segment."""

    def __init__(self, segment: SlicedSegment, count: ReadCount) -> None:
        self.segment = segment
        self.slices = segment.slices(count)
        self._row_count = segment.row_count
        self._found: dict[tuple[Expression, bool], Bounds] = {}

    def possible_rows(self, predicate: Expression) -> int:
        # The directory knows nothing of values: half of the rows, so that vectors of values go first.
        return self._row_count // 2

    def bounds(self, predicate: Expression, polarity: bool) -> Bounds:
        key = predicate, polarity
        if key not in self._found:
            self._found[key] = self._bounds(predicate, polarity)
        return self._found[key]

    def inexact(self, group: Sequence[Expression]) -> list[Expression]:
        return [part for part in group if not self.bounds(part, True).exact]

    def decides(self, predicate: Expression) -> bool:
        if isinstance(predicate, And | Or):
            return all(self.decides(part) for part in predicate.parts)
        if isinstance(predicate, Not):
            return self.decides(predicate.part)
        if isinstance(predicate, Compare):
            return any(isinstance(side, Column) for side in (predicate.left, predicate.right))
        return isinstance(predicate, InList | IsNull | Column)

    def price(self, predicate: Expression) -> tuple[int, int, int]:
        return self.segment.vector_count, *self.segment.price_of(range(self.segment.vector_count))

    def _bounds(self, predicate: Expression, polarity: bool) -> Bounds:
        if isinstance(predicate, Not):
            return self.bounds(predicate.part, not polarity)
        if isinstance(predicate, And | Or):
            found = [self.bounds(part, polarity) for part in predicate.parts]
            folded = found[0]
            for bounds in found[1:]:
                folded = folded & bounds if isinstance(predicate, And) == polarity else folded | bounds
            return folded
        rows = self._leaf(predicate)
        if rows is None:
            return self._undecided(predicate, polarity)
        true, false = rows
        one = true if polarity else false
        return Bounds(one, one)

    def _leaf(self, predicate: Expression) -> tuple[Bitmap, Bitmap] | None:
        """Rows for which it is true, and false."""
        slices = self.slices
        if isinstance(predicate, IsNull) and isinstance(predicate.part, Column):
            return slices.nulls, slices.known
        if isinstance(predicate, Column):
            return self._decided(slices.compare("=", Literal(pa.scalar(True))))
        if isinstance(predicate, InList) and isinstance(predicate.part, Column):
            return self._in_list(predicate)
        if isinstance(predicate, Compare):
            op, literal = predicate.op, predicate.right
            if isinstance(predicate.right, Column):
                op, literal = _MIRRORED[op], predicate.left
            if isinstance(literal, Literal) and (isinstance(predicate.left, Column) or literal is predicate.left):
                if not literal.value.is_valid:
                    return no_rows(self._row_count), no_rows(self._row_count)
                return self._decided(slices.compare(op, literal))
        return None

    def _in_list(self, predicate: InList) -> tuple[Bitmap, Bitmap] | None:
        rows = no_rows(self._row_count)
        for value in predicate.values:
            if value.value.is_valid:
                found = self.slices.compare("=", value)
                if found is None:
                    return None
                rows = rows | found
        if any(not value.value.is_valid for value in predicate.values):
            return rows, no_rows(self._row_count)
        return rows, self.slices.known - rows

    def _decided(self, true: Bitmap | None) -> tuple[Bitmap, Bitmap] | None:
        return (true, self.slices.known - true) if true is not None else None

    def _undecided(self, predicate: Expression, polarity: bool) -> Bounds:
        """What no digits tell: every row may be one, and null only where the predicate says so of null."""
        none, every = no_rows(self._row_count), every_row(self._row_count)
        try:
            missing = pa.RecordBatch.from_arrays([pa.nulls(1, self.segment.label_type)], [self.segment.info.column])
            value = evaluate(predicate, missing)[0].as_py()
        except (EskerError, pa.ArrowException):
            return Bounds(none, every)
        return Bounds(none, every) if value is polarity else Bounds(none, self.slices.known)


def column_answer(segment: SegmentFile, count: ReadCount) -> ColumnAnswer:
    """Start a question on a segment of any kind."""
    if isinstance(segment, SlicedSegment):
        return SlicedAnswer(segment, count)
    assert isinstance(segment, Segment), "a segment is of slots or of slices"
    return SlotAnswer(segment, count)


def constant_truth(predicate: Expression) -> bool | None:
    """Decide a predicate without columns; raises what evaluating it raises."""
    batch = pa.RecordBatch.from_arrays([pa.array([0])], ["row"])
    found = evaluate(predicate, batch)
    value = pc.cast(found, pa.bool_())[0].as_py()
    return value if isinstance(value, bool) else None
