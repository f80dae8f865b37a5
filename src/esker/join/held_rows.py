"""Rows of one side held in memory, from which matched ones are taken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.errors import UnsupportedTypeError
from esker.kernel import _kernel

Positions = npt.NDArray[np.int64]


class HeldRows:
    """Batches as one run of rows, numbered from 0; they stay as they are, in memory or in a mapped file.

    >>> rows = HeldRows([pa.record_batch({"a": ["x", "y"]}), pa.record_batch({"a": ["z"]})])
    >>> rows.take("a", np.array([2, -1, 0])).to_pylist()
    ['z', None, 'x']
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = list(batches)
        self._columns: dict[str, _Pieces | _Joined] = {}
        self.row_count = sum(batch.num_rows for batch in self._batches)
        self.row_bytes = sum(batch.nbytes for batch in self._batches) // max(self.row_count, 1)

    def column(self, name: str) -> pa.Array:
        """A whole column."""
        return pa.concat_arrays([batch.column(name) for batch in self._batches])

    def take(self, name: str, positions: Positions) -> pa.Array:
        """The values of a column at `positions`; -1 gives a null."""
        if len(self._batches) == 1:
            return take(self._batches[0].column(name), positions)
        if name not in self._columns:
            self._columns[name] = _column([batch.column(name) for batch in self._batches])
        return self._columns[name].take(positions)


def gather(batches: Sequence[pa.RecordBatch], positions: Positions) -> pa.RecordBatch:
    """The rows at `positions` of batches of one schema.

    >>> gather([pa.record_batch({"a": [1, 2]}), pa.record_batch({"a": [3]})], np.array([2, 0])).to_pydict()
    {'a': [3, 1]}
    """
    if len(batches) == 1:
        return batches[0].take(pa.array(positions))
    rows = HeldRows(batches)
    schema = batches[0].schema
    return pa.RecordBatch.from_arrays([rows.take(name, positions) for name in schema.names], schema=schema)


def copies_held(schema: pa.Schema) -> int:
    """How many times the bytes of held rows they take: the kernel takes from where they lie, others make one run."""
    return 1 if all(_gathered(field.type) for field in schema) else 2


def take(column: pa.Array, positions: Positions) -> pa.Array:
    """The values at `positions`, of which -1 gives a null; the column itself when it is asked for whole."""
    missing = positions < 0
    if missing.any():
        if not len(column):
            return pa.nulls(len(positions), column.type)
        return column.take(pa.array(positions, mask=missing))
    if len(positions) == len(column) and _counts_up(positions):
        return column
    return column.take(pa.array(positions))


class _Pieces:
    """A column whose values the kernel gathers."""

    def __init__(self, arrays: Sequence[pa.Array], pieces: _kernel.ColumnPieces) -> None:
        self._type = arrays[0].type
        self._pieces = pieces

    def take(self, positions: Positions) -> pa.Array:
        wanted = np.ascontiguousarray(positions, np.int64)
        validity, values, data, nulls = self._pieces.take(wanted, pa.allocate_buffer)
        buffers = [validity, values] if data is None else [validity, values, data]
        return pa.Array.from_buffers(self._type, len(wanted), buffers, cast(int, nulls))


class _Joined:
    """A column of any type, made one run; strings that pass 2 GiB together get 64-bit offsets."""

    def __init__(self, arrays: Sequence[pa.Array]) -> None:
        self._column = pa.chunked_array(arrays)
        self._type = arrays[0].type
        if sum(array.nbytes for array in arrays) < 1 << 31:
            self._column = pa.chunked_array([pa.concat_arrays(arrays)])

    def take(self, positions: Positions) -> pa.Array:
        if self._column.num_chunks == 1:
            return take(self._column.chunk(0), positions)
        found = self._column.take(pa.array(positions, mask=positions < 0))
        return pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], self._type)


def _column(arrays: Sequence[pa.Array]) -> _Pieces | _Joined:
    if not _gathered(arrays[0].type):
        return _Joined(arrays)
    try:
        pieces = _kernel.ColumnPieces([pa.record_batch([array], names=["v"]) for array in arrays])
    except UnsupportedTypeError:
        return _Joined(arrays)
    return _Pieces(arrays, pieces)


def _gathered(type_: pa.DataType) -> bool:
    """Whether the kernel may gather values of a type: plain numbers, times, truths and strings, all of one layout."""
    return bool(
        pa.types.is_primitive(type_)
        or pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or pa.types.is_decimal(type_)
    )


def _counts_up(positions: Positions) -> bool:
    return bool(len(positions) and positions[0] == 0 and np.array_equal(positions, np.arange(len(positions))))
