"""A random share of the rows, or a number of them, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.seeded import generator
from esker.engine.stores.spooled import spool
from esker.engine.stream import PartitionedStream, run

Chances = npt.NDArray[np.float64]

# So many numbers are looked through at once, at least, when the smallest are kept of those that came.
_CHANCES_AT_ONCE = 1 << 16


def sample(stream: PartitionedStream, fraction: float, seed: int) -> PartitionedStream:
    """Keep each row with the chance `fraction`.

    Each partition has its own chance, drawn once a row, so neither threads nor the size of batches change what stays.
    """

    def partition(index: int) -> Iterator[pa.RecordBatch]:
        chance = generator(seed, index)
        for batch in stream.partition(index):
            kept = batch.filter(pa.array(chance.random(batch.num_rows) < fraction))
            if kept.num_rows:
                yield kept

    return replace(stream, partition=partition, remote=None)


def sample_rows(
    stream: PartitionedStream, row_count: int, seed: int, context: QueryContext, bytes_max: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield `row_count` rows in the order of the input, every set of as many as likely as another; all of fewer rows.

    Every row draws a number, and those of the smallest numbers stay: one pass, in which the rows that may still stay
    are spooled, about row_count x (1 + ln(rows / row_count)) of them. Fewer rows are given where they would take more
    than about `bytes_max` bytes.
    """
    smallest = _Smallest(row_count)
    schema = stream.schema.append(pa.field("_" * (1 + max(map(len, stream.schema.names))), pa.float64()))
    rows = spool(_candidates(stream, schema, seed, smallest, context), schema, "sample", context).table
    if bytes_max is not None and rows.nbytes > bytes_max:
        row_count = min(row_count, max(1, bytes_max * rows.num_rows // rows.nbytes))
    limit = smallest.nth(row_count)
    for batch in rows.to_batches(max_chunksize=context.batch_rows):
        context.check()
        kept = batch.filter(pa.array(batch.columns[-1].to_numpy() <= limit))
        if kept.num_rows:
            yield kept.select(stream.schema.names)


def _candidates(
    stream: PartitionedStream, schema: pa.Schema, seed: int, smallest: _Smallest, context: QueryContext
) -> Iterator[pa.RecordBatch]:
    def partition(index: int) -> Iterator[pa.RecordBatch]:
        chance = generator(seed, index)
        for batch in stream.partition(index):
            drawn = pa.array(chance.random(batch.num_rows))
            yield pa.RecordBatch.from_arrays([*batch.columns, drawn], schema=schema)

    for batch in run(replace(stream, schema=schema, partition=partition, remote=None), context, "scan before sample"):
        may_stay = smallest.add(batch.columns[-1].to_numpy())
        if may_stay.any():
            yield batch.filter(pa.array(may_stay))


class _Smallest:
    """The `count` smallest of the numbers that were added.

    >>> smallest = _Smallest(2)
    >>> smallest.add(np.array([0.5, 0.1])).tolist(), smallest.add(np.array([0.7, 0.2])).tolist()
    ([True, True], [False, True])
    >>> smallest.nth(1), smallest.nth(2)
    (0.1, 0.2)
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[Chances] = []
        self._kept_count = 0
        self._limit = np.inf

    def add(self, numbers: Chances) -> npt.NDArray[np.bool_]:
        """Say which of `numbers` may be among the smallest, as far as is known."""
        may_stay: npt.NDArray[np.bool_] = numbers <= self._limit if self._count else np.zeros(len(numbers), bool)
        self._kept.append(numbers[may_stay])
        self._kept_count += len(self._kept[-1])
        first = np.isinf(self._limit) and self._kept_count >= self._count
        if first or self._kept_count > 2 * self._count + _CHANCES_AT_ONCE:
            self._shrink()
        return may_stay

    def nth(self, count: int) -> float:
        """The `count`-th smallest; infinity where there are fewer numbers, and less than all of them for 0."""
        self._shrink()
        numbers = np.sort(self._kept[0])
        if not count:
            return -np.inf
        return float(numbers[count - 1]) if count <= len(numbers) else np.inf

    def _shrink(self) -> None:
        numbers = np.concatenate(self._kept) if self._kept else np.empty(0)
        if self._count and len(numbers) >= self._count:
            numbers = np.partition(numbers, self._count - 1)[: self._count]
            self._limit = float(numbers[-1])
        self._kept, self._kept_count = [numbers], len(numbers)
