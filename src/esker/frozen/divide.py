"""Where one extent ends and the next begins."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import OptionError, UnsupportedTypeError

# Fewer rows than this on average, over so many extents, is a split_by by mistake: an id instead of a month.
_EXTENT_ROWS_MIN = 16
_EXTENTS_JUDGED = 1_000


def divide(batches: Iterator[pa.RecordBatch], split_by: str | None) -> Iterator[tuple[pa.RecordBatch, bool]]:
    """Cut batches where the value of `split_by` changes; the flag says that a new extent begins.

    Equal neighbours stay together, nulls with nulls and NaN with NaN. Empty batches vanish.

    >>> month = pa.record_batch({"month": [1, 1, 2, 2, 2]})
    >>> [(piece.num_rows, begins) for piece, begins in divide(iter([month, month]), "month")]
    [(2, True), (3, True), (2, True), (3, True)]
    """
    last: pa.Array | None = None
    row_count = extent_count = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        if split_by is None:
            yield batch, last is None
            last = batch.column(0).slice(0, 0)
            continue
        starts = _changes(batch.column(split_by), last)
        last = batch.column(split_by).slice(batch.num_rows - 1)
        row_count += batch.num_rows
        extent_count += len(starts)
        if extent_count > _EXTENTS_JUDGED and row_count < extent_count * _EXTENT_ROWS_MIN:
            raise OptionError(
                f"split_by={split_by!r} would make an extent of {row_count / extent_count:.1f} rows on average;"
                " choose a column whose value lasts longer, such as a month, or sort by it first"
            )
        edges = [0, *(start for start in starts if start), batch.num_rows]
        for start, stop in pairwise(edges):
            yield batch.slice(start, stop - start), start in starts


def _changes(column: pa.Array, last: pa.Array | None) -> list[int]:
    """Row numbers whose value differs from the row before; the first row's is `last`, or none."""
    joined = column if last is None else pa.concat_arrays([last, column])
    if pa.types.is_floating(joined.type):
        # Minus zero equals zero, but has other bits; adding zero makes them alike.
        joined = pc.add(joined.cast(pa.float64()), 0.0)
    codes = joined.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False)
    changes = np.flatnonzero(np.diff(codes)) + (1 if last is None else 0)
    return [0, *changes.tolist()] if last is None else changes.tolist()


def require_divisible(name: str, schema: pa.Schema) -> None:
    """Raise UnsupportedTypeError for a column whose values cannot be compared for equality."""
    try:
        _changes(pa.array([], schema.field(name).type), None)
    except (pa.ArrowException, NotImplementedError) as error:
        raise UnsupportedTypeError(
            f"split_by={name!r}: values of type {schema.field(name).type} cannot be compared; choose another column"
        ) from error
