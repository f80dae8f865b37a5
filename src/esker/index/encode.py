"""The encoding of an index's vectors: one for all, or one chosen for each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from esker.bitmap import ENCODINGS, Bitmap
from esker.bitmap.bitmap import pack
from esker.core.row_set import RowSet
from esker.errors import OptionError
from esker.index.segment_file import ALIGNED_BYTES, ALIGNMENT, Packed

AUTO = "auto"
PROFILES = ("speed", "balanced", "size")


class Encoder:
    """Encodes vectors as an index is to hold them.

    >>> Encoder("wah32").of_rows(np.array([1, 5], np.uint64), 8)
    Bitmap(2 of 8 rows, wah32.1, 4 bytes)
    """

    def __init__(self, encoding: str = "wah32", profile: str = "balanced") -> None:
        if profile not in PROFILES:
            raise OptionError(f"profile={profile!r}; there is: {', '.join(PROFILES)}")
        if encoding != AUTO and encoding not in ENCODINGS:
            raise OptionError(f"no encoding {encoding!r}; there is: {', '.join(ENCODINGS)}, {AUTO}")
        self.encoding = encoding
        self.profile = profile

    def of_rows(self, rows: npt.NDArray[np.uint64], row_count: int) -> Bitmap:
        """Encode ascending row ids."""
        return Bitmap.from_positions(rows, row_count, self.encoding, self.profile)

    def pack(self, rows: npt.NDArray[np.uint64], starts: npt.NDArray[np.uint64], row_count: int, offset: int) -> Packed:
        """Encode vectors, of rows `starts[i]` to `starts[i + 1]` each, as they are to lie from `offset` of a file."""
        return Packed(*pack(rows, starts, row_count, self.encoding, self.profile, offset, ALIGNED_BYTES, ALIGNMENT))

    def of_row_set(self, rows: RowSet, row_count: int) -> Bitmap:
        """Encode a row set."""
        return Bitmap.from_rows(rows, row_count, self.encoding, self.profile)

    def of_bitmap(self, bitmap: Bitmap) -> Bitmap:
        """Encode what another encoding holds."""
        if bitmap.encoding.partition(".")[0] == self.encoding:
            return bitmap
        return bitmap.recoded(self.encoding, self.profile)


# Encodings whose groups have 63 rows: results of operations among them may take the fastest form.
_ALIGNED = frozenset({"dense.1", "wah64.1", "gap_run.1"})


def profile_of(encoding: str) -> str | None:
    """The profile to read a stored vector with: its results are then made as they are combined fastest."""
    return "speed" if encoding in _ALIGNED else None


def no_rows(row_count: int) -> Bitmap:
    """No row of so many."""
    return Bitmap.none(row_count, AUTO, "speed")


def every_row(row_count: int) -> Bitmap:
    """Every row of so many."""
    return Bitmap.all(row_count, AUTO, "speed")
