"""Counts of values and sums over the rows of a predicate: from vectors where they tell, else from the rows."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.errors import InputError, UnsupportedTypeError
from esker.expression import Expression
from esker.index.column_spec import BitSliced
from esker.index.segment import ReadCount, Segment
from esker.index.sliced import SlicedSegment
from esker.index.slots import NAN_SLOT, NULL_SLOT
from esker.index.store import IndexStore, OpenBlock
from esker.index.ticks import scalar_of

Groups = Counter[tuple[Any, ...]]
# Reading a row of one column costs about as many bytes of memory pages as this many bytes of vectors.
ROW_BYTES = 64


def group_counts(
    store: IndexStore, names: Sequence[str], predicate: Expression | None, context: QueryContext
) -> Groups:
    """Count the rows of each combination of values; null is None, NaN one value."""
    counts: Groups = Counter()
    for block, rows in store.matches(predicate, context):
        if not rows:
            continue
        segment = _values_of(block, names)
        if segment is not None and _vectors_pay(segment, rows):
            counts.update(dict(_counted_by_vectors(block, segment, rows, predicate is None)))
        else:
            _count_rows(block, names, rows, counts, context)
    return counts


def top(
    store: IndexStore, name: str, count: int, predicate: Expression | None, context: QueryContext
) -> list[tuple[Any, int]]:
    """Give the `count` most frequent values, most rows first, then by value; null is no value.

    With one block a vector is read only while its slot may still hold enough rows.
    """
    if len(store.blocks) == 1:
        ((block, rows),) = store.matches(predicate, context)
        segment = _values_of(block, [name])
        if segment is not None and _vectors_pay(segment, rows):
            return _top_by_vectors(segment, rows, count)
    counts = group_counts(store, [name], predicate, context)
    counts.pop((None,), None)
    # Sorted by rows alone first: values of a column compare with one another, NaN with none.
    ordered = sorted(counts.items(), key=lambda item: (-item[1], _sort_key(item[0][0])))
    return [(value[0], rows) for value, rows in ordered[:count]]


def distinct(store: IndexStore, name: str, predicate: Expression | None, context: QueryContext) -> list[Any]:
    """Give the values there are, ascending; null is no value."""
    values = {value[0] for value in group_counts(store, [name], predicate, context)} - {None}
    return sorted(values, key=_sort_key)


def total(store: IndexStore, name: str, predicate: Expression | None, context: QueryContext) -> Any:
    """Add up a column of numbers; None without a value. Sums of integers and decimals are exact, however large."""
    type_ = store.schema.field(name).type
    if not (pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        raise UnsupportedTypeError(f"column {name!r} ({type_}) has no sum; that takes numbers")
    parts: list[Any] = []
    for block, rows in store.matches(predicate, context):
        sliced = _slices_of(block, name)
        if sliced is not None:
            ticks, count = sliced.slices(ReadCount()).sum(rows)
            parts += [_exact(ticks, type_)] if count else []
        else:
            parts += [_sum_of(values, type_) for values in _values(block, name, rows, context)]
    known = [part for part in parts if part is not None]
    if not known:
        return None
    return math.fsum(known) if pa.types.is_floating(type_) else sum(known[1:], start=known[0])


def quantile(store: IndexStore, name: str, share: float, predicate: Expression | None, context: QueryContext) -> Any:
    """Give the value below which `share` of the others lie: rank floor(share * (n - 1)) of the n values; None of none.

    0 is the least value, 1 the greatest. NaN is the greatest of all.
    """
    if not 0 <= share <= 1:
        raise InputError(f"a quantile of {share}; give a share from 0 to 1")
    matched = list(store.matches(predicate, context))
    if len(matched) == 1:
        block, rows = matched[0]
        sliced = _slices_of(block, name)
        if sliced is not None:
            slices = sliced.slices(ReadCount())
            rank = math.floor(share * ((rows & slices.known).count() - 1))
            found = slices.quantile(rows, rank)
            return None if found is None else scalar_of(found, sliced.label_type).as_py()
    counts = group_counts(store, [name], predicate, context)
    counts.pop((None,), None)
    rank = math.floor(share * (sum(counts.values()) - 1))
    for value in sorted(counts, key=lambda one: _sort_key(one[0])):
        rank -= counts[value]
        if rank < 0:
            return value[0]
    return None


def _values_of(block: OpenBlock, names: Sequence[str]) -> Segment | SlicedSegment | None:
    """The segment whose vectors tell the one column's values apart."""
    if len(names) != 1 or names[0] not in block.index.columns:
        return None
    segment = block.index.segment_file(names[0])
    if isinstance(segment, Segment):
        return segment if segment.holds_values else None
    return segment if isinstance(segment, SlicedSegment) else None


def _slices_of(block: OpenBlock, name: str) -> SlicedSegment | None:
    known = name in block.index.columns and block.index.segment_file(name).info.kind == BitSliced.kind
    segment = block.index.segment_file(name) if known else None
    return segment if isinstance(segment, SlicedSegment) else None


def _vectors_pay(segment: Segment | SlicedSegment, rows: Bitmap) -> bool:
    """Whether reading vectors costs less than reading the values of the rows."""
    return int(segment.root.vector_bytes.sum()) <= rows.count() * ROW_BYTES


def _counted_by_vectors(
    block: OpenBlock, segment: Segment | SlicedSegment, rows: Bitmap, every: bool
) -> Iterator[tuple[tuple[Any, ...], int]]:
    if isinstance(segment, SlicedSegment):
        slices = segment.slices(ReadCount())
        if missing := (rows & slices.nulls).count():
            yield (None,), missing
        yield from (((value.as_py(),), count) for value, count in slices.values(rows))
        return
    slot_rows = segment.slot_rows()
    labels = segment.labels(0, segment.slot_count)
    whole = every and block.deleted is None
    for slot in np.flatnonzero(slot_rows).tolist():
        count = int(slot_rows[slot]) if whole else _within(segment, slot, rows)
        if count:
            yield (_label(labels, slot),), count


def _within(segment: Segment, slot: int, rows: Bitmap) -> int:
    return (segment.slot_vector(slot, ReadCount()) & rows).count()


def _label(labels: pa.Array, slot: int) -> Any:
    if slot == NULL_SLOT:
        return None
    return math.nan if slot == NAN_SLOT else labels[slot].as_py()


def _top_by_vectors(segment: Segment | SlicedSegment, rows: Bitmap, count: int) -> list[tuple[Any, int]]:
    if isinstance(segment, SlicedSegment):
        pairs = ((value.as_py(), found) for value, found in segment.slices(ReadCount()).values(rows))
        return heapq.nsmallest(count, pairs, key=lambda pair: (-pair[1], _sort_key(pair[0])))
    slot_rows = segment.slot_rows()
    labels = segment.labels(0, segment.slot_count)
    best: list[tuple[int, int]] = []  # rows, minus the place in the order of values: the least is the first to go
    last = segment.slot_count
    # NaN lies in slot 1 and is above all others.
    for slot in sorted(np.flatnonzero(slot_rows[NAN_SLOT:]) + NAN_SLOT, key=lambda one: -int(slot_rows[one])):
        if len(best) == count and int(slot_rows[slot]) < best[0][0]:
            break
        found = _within(segment, int(slot), rows)
        if found:
            order = last if slot == NAN_SLOT else int(slot)
            heapq.heappush(best, (found, -order))
            if len(best) > count:
                heapq.heappop(best)
    ordered = sorted(best, reverse=True)
    return [(math.nan if -order == last else labels[-order].as_py(), found) for found, order in ordered]


def _count_rows(block: OpenBlock, names: Sequence[str], rows: Bitmap, counts: Groups, context: QueryContext) -> None:
    for found in block.fetch(rows.rows(), names, context):
        table = pa.Table.from_batches([found.batch])
        columns = [_plain_column(table.column(name)) for name in names]
        grouped = pa.table(columns, list(map(str, range(len(names))))).group_by(list(map(str, range(len(names)))))
        counted = grouped.aggregate([([], "count_all")])
        keys = [counted.column(str(number)).to_pylist() for number in range(len(names))]
        for *key, number in zip(*keys, counted.column("count_all").to_pylist(), strict=True):
            counts[tuple(_one_nan(value) for value in key)] += number


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Zero is one value."""
    return pc.add(column, pa.scalar(0.0, column.type)) if pa.types.is_floating(column.type) else column


def _one_nan(value: Any) -> Any:
    """NaN is equal to nothing, itself included: one object stands for all, since a dict looks at identity first."""
    return math.nan if isinstance(value, float) and math.isnan(value) else value


def _values(block: OpenBlock, name: str, rows: Bitmap, context: QueryContext) -> Iterator[pa.Array]:
    if rows:
        for found in block.fetch(rows.rows(), [name], context):
            yield found.batch.column(0).drop_null()


def _sum_of(values: pa.Array, type_: pa.DataType) -> Any:
    if not len(values):
        return None
    if pa.types.is_integer(type_):
        # In halves of 32 bits, so that no batch overflows.
        plain = values.to_numpy(zero_copy_only=False)
        low = int((plain & np.asarray(0xFFFFFFFF, plain.dtype) if plain.dtype.itemsize == 8 else plain).sum())
        return low + (int((plain >> np.asarray(32, plain.dtype)).sum()) << 32) if plain.dtype.itemsize == 8 else low
    if pa.types.is_decimal(type_):
        return sum((value for value in values.to_pylist()), start=Decimal(0))
    return math.fsum(values.to_numpy(zero_copy_only=False).astype(np.float64))


def _exact(ticks: int, type_: pa.DataType) -> Any:
    if pa.types.is_decimal(type_):
        sign, digits = int(ticks < 0), tuple(int(digit) for digit in str(abs(ticks)))
        return Decimal((sign, digits, -type_.scale))
    return ticks


def _sort_key(value: Any) -> tuple[bool, Any]:
    """NaN behind all others."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return is_nan, 0 if is_nan else value
