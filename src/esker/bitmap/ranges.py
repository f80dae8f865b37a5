"""The range query of distributed bitmap engines: OR the vectors of each range, AND the ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from esker.bitmap.bitmap import Bitmap
from esker.errors import InputError, PredicateError

_RANGE = re.compile(r"\s*\[\s*(\d{1,18})\s*,\s*(\d{1,18})\s*\]\s*")


def union(bitmaps: Iterable[Bitmap]) -> Bitmap:
    """OR any number of bitmaps of one row count (at least one) in one pass.

    >>> union([Bitmap.from_positions([row], 3) for row in (0, 2)]).to_numpy().tolist()
    [0, 2]
    """
    given = list(bitmaps)
    if not given:
        raise InputError("a union needs at least one bitmap, to know the row count")
    return given[0].union(given[1:])


def ranges(vectors: Mapping[int, Bitmap] | Sequence[Bitmap], bounds: Iterable[tuple[int, int]]) -> Bitmap:
    """AND the unions of vectors `first` to `last` (inclusive) of each range.

    >>> vectors = [Bitmap.from_positions([number, 9], 10) for number in range(7)]
    >>> ranges(vectors, [(2, 3), (3, 6)]).to_numpy().tolist()
    [3, 9]

    Stops at the first range that leaves no row.
    """
    result: Bitmap | None = None
    wanted = [(bound, _numbers(vectors, *bound)) for bound in bounds]
    for _bound, numbers in wanted:
        found = union(vectors[number] for number in numbers)
        result = found if result is None else result & found
        if not result:
            break
    if result is None:
        raise InputError("a range query needs at least one range")
    return result


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """Read a range query.

    >>> parse_ranges("R:[2,3]&[4,6]")
    [(2, 3), (4, 6)]
    """
    if not text.startswith("R:"):
        raise PredicateError("a range query starts with 'R:'", text, 0)
    bounds = []
    position = 2
    while True:
        match = _RANGE.match(text, position)
        if match is None:
            raise PredicateError("a range is written [first,last]", text, position)
        bounds.append((int(match[1]), int(match[2])))
        position = match.end()
        if position == len(text):
            return bounds
        if text[position] != "&":
            raise PredicateError("ranges are joined by '&'", text, position)
        position += 1


def _numbers(vectors: Mapping[int, Bitmap] | Sequence[Bitmap], first: int, last: int) -> range:
    """Check that every vector of a range is there, before any is read."""
    numbers = range(first, last + 1)
    if not numbers:
        raise InputError(f"the range [{first},{last}] holds no vector")
    known = vectors.keys() if isinstance(vectors, Mapping) else range(len(vectors))
    missing = next((number for number in numbers if number not in known), None)
    if missing is not None:
        raise InputError(f"no vector {missing}; the range [{first},{last}] needs it")
    return numbers
