"""Blocks of rows that are divided and joined as load comes and goes: their names, their map, what is in them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from esker.cluster.machine import Algebra
from esker.cluster.ring import point
from esker.cluster.unit import Entry, digest_of

RETIRED = -(1 << 62)
"""The one vector of a block that became others: it has no rows any more, and nobody may read or write it."""

DROPPED = RETIRED + 1
"""The one vector of the unit of an index that was dropped: its tombstone."""

COLUMNS_MOST = 1 << 16
ALIGN_ROWS = 8192
"""Blocks begin at multiples of it, so that a chunk of rows (esker.cluster.building) lies in one block."""

_COLUMN_BITS = 16
_ROW_VECTORS = -(1 << 61)


class Block(NamedTuple):
    """Rows [start, stop) of the index generation `prefix`, with all vectors."""

    prefix: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        """The unit that it is."""
        return f"{self.prefix}/{self.start}:{self.stop}"

    @property
    def place(self) -> int:
        """Its point on the ring, which goes by its first row: the first half of a block stays where that was."""
        return point(f"{self.prefix}/{self.start}:")

    @property
    def row_count(self) -> int:
        """Rows in it."""
        return self.stop - self.start


@lru_cache(maxsize=1 << 14)
def block_of(unit: str) -> Block | None:
    """Read a unit's name; None when it is no such block.

    >>> block_of("census/7f/0:8192")
    Block(prefix='census/7f', start=0, stop=8192)
    >>> block_of("census/7f/0") is block_of("@census") is None
    True
    """
    prefix, slash, rows = unit.rpartition("/")
    start, colon, stop = rows.partition(":")
    if not (slash and colon and start.isdecimal() and stop.isdecimal()):
        return None
    return Block(prefix, int(start), int(stop))


def place_of(unit: str) -> int:
    """Give a unit's point on the ring."""
    block = block_of(unit)
    return point(unit) if block is None else block.place


def retired_digest(version: int) -> int:
    """Give the digest of a unit that was retired in a version; no other contents have it, but for one in 2^64."""
    return digest_of(RETIRED, version, b"")


def dropped_digest(version: int) -> int:
    """Give the digest that the unit of an index has when the index was dropped in a version."""
    return digest_of(DROPPED, version, b"")


def is_within(unit: str, prefixes: Container[str]) -> bool:
    """Say whether a unit's name begins with one of the prefixes.

    >>> is_within("census/7f/0:8192", {"census/7f"}), is_within("census/7f0/-", {"census/7f"})
    (True, False)
    """
    return unit.rpartition("/")[0] in prefixes


# ---- asking for blocks without knowing them ----


def every_block(prefix: str, start: int = 0, stop: int | None = None) -> str:
    """Name the blocks there are, or those with some of the rows [start, stop): for a query, in a unit's place.

    Without rows it is also the unit whose being there lets blocks of the prefix be divided and joined.
    """
    return f"{prefix}/*" if stop is None else f"{prefix}/*{start}:{stop}"


class AskedBlocks(NamedTuple):
    """Which blocks are asked for."""

    prefix: str
    start: int
    stop: int | None


@lru_cache(maxsize=1 << 12)
def asked_blocks(unit: str) -> AskedBlocks | None:
    """Read such a name; None when it is a unit's.

    >>> asked_blocks(every_block("census/7f", 10, 20)), asked_blocks("census/7f/0:8192")
    (AskedBlocks(prefix='census/7f', start=10, stop=20), None)
    """
    prefix, slash, rows = unit.rpartition("/")
    if not slash or not rows.startswith("*"):
        return None
    if rows == "*":
        return AskedBlocks(prefix, 0, None)
    start, _, stop = rows[1:].partition(":")
    return AskedBlocks(prefix, int(start), int(stop)) if start.isdecimal() and stop.isdecimal() else None


class BlockMap:
    """The blocks of one prefix that are read and written now, in the order of rows."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def add(self, block: Block) -> None:
        """Enter a block."""
        insort(self.blocks, block)

    def remove(self, block: Block) -> None:
        """Let one go."""
        del self.blocks[bisect_left(self.blocks, block)]

    def between(self, start: int, stop: int | None) -> list[Block]:
        """Give those with some of the rows; all, when `stop` is None."""
        blocks = self.blocks
        if stop is None:
            return blocks
        first = max(bisect_right(blocks, start, key=lambda block: block.start) - 1, 0)
        past = bisect_left(blocks, stop, key=lambda block: block.start)
        return [block for block in blocks[first:past] if block.stop > start]

    def validate(self) -> None:
        """Check that each row is in exactly one block."""
        for one, other in zip(self.blocks, self.blocks[1:], strict=False):
            assert one.stop == other.start, f"{one.name} is followed by {other.name}"
        assert not self.blocks or self.blocks[0].start == 0, f"{self.blocks[0].name} is the first block"


# ---- contents ----


def row_vector(row: int, column: int) -> int:
    """Number what is kept of a column's rows from `row` on, so that a block knows where it belongs.

    >>> row_of(row_vector(8192, 3))
    8192
    """
    return -1 - (row << _COLUMN_BITS | column)


def row_of(vector: int) -> int:
    """Give the first row of what `row_vector` numbered."""
    return (-1 - vector) >> _COLUMN_BITS


def contents(
    target: Block, sources: Sequence[tuple[Block, Mapping[int, Entry]]], algebra: Algebra
) -> Iterable[tuple[int, bytes]]:
    """Give the vectors of a block that is made of the rows of others, in the order of their numbers.

    Vectors are cut and put one behind the other. What has a number below 0 belongs to a row, and goes where that goes;
    without bytes it marks the block itself, and goes to all.
    """
    vectors = sorted({vector for _, entries in sources for vector in entries})
    for vector in vectors:
        if vector >= 0:
            yield vector, algebra.regroup([_piece(target, block, entries.get(vector)) for block, entries in sources])
        else:
            value = next(entries[vector][1] for _, entries in sources if vector in entries)
            if not value or vector <= _ROW_VECTORS or target.start <= row_of(vector) < target.stop:
                yield vector, value


def _piece(target: Block, source: Block, entry: Entry | None) -> tuple[bytes, int, int]:
    """The rows of a source's vector that are the target's, counted from the source's first."""
    start, stop = max(target.start, source.start), min(target.stop, source.stop)
    return (b"" if entry is None else entry[1], start - source.start, max(stop, start) - source.start)
