"""Codes of keys: unsigned integers in the order of the keys where there is one, else hashes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.join.key_join import is_narrow, narrow_codes
from esker.shuffle.partition_function import hash_rows

_SIGN = np.uint64(1 << 63)


def order_codes(columns: Sequence[pa.Array]) -> npt.NDArray[np.uint64]:
    """Give equal keys equal codes; a single number, time or truth gives codes in its order, NaN last.

    >>> codes = order_codes([pa.array([3.5, -1.0, float("nan"), 0.0, -0.0])])
    >>> np.argsort(codes, kind="stable").tolist(), bool(codes[3] == codes[4])
    ([1, 3, 4, 0, 2], True)

    Other keys give hashes: different ones may then have the same code.
    """
    if len(columns) == 1 and is_narrow(columns[0].type):
        codes = narrow_codes(columns[0])[0].view(np.uint64)
        if pa.types.is_floating(columns[0].type):
            # Negative numbers count down: all their bits are turned over, of others only the sign.
            return np.where(codes & _SIGN, ~codes, codes | _SIGN)
        unsigned = pa.types.is_unsigned_integer(columns[0].type) or pa.types.is_boolean(columns[0].type)
        return codes if unsigned else codes ^ _SIGN
    names = [str(number) for number in range(len(columns))]
    return hash_rows(pa.RecordBatch.from_arrays(list(columns), names=names), names)
