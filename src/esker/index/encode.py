"""The encoding of an index's vectors: one for all, or one chosen for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from esker.bitmap import ENCODINGS, Bitmap
from esker.core.row_set import RowSet
from esker.errors import OptionError

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
        if encoding != AUTO:
            ENCODINGS[encoding]
        self.encoding = encoding
        self.profile = profile
        self._options: dict[str, Any] = {"profile": profile} if encoding == AUTO else {}

    def of_rows(self, rows: npt.NDArray[np.uint64], row_count: int) -> Bitmap:
        """Encode ascending row ids."""
        return Bitmap.from_positions(rows, row_count, self.encoding, **self._options)

    def of_row_set(self, rows: RowSet, row_count: int) -> Bitmap:
        """Encode a row set."""
        return Bitmap.from_rows(rows, row_count, self.encoding, **self._options)

    def of_bitmap(self, bitmap: Bitmap) -> Bitmap:
        """Encode what another encoding holds."""
        if bitmap.encoding.partition(".")[0] == self.encoding:
            return bitmap
        if bitmap.count() * 8 < bitmap.nbytes:
            return self.of_rows(bitmap.to_numpy(), bitmap.row_count)
        return self.of_row_set(bitmap.rows(), bitmap.row_count)
