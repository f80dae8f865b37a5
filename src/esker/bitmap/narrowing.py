"""The AND of unions, one after the other: few rows left are looked up in the next vectors, not united with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from esker.bitmap.bitmap import Bitmap
from esker.errors import InputError
from esker.kernel import _kernel


class Narrowing:
    """Rows that get fewer with each set of vectors; begins with `rows`, or with the first vectors.

    >>> sets = [Bitmap.from_positions(rows, 10) for rows in ([1, 2, 3], [3, 4], [3, 9], [4])]
    >>> narrowing = Narrowing()
    >>> narrowing.within(sets[:2])
    >>> narrowing.outside(sets[2:3])
    >>> narrowing.take().to_numpy().tolist()
    [1, 2, 4]

    One thread at a time.
    """

    def __init__(self, rows: Bitmap | None = None) -> None:
        self._kernel = _kernel.Narrowing([rows]) if rows is not None else None

    @property
    def none(self) -> bool:
        """Whether no row is left."""
        return self._kernel is not None and self._kernel.count() == 0

    def count(self) -> int:
        """Count the rows left."""
        return self._begun.count()

    def within(self, vectors: Sequence[Bitmap]) -> None:
        """Keep the rows that at least one of the vectors has."""
        if self._kernel is None:
            self._kernel = _kernel.Narrowing(vectors)
        else:
            self._kernel.within(vectors)

    def outside(self, vectors: Sequence[Bitmap]) -> None:
        """Keep the rows that none of the vectors has."""
        if self._kernel is None:
            self._kernel = _kernel.Narrowing([Bitmap.all(vectors[0].row_count, "auto", "speed")])
        self._kernel.outside(vectors)

    def take(self) -> Bitmap:
        """Give the rows left, and end."""
        made = cast(Bitmap, self._begun.take())
        self._kernel = None
        return made

    @property
    def _begun(self) -> _kernel.Narrowing:
        if self._kernel is None:
            raise InputError("nothing was asked yet: begin with rows or with vectors")
        return self._kernel
