"""Rows of one side held in memory, from which matched ones are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Positions = npt.NDArray[np.int64]

# Strings of a block must stay below 2 GiB, or their 32-bit offsets overflow.
_BLOCK_BYTES = 1 << 30


class HeldRows:
    """Batches as one run of rows, numbered from 0.

    >>> rows = HeldRows([pa.record_batch({"a": ["x", "y"]}), pa.record_batch({"a": ["z"]})])
    >>> rows.take("a", np.array([2, -1, 0])).to_pylist()
    ['z', None, 'x']
    """

    def __init__(self, batches: Iterable[pa.RecordBatch], *, copy: bool = True) -> None:
        """Hold `batches`; `copy=False` leaves them where they are, in a mapped file."""
        self._blocks = list(_blocks(batches) if copy else batches)
        self._firsts = np.cumsum([0, *(block.num_rows for block in self._blocks)])
        self.row_bytes = int(sum(block.nbytes for block in self._blocks) // max(self.row_count, 1))

    @property
    def row_count(self) -> int:
        """How many rows are held."""
        return int(self._firsts[-1])

    def column(self, name: str) -> pa.Array:
        """A whole column."""
        return pa.concat_arrays([block.column(name) for block in self._blocks])

    def take(self, name: str, positions: Positions) -> pa.Array:
        """The values of a column at `positions`; -1 gives a null."""
        if len(self._blocks) == 1 or not len(positions):
            return take(self._blocks[0].column(name), positions)
        # Block by block, then back into the order asked for.
        block_of = np.clip(np.searchsorted(self._firsts, positions, "right") - 1, 0, None)
        order = np.argsort(block_of, kind="stable")
        touched, starts = np.unique(block_of[order], return_index=True)
        parts = []
        for index, places in zip(touched, np.split(order, starts[1:]), strict=True):
            wanted = positions[places]
            column = self._blocks[index].column(name)
            parts.append(take(column, np.where(wanted < 0, -1, wanted - self._firsts[index])))
        if len(parts) == 1:
            return parts[0]
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_arrays(parts).take(pa.array(back))


def _blocks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    gathered: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if gathered and size + batch.nbytes > _BLOCK_BYTES:
            yield pa.concat_batches(gathered)
            gathered, size = [], 0
        gathered.append(batch)
        size += batch.nbytes
    if gathered:
        yield pa.concat_batches(gathered) if len(gathered) > 1 else gathered[0]


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


def _counts_up(positions: Sequence[int] | Positions) -> bool:
    return bool(np.array_equal(positions, np.arange(len(positions))))
