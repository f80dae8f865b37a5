"""WAH with words of 32 bits (Wu, Otoo, Nordberg, Shoshani 2001)."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class Wah32(Encoding):
    """Words of 32 bits: a literal group of 31 rows, or a fill of up to 2^30 - 1 groups.

    What source 004 and most published figures use. Good for runs; poor for rows scattered thinly, which cost two words
    each.
    """

    name: ClassVar[str] = "wah32.1"
    group_bits: ClassVar[int] = 31
