"""A bitmap vector as Python sees it: an encoded set of rows that knows how many rows there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from esker.bitmap.encoding import Encoding, Vector
from esker.bitmap.encodings import ENCODINGS
from esker.bitmap.stored import StoredVector
from esker.core.row_set import ROW_ID_STOP, RowSet, row_ids
from esker.errors import BitmapCorruptError, InputError


class Bitmap:
    """Rows set among `row_count`, compressed; immutable.

    >>> young = Bitmap.from_positions([0, 2, 3], row_count=5)
    >>> rich = Bitmap.from_positions([2, 4], row_count=5)
    >>> (young & rich).to_numpy().tolist(), (~young - rich).to_numpy().tolist(), (young | rich).count()
    ([2], [1], 4)

    Two bitmaps of one encoding are combined as they are stored; of a mixed pair the right one is encoded like the left.
    """

    __slots__ = ("_encoding", "_vector")

    def __init__(self, encoding: Encoding[Any], vector: Vector) -> None:
        self._encoding = encoding
        self._vector = vector

    @classmethod
    def from_positions(
        cls, positions: npt.ArrayLike | Iterable[int], row_count: int, encoding: str = "wah32"
    ) -> Bitmap:
        """Encode row ids, in any order; repeated ones count once."""
        rows = row_ids(positions)
        if not bool(np.all(rows[1:] > rows[:-1])):
            rows = np.unique(rows)
        _check_row_count(row_count, int(rows[-1]) + 1 if len(rows) else 0)
        chosen = ENCODINGS[encoding]()
        return cls(chosen, chosen.from_positions(rows, row_count))

    @classmethod
    def from_rows(cls, rows: RowSet, row_count: int, encoding: str = "wah32") -> Bitmap:
        """Encode a row set."""
        _check_row_count(row_count, rows.select(len(rows) - 1) + 1 if rows else 0)
        chosen = ENCODINGS[encoding]()
        return cls(chosen, chosen.encode(rows, row_count))

    @classmethod
    def none(cls, row_count: int, encoding: str = "wah32") -> Bitmap:
        """Make a bitmap with no row set."""
        return cls.from_rows(RowSet.empty(), row_count, encoding)

    @classmethod
    def all(cls, row_count: int, encoding: str = "wah32") -> Bitmap:
        """Make a bitmap with every row set."""
        return cls.from_rows(RowSet.range(0, row_count), row_count, encoding)

    @property
    def encoding(self) -> str:
        """Name and version of the encoding."""
        return self._encoding.name

    @property
    def row_count(self) -> int:
        """Rows there are, set or not."""
        return self._vector.row_count

    @property
    def data(self) -> memoryview:
        """The encoded bytes, without a copy."""
        return self._vector.data()

    @property
    def nbytes(self) -> int:
        """Bytes of the encoded rows."""
        return self._vector.data().nbytes

    def count(self) -> int:
        """Count the rows set."""
        return self._vector.count()

    def to_numpy(self) -> npt.NDArray[np.uint64]:
        """Give the rows set, ascending."""
        return self._vector.positions()

    def rows(self) -> RowSet:
        """Give the rows set as runs."""
        return self._vector.runs()

    def __bool__(self) -> bool:
        return self.count() > 0

    def __and__(self, other: Bitmap) -> Bitmap:
        return self._combined("intersect", other)

    def __or__(self, other: Bitmap) -> Bitmap:
        return self._combined("unite", other)

    def __xor__(self, other: Bitmap) -> Bitmap:
        return self._combined("differ", other)

    def __sub__(self, other: Bitmap) -> Bitmap:
        return self._combined("subtract", other)

    def __invert__(self) -> Bitmap:
        return Bitmap(self._encoding, self._encoding.invert(self._vector))

    def union(self, others: Iterable[Bitmap]) -> Bitmap:
        """OR this bitmap and all others in one pass, in this one's encoding."""
        vectors = [self._vector, *(self._aligned(other) for other in others)]
        return Bitmap(self._encoding, self._encoding.union(vectors))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bitmap):
            return NotImplemented
        return self.row_count == other.row_count and self._vector.data() == self._aligned(other).data()

    __hash__ = None  # type: ignore[assignment]  # compared by content, of any size: not a key

    def __repr__(self) -> str:
        return f"Bitmap({self.count():,} of {self.row_count:,} rows, {self.encoding}, {self.nbytes:,} bytes)"

    def serialize(self) -> bytes:
        """Write the bitmap as bytes (docs/formats/bitmap.md); equal bitmaps of one encoding give equal bytes."""
        return StoredVector(self.encoding, self.row_count, self.count(), self._vector.data()).to_bytes()

    @classmethod
    def deserialize(cls, data: bytes | memoryview, place: str = "bitmap") -> Bitmap:
        """Read what `serialize` wrote; raises BitmapCorruptError, naming `place`, for any other bytes."""
        stored = StoredVector.from_bytes(data, place)
        return cls.decode(stored.data, stored.row_count, stored.encoding, count=stored.count, place=place)

    @classmethod
    def decode(cls, data: bytes | memoryview, row_count: int, encoding: str, *, count: int, place: str) -> Bitmap:
        """Check encoded rows that were stored with their count; raises BitmapCorruptError, naming `place`."""
        variant = encoding.partition(".")[0]
        chosen = ENCODINGS[variant]() if variant in ENCODINGS else None
        if chosen is None or chosen.name != encoding:
            raise BitmapCorruptError(f"{place}: encoding {encoding!r} is not known; a newer Esker may have written it")
        try:
            vector = chosen.decode(data, row_count)
        except BitmapCorruptError as error:
            raise BitmapCorruptError(f"{place}: {error}") from None
        if vector.count() != count:
            raise BitmapCorruptError(f"{place}: holds {vector.count()} rows where {count} were stored")
        return cls(chosen, vector)

    def _combined(self, operation: str, other: Bitmap) -> Bitmap:
        return Bitmap(self._encoding, self._encoding.combine(operation, self._vector, self._aligned(other)))

    def _aligned(self, other: Bitmap) -> Vector:
        """Give the other's vector in this one's encoding."""
        if other.row_count != self.row_count:
            raise InputError(f"bitmaps of {self.row_count} and {other.row_count} rows cannot be combined")
        if other.encoding == self.encoding:
            return other._vector
        aligned: Vector = self._encoding.encode(other.rows(), self.row_count)
        return aligned


def _check_row_count(row_count: int, needed: int) -> None:
    if not 0 <= row_count <= ROW_ID_STOP:
        raise InputError(f"row_count={row_count} is outside 0 to {ROW_ID_STOP}")
    if needed > row_count:
        raise InputError(f"row {needed - 1} is past the last of {row_count} rows")
