"""Bitmap vectors: encoded sets of rows with AND, OR, XOR, NOT, and wide unions.

>>> import esker.bitmap
>>> dry = esker.bitmap.Bitmap.from_positions([0, 1, 4], row_count=6)
>>> esker.bitmap.union([dry, ~dry]).count()
6
"""

from esker.bitmap.bitmap import Bitmap
from esker.bitmap.encodings import ENCODINGS
from esker.bitmap.ranges import parse_ranges, ranges, union

__all__ = ["ENCODINGS", "Bitmap", "parse_ranges", "ranges", "union"]
