"""The range query of distributed bitmap engines: OR the vectors of each range, AND the ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from esker.bitmap.bitmap import Bitmap
from esker.errors import InputError, PredicateError
from esker.kernel import _kernel

_RANGE = re.compile(r"\s*\[\s*(\d{1,18})\s*,\s*(\d{1,18})\s*\]\s*")


def union(bitmaps: Iterable[Bitmap]) -> Bitmap:
    """OR any number of bitmaps of one row count (at least one) in one pass.

    >>> union([Bitmap.from_positions([row], 3) for row in (0, 2)]).to_numpy().tolist()
    [0, 2]
    """
    given = list(bitmaps)
    if not given:
        raise InputError("a union needs at least one bitmap, to know the row count")
    return cast(Bitmap, _kernel.unite_all(given))


def intersection(bitmaps: Iterable[Bitmap]) -> Bitmap:
    """AND any number of bitmaps of one row count (at least one), the one with the fewest rows first.

    >>> intersection([Bitmap.from_positions([row, 4], 5) for row in (0, 2)]).to_numpy().tolist()
    [4]
    """
    given = list(bitmaps)
    if not given:
        raise InputError("an intersection needs at least one bitmap, to know the row count")
    return cast(Bitmap, _kernel.intersect_all(given))


def threshold(bitmaps: Iterable[Bitmap], least: int) -> Bitmap:
    """Give the rows set in at least `least` of the bitmaps.

    >>> threshold([Bitmap.from_positions(rows, 5) for rows in ([0, 1, 2], [1, 2, 3], [2, 3, 4])], 2).to_numpy().tolist()
    [1, 2, 3]

    Kaser and Lemire 2014. Memory: a window of counters of 2 MiB, and the result.
    """
    given = list(bitmaps)
    if not given:
        raise InputError("a threshold needs at least one bitmap, to know the row count")
    if least < 1:
        raise InputError(f"a threshold is at least 1, not {least}")
    return cast(Bitmap, _kernel.threshold(given, least))


def ranges(vectors: Mapping[int, Bitmap] | Sequence[Bitmap], bounds: Iterable[tuple[int, int]]) -> Bitmap:
    """AND the unions of vectors `first` to `last` (inclusive) of each range, in one call of the kernel.

    >>> vectors = [Bitmap.from_positions([number, 9], 10) for number in range(7)]
    >>> ranges(vectors, [(2, 3), (3, 6)]).to_numpy().tolist()
    [3, 9]

    Stops at the first range that leaves no row.
    """
    return cast(Bitmap, _kernel.ranges(_chosen(vectors, bounds)))


def count_ranges(vectors: Mapping[int, Bitmap] | Sequence[Bitmap], bounds: Iterable[tuple[int, int]]) -> int:
    """Count the rows that `ranges` would give, without making their bitmap.

    >>> count_ranges([Bitmap.from_positions([number, 9], 10) for number in range(7)], [(2, 3), (3, 6)])
    2
    """
    return _kernel.count_ranges(_chosen(vectors, bounds))


def terms(bitmaps: Sequence[Sequence[Bitmap]]) -> Bitmap:
    """AND the unions of lists of bitmaps, in one call of the kernel; as `ranges`, for bitmaps that are at hand.

    >>> terms([[Bitmap.from_positions([1], 3), Bitmap.from_positions([2], 3)], [Bitmap.from_positions([2], 3)]]).count()
    1
    """
    return cast(Bitmap, _kernel.ranges(bitmaps))


def count_terms(bitmaps: Sequence[Sequence[Bitmap]]) -> int:
    """Count the rows that `terms` would give."""
    return _kernel.count_ranges(bitmaps)


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


def _chosen(
    vectors: Mapping[int, Bitmap] | Sequence[Bitmap], bounds: Iterable[tuple[int, int]]
) -> list[Sequence[Bitmap]]:
    """Look up the vectors of every range, before any is read."""
    chosen: list[Sequence[Bitmap]] = []
    for first, last in bounds:
        if first > last:
            raise InputError(f"the range [{first},{last}] holds no vector")
        if isinstance(vectors, Mapping):
            missing = next((number for number in range(first, last + 1) if number not in vectors), None)
            if missing is None:
                chosen.append([vectors[number] for number in range(first, last + 1)])
                continue
        else:
            missing = first if not 0 <= first < len(vectors) else len(vectors) if last >= len(vectors) else None
            if missing is None:
                chosen.append(vectors[first : last + 1])
                continue
        raise InputError(f"no vector {missing}; the range [{first},{last}] needs it")
    if not chosen:
        raise InputError("a range query needs at least one range")
    return chosen
