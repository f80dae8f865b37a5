"""What each strategy costs by formula: accesses of tuples, and pages (source 002, 3.9).

n tuples into P partitions by T threads. Read: a tuple's key is read from the input, once for the partition, once
more where references to tuples are sorted. Buffered: copied into a buffer. Written: copied to a page. Moved: from one
page to another in the merge. A partition of r fixed-size tuples fills its pages to the last slot before it gets
another, so their number follows from r and the ladder of page sizes, whatever the threads do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

# What page_store.cc says of pages; tests hold the two together.
LADDER = (4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20, 5 << 20)
ORDINARY_BYTES = 64 << 10
PAGE_BYTES_MAX = 5 << 20
GROWTH = 8
ROWS_MIN = 64
HEADER_BYTES = 64
ALIGNMENT = 64
VIEW_BYTES = 16

# Of each strategy, how often a tuple is read from the input, and whether it goes through a buffer.
READS = {
    "on_demand": 1,
    "software_managed_buffers": 1,
    "radix": 2,
    "hybrid": 2,
    "thread_local_merge": 1,
    "collaborative_buffers": 3,
    "collaborative_units": 2,
}
BUFFERED = ("software_managed_buffers", "thread_local_merge", "collaborative_buffers")
# A buffer that cannot take a round's rows is passed by: those are read twice more, and not copied into it.
BUFFERS_AT_MOST = ("collaborative_buffers",)
MERGES = ("thread_local_merge",)
# A page manager whose threads claim more than they have; what is left over is filled from the end of the page.
CHUNKS = ("chunked",)
CHUNK_ROWS = 1024
MEASURES = ("input_reads", "buffer_writes", "page_writes", "merge_moves", "pages", "allocated_bytes")


@dataclass(frozen=True)
class Prediction:
    """A formula, its value, and whether the count equals it or is at most it."""

    formula: str
    value: int
    exact: bool

    def holds(self, counted: int) -> bool:
        """Whether a count agrees."""
        return counted == self.value if self.exact else counted <= self.value

    def verdict(self, counted: int) -> str:
        """In words: equal, within the bound, or differs."""
        if not self.holds(counted):
            return "differs"
        return "equal" if self.exact else "within the bound"

    def sign(self, counted: int) -> str:
        """What stands between a count and the formula: =, <= or !=."""
        return {"equal": "=", "within the bound": "<=", "differs": "!="}[self.verdict(counted)]


@dataclass(frozen=True)
class Case:
    """What a prediction is for. `partition_rows` and `partition_bytes` are n and the payload by partition."""

    strategy: str
    pages: str
    schema: pa.Schema
    threads: int
    partition_rows: Sequence[int]
    partition_bytes: Sequence[int]
    pool_bytes: int

    @property
    def rows(self) -> int:
        """n."""
        return sum(self.partition_rows)

    @property
    def lists(self) -> int:
        """Lists of pages that a partition has."""
        return self.threads if self.strategy in MERGES else 1

    @property
    def spare_rows(self) -> int:
        """Rows that all threads together may have claimed of a partition, and not needed."""
        return self.threads * (CHUNK_ROWS - 1) if self.pages in CHUNKS else 0


def predict(case: Case) -> dict[str, Prediction]:
    """All measures of a case.

    >>> schema = pa.schema([pa.field("key", pa.uint32(), nullable=False)])
    >>> found = predict(Case("radix", "radix", schema, 2, [40_000, 100], [160_000, 400], 1 << 30))
    >>> found["input_reads"].value, found["pages"].value
    (80200, 4)
    """
    rows = case.rows
    reads = READS[case.strategy]
    buffered = case.strategy in BUFFERED
    pages, allocated = _pages(case)
    return {
        "input_reads": Prediction(
            f"{reads}n" if reads > 1 else "n", reads * rows, case.strategy not in BUFFERS_AT_MOST
        ),
        "buffer_writes": _bound("n", rows)
        if case.strategy in BUFFERS_AT_MOST
        else Prediction("n" if buffered else "0", rows if buffered else 0, True),
        "page_writes": Prediction("n", rows, True),
        "merge_moves": _moves(case),
        "pages": pages,
        "allocated_bytes": allocated,
    }


def _bound(formula: str, value: int) -> Prediction:
    return Prediction(formula, value, False)


def _moves(case: Case) -> Prediction:
    """Of the pages of a partition that are not full, the fullest stays: the others hold at most (T-1)/T of the rows."""
    if case.spare_rows:
        moved = sum(min(rows, case.spare_rows) for rows in case.partition_rows)
        return _bound("sum over p of min(r_p, T(c-1))", moved)
    if case.lists == 1:
        return Prediction("0", 0, True)
    if has_text(case.schema):
        # Pages that are full of bytes count as not full of rows.
        return _bound("n", case.rows)
    return _bound("n(T-1)/T", sum(rows * (case.lists - 1) // case.lists for rows in case.partition_rows))


def _pages(case: Case) -> tuple[Prediction, Prediction]:
    ladder = Ladder(case.schema, len(case.partition_rows) * case.lists, case.pool_bytes)
    if has_text(case.schema):
        # How many rows a page will hold is an estimate: a page is at least half full.
        found = [ladder.pages_for_bytes(2 * size) if size else (0, 0) for size in case.partition_bytes]
        formula = "sum over p of pages(2 bytes_p)"
    else:
        spare = case.spare_rows
        found = [ladder.pages_for(rows + spare) if rows else (0, 0) for rows in case.partition_rows]
        formula = f"sum over p of pages(r_p{' + T(c-1)' if spare else ''})"
    pages, allocated = (case.lists * sum(each) for each in zip(*found, strict=True))
    if case.lists > 1:
        formula = f"T x {formula}"
    if has_text(case.schema) or case.lists > 1 or case.spare_rows:
        return _bound(formula, pages), _bound(formula.replace("pages(", "ladder("), allocated)
    return Prediction(formula, pages, True), Prediction(formula.replace("pages(", "ladder("), allocated, True)


def has_text(schema: pa.Schema) -> bool:
    """Whether rows have bytes on a page's heap.

    >>> has_text(pa.schema({"s": pa.string()})), has_text(pa.schema({"n": pa.int8()}))
    (True, False)
    """
    return any(map(_is_text, schema.types))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_binary(type_))


class Ladder:
    """The sizes of pages: each at most an eighth of what its list has, from 64 KiB to 5 MiB where the pool has room."""

    def __init__(self, schema: pa.Schema, list_count: int, pool_bytes: int) -> None:
        self._widths = [_width(field) for field in schema]
        self._nullable = [field.nullable for field in schema]
        share = pool_bytes // 2 // list_count
        need = next(step for step in LADDER if step >= self._regions_end(ROWS_MIN))
        self.bytes_min = max(_step_below(min(share, ORDINARY_BYTES)), need)
        self.bytes_max = max(_step_below(min(share, PAGE_BYTES_MAX)), self.bytes_min)

    def next(self, allocated: int) -> int:
        """The size of the next page of a list that has `allocated` bytes."""
        return min(max(_step_below(allocated // GROWTH), self.bytes_min), self.bytes_max)

    def pages_for(self, rows: int) -> tuple[int, int]:
        """How many pages `rows` of fixed size fill, and their bytes."""
        return self._climb(rows, self.capacity)

    def pages_for_bytes(self, size: int) -> tuple[int, int]:
        """The same for `size` bytes of payload."""
        return self._climb(size, lambda page_bytes: page_bytes - HEADER_BYTES - 2 * ALIGNMENT * len(self._widths))

    def capacity(self, page_bytes: int) -> int:
        """Rows that fit a page.

        >>> Ladder(pa.schema([pa.field("k", pa.uint32(), nullable=False)]), 1, 1 << 30).capacity(64 << 10)
        16320
        """
        below, above = 0, page_bytes * 8
        while below + 1 < above:
            middle = (below + above) // 2
            below, above = (middle, above) if self._regions_end(middle) <= page_bytes else (below, middle)
        # Whole words of bitmaps, and whole lines of columns.
        return below // ROWS_MIN * ROWS_MIN if below > ROWS_MIN else below

    def _climb(self, amount: int, room: Callable[[int], int]) -> tuple[int, int]:
        pages = allocated = 0
        while amount > 0:
            page_bytes = self.next(allocated)
            pages += 1
            allocated += page_bytes
            amount -= room(page_bytes)
        return pages, allocated

    def _regions_end(self, rows: int) -> int:
        end = HEADER_BYTES
        for width, nullable in zip(self._widths, self._nullable, strict=True):
            end += _aligned((rows + 63) // 64 * 8) if nullable else 0
            end += _aligned(width * rows)
        return end


def _width(field: pa.Field) -> int:
    return VIEW_BYTES if _is_text(field.type) else int(field.type.bit_width) // 8


def _aligned(size: int) -> int:
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def _step_below(size: int) -> int:
    return max((step for step in LADDER if step <= size), default=LADDER[0])
