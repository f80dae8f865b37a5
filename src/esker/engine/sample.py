"""A random share of the rows, or a number of them, the same in every run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.context import QueryContext
from esker.core.seeded import generator
from esker.engine.sources.stored import PARTITION_ROWS
from esker.engine.stages import Stage
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


def draw(stream: PartitionedStream, row_count: int, seed: int) -> PartitionedStream:
    """Have every row draw a number, each partition by a chance of its own; keep those that `row_count` may be of."""
    schema = drawn_schema(stream.schema)

    def partition(index: int) -> Iterator[pa.RecordBatch]:
        return drawn_stage(generator(seed, index).random, row_count, schema)(stream.partition(index))

    return replace(stream, schema=schema, partition=partition, remote=None)


def drawn_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with the drawn numbers behind, under a name that no column has."""
    return schema.append(pa.field("_" * (1 + max((len(name) for name in schema.names), default=0)), pa.float64()))


def drawn_stage(chance: Callable[[int], Chances], row_count: int, schema: pa.Schema) -> Stage:
    """Put numbers behind rows, which `chance` gives so many at a time, and keep about the `row_count` smallest."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        smallest = _Smallest(row_count)
        for batch in batches:
            drawn = chance(batch.num_rows)
            may_stay = smallest.add(drawn)
            if may_stay.any():
                both = pa.RecordBatch.from_arrays([*batch.columns, pa.array(drawn)], schema=schema)
                yield both.filter(pa.array(may_stay))

    return stage


class RowChance:
    """The numbers that rows draw which lie at known places of a table whose partitions are of `PARTITION_ROWS` rows.

    >>> whole = generator(7, 0).random(5).tolist()
    >>> RowChance(7, 2)(3).tolist() == whole[2:]
    True
    """

    def __init__(self, seed: int, first_row: int) -> None:
        self._seed = seed
        self._row = first_row
        self._chance: np.random.Generator | None = None

    def __call__(self, count: int) -> Chances:
        """The numbers of the next rows."""
        found: list[Chances] = []
        while count:
            index, before = divmod(self._row, PARTITION_ROWS)
            if self._chance is None or not before:
                self._chance = generator(self._seed, index)
                self._chance.random(before)
            taken = min(count, PARTITION_ROWS - before)
            found.append(self._chance.random(taken))
            self._row += taken
            count -= taken
        return np.concatenate(found) if found else np.empty(0)


def sample_rows(
    drawn: PartitionedStream, row_count: int, context: QueryContext, bytes_max: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield `row_count` rows in the order of the input, every set of as many as likely as another; all of fewer rows.

    Every row drew a number, the last column, and those of the smallest numbers stay: one pass, in which the rows that
    may still stay are spooled, about row_count x (1 + ln(rows / row_count)) of them. Fewer rows are given where they
    would take more than about `bytes_max` bytes.
    """
    smallest = _Smallest(row_count)
    rows = spool(_candidates(drawn, smallest, context), drawn.schema, "sample", context).table
    names = drawn.schema.names[:-1]

    def kept(limit: float) -> Iterator[pa.RecordBatch]:
        for batch in rows.to_batches(max_chunksize=context.batch_rows):
            context.check()
            found = batch.filter(pa.array(batch.columns[-1].to_numpy() <= limit))
            if found.num_rows:
                yield found.select(names)

    limit = smallest.nth(row_count)
    if bytes_max is not None and rows.nbytes > bytes_max:
        # Of what stays, and not of all that might have: how many that were hangs on who looked at which rows.
        sizes = [(batch.num_rows, _bytes_of(batch)) for batch in kept(limit)]
        count, size = (sum(part) for part in zip(*sizes, strict=True))
        if size > bytes_max:
            limit = smallest.nth(min(row_count, max(1, bytes_max * count // size)))
    yield from kept(limit)


def _bytes_of(batch: pa.RecordBatch) -> int:
    """What the values take, however they are cut into batches."""
    size = 0
    for column in batch.columns:
        if _is_text(column.type):
            size += (pc.sum(pc.binary_length(column)).as_py() or 0) + 4 * len(column)
        else:
            size += len(column) * _width(column.type)
    return size


def _width(type_: pa.DataType) -> int:
    try:
        return max(1, int(type_.bit_width) // 8)
    except ValueError:
        return 16


def _is_text(type_: pa.DataType) -> bool:
    """Whether values are texts or bytes of any length."""
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(test(type_) for test in tests)


def _candidates(drawn: PartitionedStream, smallest: _Smallest, context: QueryContext) -> Iterator[pa.RecordBatch]:
    for batch in run(drawn, context, "scan before sample"):
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
            may_stay &= numbers <= self._limit
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
