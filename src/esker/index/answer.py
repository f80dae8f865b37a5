"""A predicate tree over several indexed columns: lower and upper bounds of the rows it is true for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from esker.bitmap import Bitmap, Narrowing
from esker.core.row_set import RowSet
from esker.errors import EskerError
from esker.expression import And, Expression, Not, Or, VectorRange, columns, conjunction, conjuncts
from esker.index.column_answer import Bounds, ColumnAnswer, SlotAnswer, column_answer, constant_truth
from esker.index.encode import every_row, no_rows
from esker.index.segment import ReadCount, Segment, SegmentFile, VectorPlan
from esker.index.vector_numbers import VectorNumbers


@dataclass(frozen=True)
class IndexAnswer:
    """The rows a predicate may be true for. With `residual` None they are exactly its rows; else those of them for
    which `residual` is true are. For `sure` it is true without a look.

    `trace` says in words, step by step, what was read and what it gave.
    """

    candidates: Bitmap
    sure: Bitmap
    residual: Expression | None
    vectors_read: int
    bytes_read: int
    trace: list[str]
    directory_bytes_read: int = 0
    requests: int = 0

    @property
    def exact(self) -> bool:
        """True when nothing is left to check."""
        return self.residual is None

    @cached_property
    def rows(self) -> RowSet:
        """The candidates as a row set."""
        return self.candidates.rows()


@dataclass(frozen=True)
class IndexPrice:
    """What answering a predicate reads at most, known from directories: vectors and bytes, and rows it may give."""

    vectors: int
    bytes: int
    rows_max: int
    steps: tuple[str, ...] = ()
    requests: int = 0
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """Conjuncts that are asked together: those on one column, or one that no single segment decides.

    `plan` names the vectors that give their rows exactly, where the directory of `segment` alone says so.
    """

    parts: tuple[Expression, ...]
    predicate: Expression
    segment: Segment | None = None
    plan: VectorPlan | None = None


class Question:
    """A predicate read into steps, the most selective first: once for any number of times it is asked.

    It holds numbers of vectors and no vector; threads may share it.
    """

    def __init__(
        self, segments: Mapping[str, SegmentFile], row_count: int, numbers: VectorNumbers, predicate: Expression
    ) -> None:
        self.segments = segments
        self.row_count = row_count
        self.numbers = numbers
        self._predicate = predicate
        asking = Evaluation(self)
        groups = asking.ordered(_grouped(conjuncts(predicate), segments))
        self.price: IndexPrice = asking.price(predicate, groups)
        self.steps = [asking.step(group) for group in groups]

    def ask(self) -> IndexAnswer:
        """Read the vectors, and answer."""
        return Evaluation(self).answer()


class Evaluation:
    """A question being asked: what was read of its segments, and what it gave."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self.segments = question.segments
        self.row_count = question.row_count
        self.count = ReadCount()
        self.trace: list[str] = []
        self._answers: dict[str, ColumnAnswer] = {}

    def answer(self) -> IndexAnswer:
        """AND the steps, and find what is left to check."""
        upper: Bitmap | None = None
        sure: Bitmap | None = None
        unsure: list[tuple[Bitmap, list[Expression]]] = []
        left = list(self._question.steps)
        while left:
            if upper is not None and not upper:
                self._none_left(left)
                break
            if left[0].plan is not None:
                narrowed = self._narrowed(left, upper)
                sure = narrowed if sure is upper or sure is None else sure & narrowed
                upper = narrowed
                continue
            step = left.pop(0)
            bounds = self._bounds(step.predicate, True)
            upper = bounds.upper if upper is None else upper & bounds.upper
            if not bounds.exact:
                unsure.append((bounds.lower, self._inexact(step.parts)))
            sure = bounds.lower if sure is None else sure & bounds.lower
        assert upper is not None and sure is not None, "a predicate has a conjunct"
        residual = [part for lower, parts in unsure if upper - lower for part in parts]
        sure = sure & upper if residual else upper
        found = upper.count()
        self.trace.append(f"{found:,} of {self.row_count:,} rows" + (", to be checked" if residual else ", exact"))
        return IndexAnswer(
            upper,
            sure,
            conjunction(residual) if residual else None,
            self.count.vectors,
            self.count.bytes,
            self.trace,
            self.count.directory_bytes,
            self.count.requests,
        )

    def _narrowed(self, left: list[Step], rows: Bitmap | None) -> Bitmap:
        """Take the next steps that one segment decides each, and keep their rows of `rows`, or of all."""
        narrowing = Narrowing(rows)
        while left and left[0].plan is not None:
            if narrowing.none:
                self._none_left(left)
                left.clear()
                break
            step = left.pop(0)
            segment, plan = step.segment, step.plan
            assert segment is not None and plan is not None, "a step with a plan"
            before = self.count.vectors, self.count.bytes
            segment.narrow(narrowing, plan, self.count)
            vectors, size_bytes = self.count.vectors - before[0], self.count.bytes - before[1]
            self.trace.append(
                f"{segment.info.column}: read {vectors} of {segment.vector_count} vectors, {size_bytes:,} bytes;"
                f" {narrowing.count():,} rows left"
            )
        return narrowing.take()

    def _none_left(self, steps: Sequence[Step]) -> None:
        self.trace.append(f"no row is left: {len(steps)} other conditions are not read")

    def step(self, group: Sequence[Expression]) -> Step:
        """Name the vectors that decide some conjuncts, where a segment of values or bins does so exactly."""
        predicate = conjunction(group)
        answer = self._column_of(predicate)
        plan = answer.exact_plan(predicate) if isinstance(answer, SlotAnswer) else None
        if plan is None:
            return Step(tuple(group), predicate)
        assert isinstance(answer, SlotAnswer), "a plan comes from slots"
        return Step(tuple(group), predicate, answer.of_slots, plan)

    def price(self, predicate: Expression, groups: Sequence[Sequence[Expression]]) -> IndexPrice:
        """Say what `answer` would read, were nothing cut short; reads only directories."""
        vectors = size_bytes = requests = 0
        rows_max = self.row_count
        steps: list[str] = []
        unsure: set[str] = set(columns(predicate))
        for group in groups:
            parts = list(_leaves(conjunction(group), self.segments))
            priced = [self._answer_of(name).price(part) for name, part in parts]
            group_vectors, group_bytes = sum(one[0] for one in priced), sum(one[1] for one in priced)
            requests += sum(one[2] for one in priced)
            if all(self._answer_of(name).decides(part) for name, part in parts):
                # What no segment decides stays; columns of the other conditions may need a look.
                unsure -= {name for name, _ in parts} if answer_is_whole(conjunction(group), parts) else set()
            answer = self._column_of(conjunction(group))
            rows = answer.possible_rows(conjunction(group)) if answer is not None else self.row_count
            vectors, size_bytes, rows_max = vectors + group_vectors, size_bytes + group_bytes, min(rows_max, rows)
            names = ", ".join(sorted({name for name, _ in parts})) or "no index"
            steps.append(f"{names}: {group_vectors} vectors, {group_bytes:,} bytes, at most {rows:,} rows")
        return IndexPrice(vectors, size_bytes, rows_max, tuple(steps), requests, frozenset(unsure))

    def _inexact(self, group: Sequence[Expression]) -> list[Expression]:
        answer = self._column_of(conjunction(group))
        return answer.inexact(group) if answer is not None else list(group)

    def ordered(self, groups: Sequence[Sequence[Expression]]) -> list[Sequence[Expression]]:
        """Fewest possible rows first, as the directories know them; what no single segment decides comes last."""

        def possible_rows(group: Sequence[Expression]) -> int:
            answer = self._column_of(conjunction(group))
            return answer.possible_rows(conjunction(group)) if answer is not None else self.row_count + 1

        return sorted(groups, key=possible_rows) if len(groups) > 1 else list(groups)

    def _answer_of(self, name: str) -> ColumnAnswer:
        if name not in self._answers:
            self._answers[name] = column_answer(self.segments[name], self.count)
        return self._answers[name]

    def _column_of(self, predicate: Expression) -> ColumnAnswer | None:
        """The one segment that decides `predicate`, if there is one."""
        names = columns(predicate)
        if len(names) != 1 or not names <= self.segments.keys() or names_vectors(predicate):
            return None
        return self._answer_of(next(iter(names)))

    def _bounds(self, predicate: Expression, polarity: bool) -> Bounds:
        """Bound the rows for which `predicate` is true (or, with polarity False, is false: null is neither)."""
        if isinstance(predicate, VectorRange):
            return self._vectors(predicate, polarity)
        if not columns(predicate) and not names_vectors(predicate):
            return self._constant(predicate, polarity)
        answer = self._column_of(predicate)
        if answer is not None:
            return self._leaf(answer, predicate, polarity)
        if isinstance(predicate, Not):
            return self._bounds(predicate.part, not polarity)
        if isinstance(predicate, And | Or):
            node = type(predicate)
            groups = [_node(node, group) for group in _grouped(predicate.parts, self.segments)]
            # NOT (a AND b) is (NOT a) OR (NOT b), for true and false alike.
            if isinstance(predicate, And) == polarity:
                return self._intersection(groups, polarity)
            return self._union(groups, polarity)
        return Bounds(no_rows(self.row_count), every_row(self.row_count))

    def _intersection(self, parts: Sequence[Expression], polarity: bool) -> Bounds:
        bounds = self._bounds(parts[0], polarity)
        for part in parts[1:]:
            if not bounds.upper:
                break
            bounds = bounds & self._bounds(part, polarity)
        return bounds

    def _union(self, parts: Sequence[Expression], polarity: bool) -> Bounds:
        bounds = self._bounds(parts[0], polarity)
        for number, part in enumerate(parts[1:], start=1):
            if bounds.lower.count() == self.row_count:
                self.trace.append(f"every row is in: {len(parts) - number} other conditions are not read")
                break
            bounds = bounds | self._bounds(part, polarity)
        return bounds

    def _leaf(self, answer: ColumnAnswer, predicate: Expression, polarity: bool) -> Bounds:
        before = self.count.vectors, self.count.bytes
        bounds = answer.bounds(predicate, polarity)
        vectors, size_bytes = self.count.vectors - before[0], self.count.bytes - before[1]
        certainty = "exact" if bounds.exact else f"{bounds.lower.count():,} of them for sure"
        segment = answer.segment
        self.trace.append(
            f"{segment.info.column}: read {vectors} of {segment.vector_count} vectors, {size_bytes:,} bytes;"
            f" {bounds.upper.count():,} rows, {certainty}"
        )
        return bounds

    def _vectors(self, predicate: VectorRange, polarity: bool) -> Bounds:
        before = self.count.vectors, self.count.bytes
        rows = self._question.numbers.union(predicate.first, predicate.last, self.count)
        vectors, size_bytes = self.count.vectors - before[0], self.count.bytes - before[1]
        self.trace.append(
            f"vectors {predicate.first} to {predicate.last}: read {vectors}, {size_bytes:,} bytes;"
            f" {rows.count():,} rows"
        )
        rows = rows if polarity else ~rows
        return Bounds(rows, rows)

    def _constant(self, predicate: Expression, polarity: bool) -> Bounds:
        """Decide a predicate without columns."""
        none, every = no_rows(self.row_count), every_row(self.row_count)
        try:
            value = constant_truth(predicate)
        except (EskerError, pa.ArrowException):
            return Bounds(none, every)
        return Bounds(every, every) if value is polarity else Bounds(none, none)


def answer_is_whole(predicate: Expression, parts: Sequence[tuple[str, Expression]]) -> bool:
    """Whether segments decide every column of a predicate."""
    return columns(predicate) <= {name for name, _ in parts}


def names_vectors(predicate: Expression) -> bool:
    """Whether a predicate has a range of vector numbers."""
    if isinstance(predicate, And | Or):
        return any(names_vectors(part) for part in predicate.parts)
    return names_vectors(predicate.part) if isinstance(predicate, Not) else isinstance(predicate, VectorRange)


def _leaves(predicate: Expression, segments: Mapping[str, SegmentFile]) -> list[tuple[str, Expression]]:
    """The parts of a predicate that one segment each decides."""
    names = columns(predicate)
    if len(names) == 1 and names <= segments.keys() and not names_vectors(predicate):
        return [(next(iter(names)), predicate)]
    if isinstance(predicate, Not):
        return _leaves(predicate.part, segments)
    if isinstance(predicate, And | Or):
        return [leaf for part in predicate.parts for leaf in _leaves(part, segments)]
    return []


def _grouped(parts: Sequence[Expression], segments: Mapping[str, SegmentFile]) -> list[list[Expression]]:
    """Put parts on the same indexed column together, so that a range is one question; keeps the order otherwise."""
    groups: dict[object, list[Expression]] = {}
    for number, part in enumerate(parts):
        names = columns(part)
        name = next(iter(names)) if len(names) == 1 and not names_vectors(part) else None
        groups.setdefault(name if name in segments else number, []).append(part)
    return list(groups.values())


def _node(node: type[And] | type[Or], parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else node(tuple(parts))
