"""WAH with 32-bit words and groups of 31 rows (Wu, Otoo, Nordberg, Shoshani 2001), in the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from esker.bitmap.encoding import Encoding, Vector
from esker.core.row_set import RowSet
from esker.errors import BitmapCorruptError
from esker.kernel import _kernel

WORD_BYTES = 4


class Wah32Vector(Vector):
    """A kernel vector; its words are checked once, when it is made."""

    def __init__(self, words: _kernel.Wah32) -> None:
        self.words = words
        self.row_count = words.row_count

    def count(self) -> int:
        count: int = self.words.count
        return count

    def runs(self) -> RowSet:
        return RowSet(*self.words.runs())

    def data(self) -> memoryview:
        words: npt.NDArray[np.uint32] = self.words.words()
        return words.data.cast("B")

    def positions(self) -> npt.NDArray[np.uint64]:
        rows: npt.NDArray[np.uint64] = self.words.positions()
        return rows


class Wah32Encoding(Encoding[Wah32Vector]):
    """Words of 32 bits: a literal group of 31 rows, or a fill of up to 2^30 - 1 groups.

    Good for runs (a sorted column costs a few words per value) and for words that AND without being unpacked; poor for
    rows scattered thinly, which cost two words each.
    """

    name: ClassVar[str] = "wah32.1"
    group_bits: ClassVar[int] = 31

    def encode(self, rows: RowSet, row_count: int) -> Wah32Vector:
        return Wah32Vector(_kernel.Wah32.from_runs(*rows.runs(), row_count))

    def decode(self, data: bytes | memoryview, row_count: int) -> Wah32Vector:
        if len(data) % WORD_BYTES:
            raise BitmapCorruptError(f"{len(data)} bytes are no whole number of words")
        words = np.frombuffer(data, "<u4")
        return Wah32Vector(_kernel.Wah32.from_words(np.require(words, requirements="A"), row_count))

    def from_positions(self, positions: npt.NDArray[np.uint64], row_count: int) -> Wah32Vector:
        return Wah32Vector(_kernel.Wah32.from_positions(positions, row_count))

    def combine(self, operation: str, left: Wah32Vector, right: Wah32Vector) -> Wah32Vector:
        return Wah32Vector(getattr(left.words, operation)(right.words))

    def invert(self, vector: Wah32Vector) -> Wah32Vector:
        return Wah32Vector(vector.words.invert())

    def union(self, vectors: Sequence[Wah32Vector]) -> Wah32Vector:
        return Wah32Vector(_kernel.Wah32.unite_all([vector.words for vector in vectors]))
