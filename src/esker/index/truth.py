"""What a predicate on one column says of each slot: of all its rows, of some, of none."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import EskerError
from esker.expression import (
    And,
    Call,
    Column,
    Compare,
    CompareOp,
    Expression,
    InList,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    evaluate,
)
from esker.index.segment import Segment
from esker.index.slots import FIRST_SLOT, NAN_SLOT, NULL_SLOT

Flags = npt.NDArray[np.bool_]

_MIRRORED: dict[CompareOp, CompareOp] = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
# Which of (smaller, equal, larger) an operator takes.
_TAKES: dict[CompareOp, tuple[bool, bool, bool]] = {
    "=": (False, True, False),
    "!=": (True, False, True),
    "<": (True, False, False),
    "<=": (True, True, False),
    ">": (False, False, True),
    ">=": (False, True, True),
}


@dataclass(frozen=True)
class Part:
    """Slots whose rows all are (`certain`), and slots where some may be (`possible`, which holds the certain ones)."""

    certain: Flags
    possible: Flags

    def __and__(self, other: Part) -> Part:
        return Part(self.certain & other.certain, self.possible & other.possible)

    def __or__(self, other: Part) -> Part:
        return Part(self.certain | other.certain, self.possible | other.possible)


@dataclass(frozen=True)
class Truth:
    """Where a predicate is true and where it is false; elsewhere it is null (three-valued logic)."""

    true: Part
    false: Part

    def of(self, polarity: bool) -> Part:
        """The part that is true, or the part that is false."""
        return self.true if polarity else self.false


def slot_truth(segment: Segment, predicate: Expression) -> Truth:
    """Decide `predicate`, whose only column is the segment's, for every slot.

    Values, NaN and null are decided by evaluating the predicate on them, so that the index means by an operator what a
    scan means by it. Bins are decided by their edges. Values of many are not all looked at: they are sorted, so for
    comparisons, IN and prefixes most blocks of them are decided by their ends.
    """
    column, type_ = segment.info.column, segment.label_type
    if segment.holds_values and len(segment.starts) == 2:
        return value_truth(predicate, column, segment.values)
    ends = _evaluated(predicate, column, _missing(type_))
    rest = _of_blocks(predicate, segment) if segment.holds_values else _of_bins(predicate, segment.values)
    return Truth(*(_joined(ends.of(polarity), rest.of(polarity)) for polarity in (True, False)))


def value_truth(predicate: Expression, column: str, values: pa.Array) -> Truth:
    """Decide `predicate` for null, NaN and each of `values`: the slots of a column with a vector for each value."""
    return _evaluated(predicate, column, pa.concat_arrays([_missing(values.type), values]))


def _missing(type_: pa.DataType) -> pa.Array:
    return pa.array([None, float("nan") if pa.types.is_floating(type_) else None], type_)


def _evaluated(predicate: Expression, column: str, values: pa.Array) -> Truth:
    try:
        found = evaluate(predicate, pa.RecordBatch.from_arrays([values], [column]))
    except (EskerError, pa.ArrowException):
        return _unknown(len(values))  # a value it fails on may be behind another condition: left to the check
    true = found.fill_null(False).to_numpy(zero_copy_only=False)
    false = pc.invert(found).fill_null(False).to_numpy(zero_copy_only=False)
    return Truth(Part(true, true), Part(false, false))


def _of_blocks(predicate: Expression, segment: Segment) -> Truth:
    """Decide for the sorted values of many blocks, looking into as few of them as can be."""
    if isinstance(predicate, And | Or):
        return _folded([_of_blocks(part, segment) for part in predicate.parts], isinstance(predicate, And))
    if isinstance(predicate, Not):
        inner = _of_blocks(predicate.part, segment)
        return Truth(inner.false, inner.true)
    value_count = segment.slot_count - FIRST_SLOT
    if isinstance(predicate, IsNull) and isinstance(predicate.part, Column):
        return _constant(False, value_count)
    if isinstance(predicate, InList) and isinstance(predicate.part, Column):
        return _in_blocks(predicate, segment)
    flags = _Blocks(segment)
    if isinstance(predicate, Compare):
        literal = _literal_on_the_right(predicate)
        if literal is not None:
            return _compared_blocks(*literal, predicate, flags)
    prefix = _prefix(predicate)
    if prefix:
        text = pa.scalar(prefix, segment.label_type)
        # A block may hold texts with the prefix unless it ends before them, or begins behind them.
        ends_before = flags.of(pc.less(segment.root.lasts, text))
        cut = pc.utf8_slice_codeunits(segment.root.firsts, 0, len(prefix))
        begins_behind = flags.of(pc.greater(cut, text))
        return flags.decided(predicate, looked_at=~(ends_before | begins_behind), otherwise=False)
    return flags.decided(predicate, looked_at=np.ones(flags.count, bool), otherwise=False)


def _literal_on_the_right(predicate: Compare) -> tuple[CompareOp, Literal] | None:
    if isinstance(predicate.left, Column) and isinstance(predicate.right, Literal):
        return predicate.op, predicate.right
    if isinstance(predicate.left, Literal) and isinstance(predicate.right, Column):
        return _MIRRORED[predicate.op], predicate.left
    return None


def _compared_blocks(op: CompareOp, literal: Literal, predicate: Expression, flags: _Blocks) -> Truth:
    if not literal.value.is_valid:
        return _nowhere(flags.value_count)
    if op in ("=", "!="):
        inside = flags.reaches(literal)
        return flags.decided(predicate, looked_at=inside, otherwise=op == "!=")
    first, last = (flags.ends_compare(op, literal, end) for end in ("firsts", "lasts"))
    return flags.decided(predicate, looked_at=first != last, otherwise=first)


def _in_blocks(predicate: InList, segment: Segment) -> Truth:
    flags = _Blocks(segment)
    known = [value for value in predicate.values if value.value.is_valid]
    inside = np.zeros(flags.count, bool)
    for value in known:
        inside |= flags.reaches(value)
    found = flags.decided(InList(predicate.part, tuple(known)), looked_at=inside, otherwise=False) if known else None
    if len(known) == len(predicate.values):
        assert found is not None, "a list has values"
        return found
    # x IN (1, NULL) is true or null.
    nowhere = np.zeros(flags.value_count, bool)
    return Truth(found.true if found is not None else Part(nowhere, nowhere), Part(nowhere, nowhere))


class _Blocks:
    """The blocks of a segment's values, and what their ends say."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self.count = len(segment.starts) - 1
        self.value_count = segment.slot_count - FIRST_SLOT

    def of(self, found: pa.Array) -> Flags:
        """Flags from an array; null is False."""
        flags: Flags = found.fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
        return flags

    def ends_compare(self, op: CompareOp, literal: Literal, ends: str) -> Flags:
        values = getattr(self._segment.root, ends)
        found = evaluate(Compare(op, Column("end"), literal), pa.RecordBatch.from_arrays([values], ["end"]))
        flags = self.of(found)
        # The first block begins with null: it is looked into, or decided by its last value.
        if ends == "firsts":
            flags[0] = ~self.of(evaluate(Compare(op, Column("end"), literal), self._last_of_first()))[0]
        return flags

    def reaches(self, literal: Literal) -> Flags:
        """Say of each block whether a value may lie in it."""
        begins = self.ends_compare("<=", literal, "firsts")
        begins[0] = True
        return begins & self.ends_compare(">=", literal, "lasts")

    def decided(self, predicate: Expression, *, looked_at: Flags, otherwise: bool | Flags) -> Truth:
        """Evaluate the predicate on the values of some blocks; those of the others are `otherwise`."""
        segment = self._segment
        true = np.empty(self.value_count, bool)
        false = np.empty(self.value_count, bool)
        elsewhere = np.broadcast_to(np.asarray(otherwise), self.count)
        unknown = np.zeros(self.value_count, bool)
        for number in range(self.count):
            first = max(int(segment.starts[number]), FIRST_SLOT)
            stop = int(segment.starts[number + 1])
            place = slice(first - FIRST_SLOT, stop - FIRST_SLOT)
            if not looked_at[number]:
                true[place], false[place] = elsewhere[number], not elsewhere[number]
                continue
            found = _evaluated(predicate, segment.info.column, segment.labels(first, stop))
            true[place], false[place] = found.true.certain, found.false.certain
            unknown[place] = found.true.possible & ~found.true.certain & ~found.false.certain & found.false.possible
        if not unknown.any():
            return Truth(Part(true, true), Part(false, false))
        return Truth(Part(true, true | unknown), Part(false, false | unknown))

    def _last_of_first(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([self._segment.root.lasts[:1]], ["end"])


def _prefix(predicate: Expression) -> str:
    """The text that everything the predicate holds for begins with; empty when there is none."""
    if isinstance(predicate, Like) and predicate.case_sensitive and isinstance(predicate.part, Column):
        return re.split(r"[%_\\]", predicate.pattern, maxsplit=1)[0]
    if isinstance(predicate, Call) and predicate.name == "starts_with" and isinstance(predicate.args[0], Column):
        value = predicate.args[1]
        return str(value.value.as_py()) if isinstance(value, Literal) and value.value.is_valid else ""
    return ""


def _nowhere(slot_count: int) -> Truth:
    nowhere = np.zeros(slot_count, bool)
    return Truth(Part(nowhere, nowhere), Part(nowhere, nowhere))


def _of_bins(predicate: Expression, edges: pa.Array) -> Truth:
    """Decide for the values of each bin, none of them NaN or null."""
    bin_count = len(edges) + 1
    if isinstance(predicate, And | Or):
        parts = [_of_bins(part, edges) for part in predicate.parts]
        return _folded(parts, isinstance(predicate, And))
    if isinstance(predicate, Not):
        inner = _of_bins(predicate.part, edges)
        return Truth(inner.false, inner.true)
    if isinstance(predicate, IsNull) and isinstance(predicate.part, Column):
        return _constant(False, bin_count)
    if isinstance(predicate, InList) and isinstance(predicate.part, Column):
        return _folded([_compared("=", value, edges) for value in predicate.values], conjunction=False)
    if isinstance(predicate, Compare):
        if isinstance(predicate.left, Column) and isinstance(predicate.right, Literal):
            return _compared(predicate.op, predicate.right, edges)
        if isinstance(predicate.left, Literal) and isinstance(predicate.right, Column):
            return _compared(_MIRRORED[predicate.op], predicate.left, edges)
    return _unknown(bin_count)


def _compared(op: CompareOp, literal: Literal, edges: pa.Array) -> Truth:
    """Decide `value op literal` for bins (-inf, e0), [e0, e1), ... [en, inf)."""
    if not literal.value.is_valid:
        return _nowhere(len(edges) + 1)
    try:
        below = _edges_compare("<", edges, literal)
        above = _edges_compare(">", edges, literal)
        # The largest integer of a bin is one below its upper edge. (An overflow wraps to "may be larger": still safe.)
        largest = pc.subtract(edges, pa.scalar(1, edges.type)) if pa.types.is_integer(edges.type) else edges
        top_above = _edges_compare(">", largest, literal)
    except (EskerError, pa.ArrowException):
        return _unknown(len(edges) + 1)
    value = literal.value.as_py() if pa.types.is_floating(literal.value.type) else None
    unbounded = not (value is not None and math.isnan(value))  # no number of the last bin reaches NaN
    may_be = (
        np.concatenate(([True], below)),
        np.concatenate(([True], ~above)) & np.concatenate((above, [unbounded])),
        np.concatenate((top_above, [unbounded])),
    )
    nowhere = np.zeros(len(edges) + 1, bool)
    inside = np.logical_or.reduce([nowhere, *(m for m, taken in zip(may_be, _TAKES[op], strict=True) if taken)])
    outside = np.logical_or.reduce([nowhere, *(m for m, taken in zip(may_be, _TAKES[op], strict=True) if not taken)])
    return Truth(Part(inside & ~outside, inside), Part(outside & ~inside, outside))


def _edges_compare(op: CompareOp, edges: pa.Array, literal: Literal) -> Flags:
    """Compare edges as the scan would compare the column's values."""
    found = evaluate(Compare(op, Column("edge"), literal), pa.RecordBatch.from_arrays([edges], ["edge"]))
    flags: Flags = found.to_numpy(zero_copy_only=False).astype(bool)
    return flags


def _folded(parts: list[Truth], conjunction: bool) -> Truth:
    """AND or OR: false is the OR or AND of the falses."""
    folded = parts[0]
    for part in parts[1:]:
        if conjunction:
            folded = Truth(folded.true & part.true, folded.false | part.false)
        else:
            folded = Truth(folded.true | part.true, folded.false & part.false)
    return folded


def _constant(value: bool, slot_count: int) -> Truth:
    everywhere, nowhere = np.ones(slot_count, bool), np.zeros(slot_count, bool)
    parts = Part(everywhere, everywhere), Part(nowhere, nowhere)
    return Truth(*(parts if value else parts[::-1]))


def _unknown(slot_count: int) -> Truth:
    part = Part(np.zeros(slot_count, bool), np.ones(slot_count, bool))
    return Truth(part, part)


def _joined(missing: Part, rest: Part) -> Part:
    assert (0, 1, len(missing.certain)) == (NULL_SLOT, NAN_SLOT, FIRST_SLOT), "null and NaN come first"
    certain = np.concatenate((missing.certain, rest.certain))
    if missing.possible is missing.certain and rest.possible is rest.certain:
        return Part(certain, certain)  # one array says that it is exact
    return Part(certain, np.concatenate((missing.possible, rest.possible)))
