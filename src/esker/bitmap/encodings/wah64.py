"""WAH with words of 64 bits: what `auto` is fast with."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class Wah64(Encoding):
    """Words of 64 bits: a literal group of 63 rows, or a fill of groups.

    Half as many words as WAH32 to look at, and up to twice the bytes.
    """

    name: ClassVar[str] = "wah64.1"
    group_bits: ClassVar[int] = 63
