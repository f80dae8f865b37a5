"""Rows of one partition, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.batch import storage_of
from esker.shuffle.border import encoded_key, is_encoded

Codes = npt.NDArray[np.int64]


def group_codes(table: pa.Table, by: Sequence[str]) -> tuple[Codes, int]:
    """Number the groups of `table` densely, in order of first appearance: (code of each row, number of groups).

    Nulls are one group, NaNs are one, and -0.0 is 0.0, as the key hash of the shuffle has it.

    >>> codes, count = group_codes(pa.table({"k": ["b", "a", None, "b"]}), ["k"])
    >>> codes.tolist(), count
    ([0, 1, 2, 0], 3)
    """
    if not by:
        return np.zeros(table.num_rows, np.int64), min(table.num_rows, 1)
    codes, count = _column_codes(table.column(by[0]))
    for name in by[1:]:
        column, column_count = _column_codes(table.column(name))
        codes, count = _dense(pa.array(codes * column_count + column))
    return codes, count


def first_rows_of(codes: Codes) -> npt.NDArray[np.int64]:
    """The first row of each group.

    >>> first_rows_of(np.array([0, 0, 1, 0, 2])).tolist()
    [0, 2, 4]
    """
    # Groups are numbered as they appear: a row is the first of its group where the highest number so far rises.
    return np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))


def last_rows_of(codes: Codes, count: int) -> npt.NDArray[np.int64]:
    """The last row of each group.

    >>> last_rows_of(np.array([0, 0, 1, 0, 2]), 3).tolist()
    [3, 2, 4]
    """
    rows = np.empty(count, np.int64)
    rows[codes] = np.arange(len(codes))  # of several rows, the last one stays
    return rows


def groups(table: pa.Table, by: Sequence[str]) -> Iterator[pa.Table]:
    """Yield each group as a table, in order of first appearance, rows in their order.

    Holds one gathered copy of the table; the groups are slices of it.
    """
    codes, count = group_codes(table, by)
    if count <= 1:
        if count:
            yield table
        return
    # NumPy sorts small integers by counting them.
    order = np.argsort(codes.astype(np.uint16) if count <= 1 << 16 else codes, kind="stable")
    gathered = table.take(pa.array(order))
    start = 0
    for row_count in np.bincount(codes, minlength=count).tolist():
        yield gathered.slice(start, row_count)
        start += row_count


def largest_group(table: pa.Table, by: Sequence[str]) -> tuple[object, int]:
    """The key and the number of rows of the largest group, for error messages."""
    codes, count = group_codes(table, by)
    if not count:
        return None, 0
    sizes = np.bincount(codes, minlength=count)
    row = int(np.argmax(codes == int(np.argmax(sizes))))
    key = tuple(table.column(name)[row].as_py() for name in by)
    return (key[0] if len(key) == 1 else key), int(sizes.max())


def _column_codes(column: pa.ChunkedArray) -> tuple[Codes, int]:
    column = storage_of(column)
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64), min(len(column), 1)
    if pa.types.is_floating(column.type):
        if pa.types.is_float16(column.type):  # no arithmetic on half floats; every one is a float32
            column = column.cast(pa.float32())
        column = pc.add(column, pa.scalar(0, column.type))  # -0.0 + 0 is 0.0
    if is_encoded(column.type):
        column = pa.chunked_array([encoded_key(chunk) for chunk in column.chunks], pa.large_binary())
    return _dense(column.combine_chunks())


def _dense(values: pa.Array | pa.ChunkedArray) -> tuple[Codes, int]:
    """Number the values in order of first appearance, null like any other."""
    encoded = values.dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), len(encoded.dictionary)
