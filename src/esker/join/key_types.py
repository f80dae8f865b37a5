"""Key columns of two inputs: the type both are compared in, or why there is none."""

from __future__ import annotations

import pyarrow as pa

from esker.core.batch import cast_column, storage_type
from esker.errors import SchemaMismatchError, UnsupportedTypeError

# Digits of the largest value, by bytes of the integer.
_DIGITS = {1: 3, 2: 5, 4: 10, 8: 20}
_UNITS = ("s", "ms", "us", "ns")


def common_key_type(left: pa.Field, right: pa.Field) -> pa.DataType:
    """Give the type in which `left` and `right` compare without a value changing.

    >>> common_key_type(pa.field("a", pa.int16()), pa.field("b", pa.uint32()))
    DataType(int64)
    >>> common_key_type(pa.field("day", pa.date32()), pa.field("at", pa.timestamp("s")))
    Traceback (most recent call last):
        ...
    esker.errors.SchemaMismatchError: cannot join 'day' (date32[day]) with 'at' (timestamp[s]); cast one of them first \
[ESK-105]

    Integers, decimals and units of time widen; integers meet floats as float64 (an integer that no float64 holds is
    an error of the run). Decimals and floats do not meet, nor dates and timestamps, nor zoned and plain timestamps.
    Extension types (UUID, JSON) compare as what they are stored in.
    """
    for field in (left, right):
        if not _supported(storage_type(field.type)):
            raise UnsupportedTypeError(
                f"column {field.name!r} has type {field.type}, which cannot be a join key; cast it to a number,"
                " string, binary or time first"
            )
    common = _common(storage_type(left.type), storage_type(right.type))
    if common is None:
        raise SchemaMismatchError(
            f"cannot join {left.name!r} ({left.type}) with {right.name!r} ({right.type}); cast one of them first"
        )
    return common


def cast_key(column: pa.Array, type_: pa.DataType, name: str) -> pa.Array:
    """Cast a key column to the common type; a value that would change is a SchemaMismatchError."""
    if column.type == type_:
        return column
    try:
        return cast_column(column, type_)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaMismatchError(f"key column {name!r} cannot be compared as {type_}: {error}") from error


def _supported(type_: pa.DataType) -> bool:
    return (
        pa.types.is_null(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_decimal(type_)
        or _is_text(type_)
        or _is_binary(type_)
        or (pa.types.is_temporal(type_) and not pa.types.is_interval(type_))
    )


def _common(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if left == right:
        return left
    if pa.types.is_null(left) or pa.types.is_null(right):
        return right if pa.types.is_null(left) else left
    if _is_number(left) and _is_number(right):
        return _common_number(left, right)
    if _is_text(left) and _is_text(right):
        return pa.large_string()
    if _is_binary(left) and _is_binary(right):
        both_fixed = pa.types.is_fixed_size_binary(left) and pa.types.is_fixed_size_binary(right)
        return None if both_fixed else pa.large_binary()
    if pa.types.is_temporal(left) and pa.types.is_temporal(right):
        return _common_time(left, right)
    return None


def _common_number(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    floats = [type_ for type_ in (left, right) if pa.types.is_floating(type_)]
    if floats:
        return None if any(pa.types.is_decimal(type_) for type_ in (left, right)) else pa.float64()
    if pa.types.is_decimal(left) or pa.types.is_decimal(right):
        return _decimal(left, right)
    signed_left, signed_right = pa.types.is_signed_integer(left), pa.types.is_signed_integer(right)
    if signed_left == signed_right:
        return left if left.bit_width >= right.bit_width else right
    signed, unsigned = (left, right) if signed_left else (right, left)
    if unsigned.bit_width < signed.bit_width:
        return signed
    return {8: pa.int16(), 16: pa.int32(), 32: pa.int64()}.get(unsigned.bit_width, pa.decimal128(20, 0))


def _decimal(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    whole, scale = 0, 0
    for type_ in (left, right):
        if pa.types.is_decimal(type_):
            whole, scale = max(whole, type_.precision - type_.scale), max(scale, type_.scale)
        else:
            whole = max(whole, _DIGITS[type_.bit_width // 8])
    digits = whole + scale
    if digits <= 38:
        return pa.decimal128(digits, scale)
    return pa.decimal256(digits, scale) if digits <= 76 else None


def _common_time(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    if pa.types.is_timestamp(left) and pa.types.is_timestamp(right):
        if (left.tz is None) != (right.tz is None):
            return None
        return pa.timestamp(_finer(left, right), left.tz)
    if pa.types.is_date(left) and pa.types.is_date(right):
        return pa.date64()
    if pa.types.is_time(left) and pa.types.is_time(right):
        unit = _finer(left, right)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if pa.types.is_duration(left) and pa.types.is_duration(right):
        return pa.duration(_finer(left, right))
    return None


def _finer(left: pa.DataType, right: pa.DataType) -> str:
    unit: str = max(left.unit, right.unit, key=_UNITS.index)
    return unit


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or type_ == pa.string_view())


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or type_ == pa.binary_view()
    )
