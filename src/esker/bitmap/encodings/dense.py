"""A word for each group, whatever is set."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class Dense(Encoding):
    """A word of 64 bits for each group of 63 rows: WAH64 that is all literals.

    The fastest for vectors without fills, because nothing is decided word by word.
    """

    name: ClassVar[str] = "dense.1"
    group_bits: ClassVar[int] = 63
