"""BBC, Byte-aligned Bitmap Code (Antoshenkov 1995)."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class Bbc(Encoding):
    """Atoms of bytes: a fill, then bytes that are none, or the one bit that breaks the fill.

    Small, and slow to combine. In the two-sided form of Wu, Otoo and Shoshani (LBNL-49626).
    """

    name: ClassVar[str] = "bbc.1"
    group_bits: ClassVar[int] = 8
