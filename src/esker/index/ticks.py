"""Values as whole numbers in units of their type: what bit slices are cut from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.errors import UnsupportedTypeError
from esker.expression.exact import scalar_of_ticks

Ticks = npt.NDArray[np.uint64]
DECIMAL_DIGITS_MAX = 18


def require_ticks(column: str, type_: pa.DataType) -> None:
    """Raise UnsupportedTypeError for a type whose values are no whole numbers of 64 bits."""
    types = pa.types
    small_decimal = types.is_decimal(type_) and type_.precision <= DECIMAL_DIGITS_MAX and type_.bit_width == 128
    plain = (types.is_integer, types.is_boolean, types.is_date, types.is_timestamp, types.is_time)
    if not small_decimal and not any(test(type_) for test in plain):
        raise UnsupportedTypeError(
            f"column {column!r} ({type_}) cannot be bit-sliced: that takes integers, decimals of up to"
            f" {DECIMAL_DIGITS_MAX} digits, booleans, dates, times and timestamps; index its values, or bins"
        )


def ticks_of_array(values: pa.Array) -> Ticks:
    """Give values without null as numbers of 64 bits; signed ones in two's complement.

    >>> ticks_of_array(pa.array([3, -1], pa.int8())).view(np.int64).tolist()
    [3, -1]
    """
    type_ = values.type
    ticks: Ticks
    if pa.types.is_decimal(type_):
        words = np.frombuffer(values.buffers()[1], np.uint64)
        ticks = words[2 * values.offset : 2 * (values.offset + len(values)) : 2].copy()
    elif pa.types.is_boolean(type_) or pa.types.is_unsigned_integer(type_):
        ticks = values.to_numpy(zero_copy_only=False).astype(np.uint64)
    else:
        storage = pa.int64() if type_.bit_width == 64 else pa.int32()
        plain = values if pa.types.is_integer(type_) else values.view(storage)
        ticks = plain.to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64)
    return ticks


def signed(type_: pa.DataType) -> bool:
    """Whether ticks of the type are signed."""
    return not pa.types.is_unsigned_integer(type_) and not pa.types.is_boolean(type_)


def tick_bounds(values: pa.Array) -> tuple[int, int]:
    """Give the least and greatest ticks of values, at least one, without null."""
    ticks = ticks_of_array(values)
    if signed(values.type):
        return int(ticks.view(np.int64).min()), int(ticks.view(np.int64).max())
    return int(ticks.min()), int(ticks.max())


def scalar_of(ticks: int, type_: pa.DataType) -> pa.Scalar:
    """Give the value of a type that is so many ticks."""
    if pa.types.is_boolean(type_):
        return pa.scalar(bool(ticks))
    if type_ == pa.date64():
        return pa.scalar(ticks, pa.int64()).cast(type_)
    return scalar_of_ticks(ticks, type_)
