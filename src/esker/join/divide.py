"""Dividing two inputs by their keys, so that each part of the right one fits in memory (Grace)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa

from esker.core.context import QueryContext
from esker.errors import MemoryBudgetExceededError, UnsupportedTypeError
from esker.join.key_join import MATCH_BYTES_PER_ROW
from esker.join.spill_file import SpillFile, tell_spill
from esker.shuffle.border import require_held
from esker.shuffle.operator import ShuffleOperator

# Of the bytes free when a level begins, each of these takes one share: left pages, right pages, a part, the rest.
SHARES = 4
# A shuffle of one thread wants this much to get on; each further thread that much more.
_SHUFFLE_BYTES_MIN = 9 << 18
_THREAD_BYTES = 7 << 18
# What must be left for a part, when its pages have their memory.
_PART_BYTES_MIN = 2 << 20
# A partition needs a page to fill; the smallest is 64 KiB.
_PARTITION_BYTES_MIN = 128 << 10
_PARTITIONS_MAX = 512
_THREADS_MAX = 16
# Pages take a little more than what lies in them when they are read.
_PAGES_SHARE = 1.25
# However large the budget: strings of a block stay below 2 GiB.
BLOCK_BYTES_MAX = 1 << 30
# A part that is still too large after this many levels is joined block by block.
LEVELS_MAX = 4


# Takes "write" or "read", and how many bytes.
Charge = Callable[[str, int], None]


def uncharged(kind: str, size_bytes: int) -> None:
    """Charge nobody."""


@dataclass(frozen=True)
class Part:
    """Rows of both sides whose keys may be equal to each other, and to no key of another part.

    `fits` says whether `right` may be loaded whole; if not, its keys cannot be divided further.
    """

    left: Iterator[pa.RecordBatch]
    right: Iterator[pa.RecordBatch]
    fits: bool


def divide(
    left: Iterable[pa.RecordBatch],
    right: Iterable[pa.RecordBatch],
    schemas: tuple[pa.Schema, pa.Schema],
    by: tuple[list[str], list[str]],
    right_bytes: int,
    context: QueryContext,
    level: int = 0,
    charge: Charge = uncharged,
) -> Iterator[Part]:
    """Yield the parts in order of the key's hash; rows of a part keep the order of the input.

    `by` are the key columns of each schema, of the same types; `right_bytes` is how large the right side is thought
    to be, with what matching its rows takes. A part is valid until the next one is asked for; one that does not fit
    is divided again with another seed. What is written to and read from the spill folder goes to `charge`.
    """
    free_bytes = context.budget.free_bytes
    share = max(free_bytes // SHARES, _SHUFFLE_BYTES_MIN)
    part_bytes = min(share // 2, BLOCK_BYTES_MAX)  # loading and encoding a part takes about twice its bytes
    wanted = -(-right_bytes * 2 // part_bytes)  # parts differ in size, and sizes are guessed
    count = max(2, min(wanted, share // _PARTITION_BYTES_MIN, _PARTITIONS_MAX))
    with closing(_fill(right, schemas[1], by[1], count, share, context, level)) as rights:
        read_rights = _Spilled(rights, charge)
        with closing(_fill(left, schemas[0], by[0], count, share, context, level)) as lefts:
            read_lefts = _Spilled(lefts, charge)
            context.activity.spilled(read_lefts.spilled_bytes + read_rights.spilled_bytes)
            total = sum(rights.partition_rows)
            if level == 0:
                context.log.emit("join_divided", partitions=count, rows=[sum(lefts.partition_rows), total])
                _tell_spill(read_lefts, read_rights, free_bytes, context)
            for index in range(count):
                context.check()
                rows = rights.partition_rows[index]
                size = rights.partition_bytes[index] + MATCH_BYTES_PER_ROW * rows
                sides = read_lefts.partition(index), read_rights.partition(index)
                # All rows in one partition: one key, or so few that another seed would not help. Without memory for
                # pages of another level, blocks cost passes over the left part, and nothing else.
                stuck = (level > 0 and rows == total) or level + 1 == LEVELS_MAX or not _may_divide(context)
                if size <= part_bytes or stuck:
                    if size > part_bytes:
                        context.log.emit("join_part_in_blocks", level=level, right_rows=rows, right_bytes=size)
                    yield Part(*sides, fits=size <= part_bytes)
                else:
                    yield from divide(*sides, schemas, by, size, context, level + 1, charge)


def load(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Copy batches out of the pages they came in, so that those can be used again."""
    for batch in batches:
        yield pa.concat_batches([batch, batch.slice(0, 0)])


def blocks(batches: Iterable[pa.RecordBatch], size_bytes: int) -> Iterator[list[pa.RecordBatch]]:
    """Gather batches into blocks of about `size_bytes`."""
    block: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        if block and held + batch.nbytes > size_bytes:
            yield block
            block, held = [], 0
        block.append(batch)
        held += batch.nbytes
    if block:
        yield block


def keep_for_rereading(batches: Iterable[pa.RecordBatch], schema: pa.Schema, context: QueryContext) -> SpillFile:
    """Write a part's rows to a spill file, since a partition can be read only once."""
    file = SpillFile("join-part", schema, context)
    try:
        for batch in batches:
            file.write(batch)
        file.seal()
    except BaseException:
        file.close()
        raise
    return file


def block_bytes(context: QueryContext) -> int:
    """How large a block of an indivisible part may be."""
    return min(max(context.budget.free_bytes // SHARES, 1 << 20), BLOCK_BYTES_MAX)


def undividable(schema: pa.Schema) -> str | None:
    """Say which column the shuffle's pages do not hold, or give None when they hold all."""
    try:
        require_held(schema)
    except UnsupportedTypeError as error:
        return str(error)
    return None


class _Spilled:
    """A filled shuffle whose spill is charged: its writing at once, its reading with the partitions."""

    def __init__(self, shuffle: ShuffleOperator, charge: Charge) -> None:
        self._shuffle = shuffle
        self._charge = charge
        counted = shuffle.statistics()
        self.spilled_bytes = int(counted["spilled_bytes"])
        # What its pages would take if none was spilled.
        self.page_bytes = int(counted["allocated_bytes"])
        self.largest_bytes = max(shuffle.partition_bytes, default=0)
        self._share = self.spilled_bytes / max(sum(shuffle.partition_bytes), 1)
        if self.spilled_bytes:
            charge("write", self.spilled_bytes)

    def partition(self, index: int) -> Iterator[pa.RecordBatch]:
        size = int(self._shuffle.partition_bytes[index] * self._share)
        if size:
            self._charge("read", size)
        yield from self._shuffle.partition(index)


def _tell_spill(lefts: _Spilled, rights: _Spilled, free_bytes: int, context: QueryContext) -> None:
    """Say what went to disk, and the budget with which the pages of either side, and the largest part, had stayed."""
    needed = max(
        int(SHARES * _PAGES_SHARE * max(lefts.page_bytes, rights.page_bytes)), 2 * SHARES * rights.largest_bytes
    )
    tell_spill("both sides, divided by key", lefts.spilled_bytes + rights.spilled_bytes, needed, free_bytes, context)


def _may_divide(context: QueryContext) -> bool:
    return context.budget.free_bytes >= 2 * _SHUFFLE_BYTES_MIN + _PART_BYTES_MIN


def _fill(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    by: list[str],
    count: int,
    memory_bytes: int,
    context: QueryContext,
    level: int,
) -> ShuffleOperator:
    operator = _operator(schema, by, count, memory_bytes, context, level)
    try:
        for batch in batches:
            operator.push(batch)
        operator.finish()
    except BaseException:
        operator.close()
        raise
    return operator


def _operator(
    schema: pa.Schema, by: list[str], count: int, memory_bytes: int, context: QueryContext, level: int
) -> ShuffleOperator:
    """Make a shuffle of as many threads as the memory feeds: what a thread takes grows with the partitions."""
    threads = min(context.threads, _THREADS_MAX, 1 + (memory_bytes - _SHUFFLE_BYTES_MIN) // _THREAD_BYTES)
    while True:
        try:
            return ShuffleOperator(
                schema,
                by,
                count,
                budget=context.budget,
                memory_bytes=memory_bytes,
                spill=context.spill,
                thread_count=threads,
                ordered=context.ordered,
                seed=context.seed + 1 + level,
                cancellation=context.cancellation,
            )
        except MemoryBudgetExceededError:
            if threads == 1:
                raise
            threads -= 1
