"""Numbers as bit slices: ranges over many values in the time of a few bitmaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from esker.bitmap.bitmap import AUTO, Bitmap
from esker.errors import InputError
from esker.kernel import _kernel

_NUMBER_STOP = 1 << 64


@dataclass(frozen=True)
class BitSlices:
    """One bitmap for each bit of a number that every row has: bitmap i holds the rows with bit i set.

    >>> ages = BitSlices.of_values(np.array([20, 76, 42], np.uint64))
    >>> ages.between(18, 65).to_numpy().tolist(), len(ages.bitmaps)
    ([0, 2], 7)

    A range reads every slice once, however many values it has (O'Neil and Quass 1997): wide ranges are fast, single
    values are better looked up in a bitmap of their own. Rows without a number have to be taken away by the caller.
    """

    bitmaps: Sequence[Bitmap]

    @classmethod
    def of_values(cls, values: npt.NDArray[np.uint64], encoding: str = AUTO, profile: str = "speed") -> BitSlices:
        """Cut numbers, one a row, into slices."""
        bits = max(int(values.max(initial=0)).bit_length(), 1)
        return cls(
            [
                Bitmap.from_positions(
                    np.flatnonzero(values >> np.uint64(bit) & np.uint64(1)), len(values), encoding, profile
                )
                for bit in range(bits)
            ]
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the encoded slices."""
        return sum(bitmap.nbytes for bitmap in self.bitmaps)

    def between(self, low: int, high: int) -> Bitmap:
        """Give the rows whose number is at least `low` and at most `high`."""
        if not self.bitmaps:
            raise InputError("a range needs at least one slice, to know the row count")
        low, high = max(low, 0), min(high, _NUMBER_STOP - 1)
        if low > high:
            low, high = 1, 0
        return cast(Bitmap, _kernel.between(self.bitmaps, low, high))
