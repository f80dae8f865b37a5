"""Bitmap vectors: encoded sets of rows with AND, OR, XOR, NOT, and wide unions.

>>> import esker.bitmap
>>> dry = esker.bitmap.Bitmap.from_positions([0, 1, 4], row_count=6)
>>> esker.bitmap.union([dry, ~dry]).count()
6
"""

from esker.bitmap.bitmap import AUTO, PROFILES, Bitmap, BitmapStatistics
from esker.bitmap.encodings import ENCODINGS
from esker.bitmap.narrowing import Narrowing
from esker.bitmap.ranges import count_ranges, count_terms, intersection, parse_ranges, ranges, terms, threshold, union

__all__ = [
    "AUTO",
    "ENCODINGS",
    "PROFILES",
    "Bitmap",
    "BitmapStatistics",
    "Narrowing",
    "count_ranges",
    "count_terms",
    "intersection",
    "parse_ranges",
    "ranges",
    "terms",
    "threshold",
    "union",
]
