"""Rows of one partition, group by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.shuffle.border import encoded_key, is_encoded

Codes = npt.NDArray[np.int64]


def group_codes(table: pa.Table, by: Sequence[str]) -> tuple[Codes, int]:
    """Number the groups of `table` densely, in order of first appearance: (code of each row, number of groups).

    Nulls are one group, NaNs are one, and -0.0 is 0.0, as the key hash of the shuffle has it.

    >>> codes, count = group_codes(pa.table({"k": ["b", "a", None, "b"]}), ["k"])
    >>> codes.tolist(), count
    ([0, 1, 2, 0], 3)
    """
    codes = np.zeros(table.num_rows, np.int64)
    for name in by:
        column = _column_codes(table.column(name))
        combined = codes * (int(column.max(initial=0)) + 1) + column
        codes = _dense(combined)
    return codes, int(codes.max(initial=-1)) + 1


def groups(table: pa.Table, by: Sequence[str]) -> Iterator[pa.Table]:
    """Yield each group as a table, in order of first appearance, rows in their order.

    Holds one gathered copy of the table; the groups are slices of it.
    """
    codes, count = group_codes(table, by)
    if count <= 1:
        if count:
            yield table
        return
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(count + 1))
    gathered = table.take(pa.array(order))
    for code in range(count):
        yield gathered.slice(int(bounds[code]), int(bounds[code + 1] - bounds[code]))


def largest_group(table: pa.Table, by: Sequence[str]) -> tuple[object, int]:
    """The key and the number of rows of the largest group, for error messages."""
    codes, count = group_codes(table, by)
    if not count:
        return None, 0
    sizes = np.bincount(codes, minlength=count)
    row = int(np.argmax(codes == int(np.argmax(sizes))))
    key = tuple(table.column(name)[row].as_py() for name in by)
    return (key[0] if len(key) == 1 else key), int(sizes.max())


def _column_codes(column: pa.ChunkedArray) -> Codes:
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64)
    if pa.types.is_floating(column.type):
        if pa.types.is_float16(column.type):  # no arithmetic on half floats; every one is a float32
            column = column.cast(pa.float32())
        column = pc.add(column, pa.scalar(0, column.type))  # -0.0 + 0 is 0.0
    if is_encoded(column.type):
        column = pa.chunked_array([encoded_key(chunk) for chunk in column.chunks], pa.large_binary())
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)  # type: ignore[no-any-return]


def _dense(codes: Codes) -> Codes:
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
