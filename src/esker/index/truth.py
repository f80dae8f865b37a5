"""What a predicate on one column says of each slot: of all its rows, of some, of none."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import EskerError
from esker.expression import And, Column, Compare, CompareOp, Expression, InList, IsNull, Literal, Not, Or, evaluate
from esker.index.column_spec import Equality
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

    The values of an equality segment, NaN and null are decided by evaluating the predicate on them, so that the index
    means by an operator what a scan means by it. Bins are decided by their edges.
    """
    column, values = segment.info.column, segment.values
    missing = pa.array([None, float("nan") if pa.types.is_floating(values.type) else None], values.type)
    if segment.info.kind == Equality.kind:
        return _evaluated(predicate, column, pa.concat_arrays([missing, values]))
    ends, bins = _evaluated(predicate, column, missing), _of_bins(predicate, values)
    return Truth(*(_joined(ends.of(polarity), bins.of(polarity)) for polarity in (True, False)))


def _evaluated(predicate: Expression, column: str, values: pa.Array) -> Truth:
    try:
        found = evaluate(predicate, pa.RecordBatch.from_arrays([values], [column]))
    except (EskerError, pa.ArrowException):
        return _unknown(len(values))  # a value it fails on may be behind another condition: left to the check
    true = found.fill_null(False).to_numpy(zero_copy_only=False)
    false = pc.invert(found).fill_null(False).to_numpy(zero_copy_only=False)
    return Truth(Part(true, true), Part(false, false))


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
        nowhere = np.zeros(len(edges) + 1, bool)
        return Truth(Part(nowhere, nowhere), Part(nowhere, nowhere))
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
    return Part(np.concatenate((missing.certain, rest.certain)), np.concatenate((missing.possible, rest.possible)))
