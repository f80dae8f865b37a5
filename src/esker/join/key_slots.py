"""Which keys may be there, a truth for each slot: exactly while numbers lie close together, by their hashes if not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.join.key_join import Codes, narrow_codes
from esker.shuffle.partition_function import hash_rows

# Beyond this share of slots taken, a test by hash tells too little to be worth making.
_FULL = 0.5

Truths = npt.NDArray[np.bool_]


class KeySlots:
    """A set of keys in `count` slots, a power of two: a yes may be wrong, a no never is.

    One column of whole numbers or times is kept by value as long as the least and the greatest key are fewer than
    `count` apart: then no answer is wrong, and nothing is hashed. The first key farther away turns slots into those
    of hashes; none is lost, for a slot by value tells its key.

    >>> slots = KeySlots([pa.int64()], 8)
    >>> slots.add([pa.array([1_000_000, 1_000_003])])
    >>> slots.may_hold([pa.array([1_000_000, 1_000_001, 1_000_008])]).tolist()
    [True, False, False]
    """

    def __init__(self, types: Sequence[pa.DataType], count: int) -> None:
        self._truths = np.zeros(count, np.bool_)
        self._mask = np.uint64(count - 1)
        self._types = tuple(types)
        self._type = types[0]
        self._names = [str(number) for number in range(len(types))]
        self._by_value = len(types) == 1 and _has_places(types[0])
        # The least and the greatest key; none yet, and so no code lies between.
        self._low, self._high = 0, -1

    @property
    def worth_testing(self) -> bool:
        """Whether a test would tell enough rows apart."""
        return self._by_value or int(np.count_nonzero(self._truths)) <= _FULL * len(self._truths)

    def add(self, columns: Sequence[pa.Array]) -> None:
        """Take the keys of some rows; one with a null matches nothing, whatever is kept of it."""
        if self._by_value:
            codes = _codes(columns[0].drop_null())
            if not len(codes):
                return
            if self._widened(int(codes.min()), int(codes.max())):
                self._truths[self._places(codes)] = True
                return
            self._hash()
        self._truths[self._hashed(columns)] = True

    def may_hold(self, columns: Sequence[pa.Array]) -> Truths:
        """Say of each row whether its key may be there; of one with a null, anything."""
        if not self._by_value:
            found: Truths = self._truths[self._hashed(columns)]
            return found
        codes = _codes(columns[0])
        found = codes >= self._low
        found &= codes <= self._high
        if found.all():
            return np.asarray(self._truths[self._places(codes)])
        between = np.flatnonzero(found)
        found[between] = self._truths[self._places(codes[between])]
        return found

    def merge(self, other: KeySlots) -> None:
        """Take all keys of as many slots of the same types."""
        if self._by_value and other._by_value:
            if other._low > other._high:
                return
            if self._widened(other._low, other._high):
                self._truths |= other._truths
                return
        for one in (self, other):
            if one._by_value:
                one._hash()
        self._truths |= other._truths

    def packed(self) -> PackedSlots:
        """The slots as values that travel: a bit for each."""
        return PackedSlots(self._types, self._by_value, self._low, self._high, np.packbits(self._truths).tobytes())

    def _widened(self, low: int, high: int) -> bool:
        """Let all keys lie from `low` to `high` too, if slots by value reach that far."""
        if self._low <= self._high:
            low, high = min(low, self._low), max(high, self._high)
        if high - low >= len(self._truths):
            return False
        self._low, self._high = low, high
        return True

    def _hash(self) -> None:
        """Make slots by value slots by hash."""
        taken = np.flatnonzero(self._truths).astype(np.uint64)
        low = np.uint64(self._low % (1 << 64))
        codes = (low + ((taken - low) & self._mask)).view(np.int64)
        self._by_value = False
        self._truths[:] = False
        if len(codes):
            self._truths[self._hashed([_column(codes, self._type)])] = True

    def _places(self, codes: Codes) -> npt.NDArray[np.uint64]:
        return codes.view(np.uint64) & self._mask

    def _hashed(self, columns: Sequence[pa.Array]) -> npt.NDArray[np.uint64]:
        batch = pa.RecordBatch.from_arrays(list(columns), names=self._names)
        return hash_rows(batch, self._names) & self._mask


@dataclass(frozen=True)
class PackedSlots:
    """What `KeySlots` know, in an eighth of their bytes. Pickles."""

    types: tuple[pa.DataType, ...]
    by_value: bool
    low: int
    high: int
    bits: bytes

    def slots(self) -> KeySlots:
        """The slots themselves."""
        found = KeySlots(self.types, 8 * len(self.bits))
        found._truths = np.unpackbits(np.frombuffer(self.bits, np.uint8)).view(np.bool_)
        found._by_value, found._low, found._high = self.by_value, self.low, self.high
        return found


def _has_places(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or (pa.types.is_temporal(type_) and not pa.types.is_interval(type_)))


def _codes(column: pa.Array) -> Codes:
    return np.ascontiguousarray(narrow_codes(column)[0])


def _column(codes: Codes, type_: pa.DataType) -> pa.Array:
    """Make keys of their codes again."""
    if pa.types.is_integer(type_):
        return pa.array(codes.astype(type_.to_pandas_dtype()), type_)
    return pc.cast(pa.array(codes), pa.int64() if type_.bit_width == 64 else pa.int32()).view(type_)
