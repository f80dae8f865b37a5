"""What nodes and the coordinator do with vectors: bitmaps from stored bytes, kept decoded as far as memory goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from esker.bitmap import AUTO, Bitmap, count_terms, union
from esker.bitmap import terms as bitmap_terms
from esker.bitmap.stored import StoredVector
from esker.core.row_set import RowSet
from esker.errors import BitmapCorruptError, DamagedValueError, InputError
from esker.index.encode import profile_of

_HELD_BYTES = 256 << 20
_MADE_BYTES = 16 << 20
_ROW_BYTES = 8
# A value that is held costs this beside its bytes.
_VALUE_BYTES = 200


class BitmapAlgebra:
    """ANDs of ORs over serialized bitmaps (see Bitmap.serialize).

    >>> one, two = (Bitmap.from_positions(rows, 10).serialize() for rows in ([1, 2], [2, 3]))
    >>> algebra = BitmapAlgebra()
    >>> Bitmap.deserialize(algebra.answer([[one, two], [two]])).to_numpy().tolist()
    [2, 3]
    >>> int.from_bytes(algebra.count([[one], [two]]), "little"), algebra.answer([[one], []])
    (1, b'')

    A decoded bitmap is kept with the value that it was made of, and found by that value's identity: entries of a unit
    are never changed in place. The oldest go when more than `held_bytes` are kept. One thread at a time.
    """

    def __init__(self, held_bytes: int = _HELD_BYTES) -> None:
        self._limit = held_bytes
        self._held: dict[int, tuple[bytes, Bitmap, int]] = {}
        self.held_bytes = 0
        # Of what was answered last: a node that waits for the next one's answer puts its own to it (Algorithm 7).
        self._made: dict[int, tuple[bytes, Bitmap]] = {}
        self._made_bytes = 0

    def answer(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        found = self._evaluated(bitmap_terms, terms)
        if not found:
            return b""
        value = _travelling(found)
        self._remember(value, found)
        return value

    def count(self, terms: Sequence[Sequence[bytes]]) -> bytes:
        return int(self._evaluated(count_terms, terms) or 0).to_bytes(8, "little")

    def merge(self, values: Sequence[bytes]) -> bytes:
        found = [self._met(value) for value in values if value]
        try:
            return _travelling(union(found)) if found else b""
        except InputError as error:
            raise DamagedValueError(f"answers do not fit together: {error}") from error

    def is_full(self, value: bytes) -> bool:
        if not value:
            return False
        made = self._made.get(id(value)) or self._held.get(id(value))
        if made is not None:
            return 0 < made[1].row_count == made[1].count()
        try:
            stored = StoredVector.from_bytes(value)
        except BitmapCorruptError as error:
            raise DamagedValueError(str(error)) from error
        return 0 < stored.row_count == stored.count

    def regroup(self, pieces: Sequence[tuple[bytes, int, int]]) -> bytes:
        starts, stops = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        end = 0
        for value, start, stop in pieces:
            if value:
                vector = _decoded(value)
                if vector.row_count < stop:
                    raise DamagedValueError(f"a vector of {vector.row_count:,} rows has no row {stop - 1:,}")
                first, past = vector.rows().slice(start, stop).runs()
                starts.append(first - np.uint64(start) + np.uint64(end))
                stops.append(past - np.uint64(start) + np.uint64(end))
            end += stop - start
        rows = RowSet.from_runs(np.concatenate(starts), np.concatenate(stops))
        return Bitmap.from_rows(rows, end, AUTO).serialize() if rows else b""

    def bitmap(self, value: bytes) -> Bitmap:
        """Decode a value, or give what was decoded before."""
        found = self._held.get(id(value))
        if found is not None:
            return found[1]
        made = _decoded(value)
        size = made.held_bytes + _VALUE_BYTES + len(value)
        if size > self._limit:
            return made
        if made.profile:
            # Small on disks and networks, quick in memory.
            made = made.recoded(AUTO, "speed")
        self._keep(value, made)
        return made

    def _met(self, value: bytes) -> Bitmap:
        """Decode a value that is on its way, unless it is one's own."""
        made = self._made.pop(id(value), None)
        if made is not None:
            self._made_bytes -= len(value)
            return made[1]
        held = self._held.get(id(value))
        return _decoded(value) if held is None else held[1]

    def _remember(self, value: bytes, made: Bitmap) -> None:
        most = min(self._limit // 8, _MADE_BYTES)
        if len(value) > most:
            return
        self._made[id(value)] = (value, made)
        self._made_bytes += len(value)
        while self._made_bytes > most:
            self._made_bytes -= len(self._made.pop(next(iter(self._made)))[0])

    def _evaluated(self, evaluate: Callable[[list[list[Bitmap]]], Any], terms: Sequence[Sequence[bytes]]) -> Any:
        """Evaluate over bitmaps; None when a term has no vector."""
        held, bitmap = self._held, self.bitmap
        chosen = [
            [held[id(value)][1] if id(value) in held else bitmap(value) for value in values if value]
            for values in terms
        ]
        if not chosen or not all(chosen):
            return None
        try:
            return evaluate(chosen)
        except (BitmapCorruptError, InputError) as error:
            raise DamagedValueError(f"vectors of one unit do not fit together: {error}") from error

    def _keep(self, value: bytes, made: Bitmap) -> None:
        size = made.held_bytes + _VALUE_BYTES + len(value)
        while self._held and self.held_bytes + size > self._limit:
            oldest = next(iter(self._held))
            self.held_bytes -= self._held.pop(oldest)[2]
        self._held[id(value)] = (value, made, size)
        self.held_bytes += size


def _travelling(found: Bitmap) -> bytes:
    """Give a bitmap's bytes as they lie in memory: choosing an encoding takes many times as long as the OR did.

    Unless its rows one by one would be shorter, as those of a bit vector with few rows are.
    """
    if found.data.nbytes > _ROW_BYTES * (found.count() + 64):
        return found.serialize()
    return StoredVector(found.encoding, found.row_count, found.count(), found.data).to_bytes()


def _decoded(value: bytes) -> Bitmap:
    try:
        stored = StoredVector.from_bytes(value)
        return Bitmap.decode(
            stored.data, stored.row_count, stored.encoding,
            count=stored.count, place="a vector", profile=profile_of(stored.encoding),
        )  # fmt: skip
    except BitmapCorruptError as error:
        raise DamagedValueError(str(error)) from error
