"""VAL-WAH, Variable Aligned Length code (Guzun, Canahuate, Chiu, Sawin 2014)."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class Val(Encoding):
    """Segments of 15, 30 or 60 rows in words of 64 bits, whichever length takes fewest words for the vector.

    Smaller than WAH where runs are short.
    """

    name: ClassVar[str] = "val.1"
    group_bits: ClassVar[int] = 15
