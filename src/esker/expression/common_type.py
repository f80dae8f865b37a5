"""Which type two sides of a comparison, or the operands of arithmetic, are brought to."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

_UNITS = ("s", "ms", "us", "ns")


def is_number(type_: pa.DataType) -> bool:
    """Integers, decimals and floating numbers."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def is_text(type_: pa.DataType) -> bool:
    """Strings of either width."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def is_bytes(type_: pa.DataType) -> bool:
    """Binary of any kind."""
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def common_type(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type in which values of both compare as DuckDB compares them, or None when they do not.

    >>> common_type(pa.int8(), pa.float64()), common_type(pa.uint64(), pa.int8())
    (DataType(double), Decimal128Type(decimal128(20, 0)))
    >>> common_type(pa.string(), pa.int8()) is None
    True
    """
    if left == right:
        return left
    if is_number(left) and is_number(right):
        return _common_number(left, right)
    if is_text(left) and is_text(right):
        return pa.large_string()
    if is_bytes(left) and is_bytes(right):
        return pa.large_binary()
    if pa.types.is_time(left) and pa.types.is_time(right):
        return pa.time64("ns")
    if pa.types.is_duration(left) and pa.types.is_duration(right):
        return pa.duration(_finer(left, right))
    days = pa.types.is_date(left), pa.types.is_date(right)
    if all(days):
        return pa.date32()
    if pa.types.is_timestamp(left) and pa.types.is_timestamp(right):
        # Instants compare whatever their zones; an instant and a clock on some wall do not.
        return pa.timestamp(_finer(left, right), left.tz) if (left.tz is None) == (right.tz is None) else None
    stamp = right if days[0] else left
    return stamp if any(days) and pa.types.is_timestamp(stamp) and stamp.tz is None else None


def number_type(op: str, types: Sequence[pa.DataType]) -> pa.DataType | None:
    """The type arithmetic runs in: int64, a decimal, float32 or float64; None where it is not defined.

    A decimal stands for all decimals: each operand keeps its own scale, see `decimal_of`.
    """
    known = [type_ for type_ in types if not pa.types.is_null(type_)]
    if any(pa.types.is_float64(type_) for type_ in known):
        return pa.float64()
    if any(pa.types.is_floating(type_) for type_ in known):
        return pa.float32()
    if op == "/" or not known:
        return pa.float64()
    if any(pa.types.is_decimal(type_) or pa.types.is_uint64(type_) for type_ in known):
        return None if op == "%" else pa.decimal128(38, 0)
    return pa.int64()


def decimal_of(type_: pa.DataType) -> pa.DataType:
    """The decimal that holds an integer or null type; a decimal is its own."""
    if pa.types.is_decimal(type_):
        return type_
    if pa.types.is_null(type_):
        return pa.decimal128(1, 0)
    return pa.decimal128(20 if pa.types.is_uint64(type_) else 19, 0)


def decimal_operands(op: str, types: Sequence[pa.DataType]) -> list[pa.DataType]:
    """The decimals that operands of arithmetic are brought to: of 256 bits where the result takes more than 38 digits.

    >>> decimal_operands("+", [pa.decimal128(38, 2), pa.int64()])
    [Decimal256Type(decimal256(38, 2)), Decimal256Type(decimal256(19, 0))]
    """
    operands = [decimal_of(type_) for type_ in types]
    if op == "*":
        digits = sum(operand.precision for operand in operands)
    else:
        digits = max(operand.precision - operand.scale for operand in operands) + max(
            operand.scale for operand in operands
        )
    if len(operands) == 1 or digits < 38:  # a sum may carry, and Arrow counts a digit for a product too
        return operands
    return [pa.decimal256(operand.precision, operand.scale) for operand in operands]


def _common_number(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    if pa.types.is_floating(left) or pa.types.is_floating(right):
        wide = pa.types.is_float64(left) or pa.types.is_float64(right)
        return pa.float64() if wide else pa.float32()
    if pa.types.is_integer(left) and pa.types.is_integer(right):
        both = {left, right}
        if pa.uint64() not in both:
            return pa.int64()
        return pa.uint64() if all(pa.types.is_unsigned_integer(type_) for type_ in both) else pa.decimal128(20, 0)
    one, other = decimal_of(left), decimal_of(right)
    scale = max(one.scale, other.scale)
    precision = max(one.precision - one.scale, other.precision - other.scale) + scale
    return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(min(precision, 76), scale)


def _finer(left: pa.DataType, right: pa.DataType) -> str:
    return _UNITS[max(_UNITS.index(left.unit), _UNITS.index(right.unit))]
