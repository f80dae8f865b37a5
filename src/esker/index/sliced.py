"""A bit-sliced segment: one vector for each binary digit of a column's values (O'Neil and Quass, SIGMOD 1997)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pyarrow as pa

from esker.bitmap import Bitmap
from esker.bitmap.slices import BitSlices
from esker.errors import BitmapCorruptError, EskerError
from esker.expression import Literal
from esker.expression.exact import ticks_of
from esker.frozen.records import SegmentLike
from esker.index.encode import no_rows
from esker.index.segment import ReadCount, SegmentFile
from esker.index.ticks import scalar_of

NULL_VECTOR = 0
FIRST_SLICE = 1
LAYOUT = "slices"


class SlicedSegment(SegmentFile):
    """Vector 0 holds the null rows, vector 1 + i those whose value less the base has binary digit i."""

    def __init__(self, folder: Path, info: SegmentLike) -> None:
        super().__init__(folder, info)
        root = self.root
        if root.meta.layout != LAYOUT or not FIRST_SLICE <= root.vector_count <= FIRST_SLICE + 64 or root.meta.spans:
            self.close()
            raise BitmapCorruptError(f"{self.place}: {root.vector_count} vectors of layout {root.meta.layout!r}")
        self.base = root.meta.base

    @property
    def slice_count(self) -> int:
        """Binary digits there are."""
        return self.vector_count - FIRST_SLICE

    def slices(self, count: ReadCount) -> Slices:
        """Start a question; its vectors are read once each."""
        return Slices(self, count)

    def validate(self) -> None:
        """Read and check every byte."""
        self.check_bytes()
        nulls = self.read(NULL_VECTOR, ReadCount())
        for number in range(FIRST_SLICE, self.vector_count):
            if nulls & self.read(number, ReadCount()):
                raise BitmapCorruptError(f"{self.place}: a null row has digits")


class Slices:
    """The slices of a segment, read when first needed, and the arithmetic on them.

    Ranges and single values are one pass of the kernel over all slices, some rows at a time.
    """

    def __init__(self, segment: SlicedSegment, count: ReadCount) -> None:
        self.segment = segment
        self._count = count
        self._held: dict[int, Bitmap] = {}
        self._at_most: dict[int, Bitmap] = {}

    def vector(self, number: int) -> Bitmap:
        """Give a vector, read once; the digits, of which every question needs most, by one request."""
        if number not in self._held:
            wanted = (NULL_VECTOR,) if number == NULL_VECTOR else tuple(range(FIRST_SLICE, self.segment.vector_count))
            self._held.update(zip(wanted, self.segment.read_in_order(wanted, self._count), strict=True))
        return self._held[number]

    @property
    def nulls(self) -> Bitmap:
        """The rows without a value."""
        return self.vector(NULL_VECTOR)

    @property
    def known(self) -> Bitmap:
        """The rows with a value."""
        return ~self.nulls

    @property
    def _digits(self) -> BitSlices:
        return BitSlices([self.vector(FIRST_SLICE + digit) for digit in range(self.segment.slice_count)])

    def at_most(self, offset: int) -> Bitmap:
        """Give the rows whose value is at most `offset` over the base."""
        segment = self.segment
        if offset < 0:
            return no_rows(segment.row_count)
        if offset >= (1 << segment.slice_count) - 1:
            return self.known
        if offset not in self._at_most:
            self._at_most[offset] = self._digits.between(0, offset) & self.known
        return self._at_most[offset]

    def equal(self, offset: int) -> Bitmap:
        """Give the rows whose value is `offset` over the base."""
        segment = self.segment
        if not 0 <= offset < 1 << segment.slice_count:
            return no_rows(segment.row_count)
        if not segment.slice_count:
            return self.known
        return self._digits.between(offset, offset) & self.known

    def compare(self, op: str, literal: Literal) -> Bitmap | None:
        """Give the rows whose value compares so with a constant that is not null; None where that cannot be said."""
        try:
            ticks = self._ticks(literal)
        except (EskerError, pa.ArrowException):
            return None
        if isinstance(ticks, float):
            # NaN and infinity are above all numbers, minus infinity below.
            above = ticks != -math.inf
            return self.known if (op in ("<", "<=") if above else op in (">", ">=")) or op == "!=" else self._none()
        exact = ticks.denominator == 1
        if op in ("=", "!="):
            rows = self.equal(int(ticks)) if exact else self._none()
            return rows if op == "=" else self.known - rows
        below = math.floor(ticks) if op in ("<=", ">") else math.ceil(ticks) - 1
        rows = self.at_most(below)
        return rows if op in ("<", "<=") else self.known - rows

    def sum(self, rows: Bitmap) -> tuple[int, int]:
        """Add up the ticks of the values of `rows`; gives the sum and how many there were."""
        rows = rows & self.known
        count = rows.count()
        digits = range(self.segment.slice_count)
        total = sum((self.vector(FIRST_SLICE + digit) & rows).count() << digit for digit in digits)
        return total + self.segment.base * count, count

    def quantile(self, rows: Bitmap, rank: int) -> int | None:
        """Give the ticks of the value with `rank` smaller ones among `rows`; None when there are not so many."""
        rows = rows & self.known
        if not 0 <= rank < rows.count():
            return None
        offset = 0
        for digit in reversed(range(self.segment.slice_count)):
            one = self.vector(FIRST_SLICE + digit)
            zeros = rows - one
            if rank < zeros.count():
                rows = zeros
            else:
                rank -= zeros.count()
                rows = rows & one
                offset |= 1 << digit
        return offset + self.segment.base

    def values(self, rows: Bitmap) -> Iterator[tuple[pa.Scalar, int]]:
        """Yield each distinct value of `rows`, ascending, and how many have it."""
        type_ = self.segment.label_type
        pending = [(rows & self.known, self.segment.slice_count, 0)]
        while pending:
            part, digit, offset = pending.pop()
            if not part:
                continue
            if not digit:
                yield scalar_of(offset + self.segment.base, type_), part.count()
                continue
            one = self.vector(FIRST_SLICE + digit - 1)
            pending.append((part & one, digit - 1, offset | 1 << digit - 1))
            pending.append((part - one, digit - 1, offset))

    def _ticks(self, literal: Literal) -> Fraction | float:
        type_ = self.segment.label_type
        value = literal.value
        if pa.types.is_boolean(type_):
            return Fraction(int(bool(value.as_py())) - self.segment.base)
        ticks = ticks_of(literal, type_)
        return ticks if isinstance(ticks, float) else Fraction(ticks) - self.segment.base

    def _none(self) -> Bitmap:
        return no_rows(self.segment.row_count)
