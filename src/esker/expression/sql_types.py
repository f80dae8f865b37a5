"""The names of Arrow types in predicates, both ways."""

from __future__ import annotations

import pyarrow as pa

_NAMES = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "REAL",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.date32(): "DATE",
    pa.time64("us"): "TIME",
    pa.timestamp("s"): "TIMESTAMP_S",
    pa.timestamp("ms"): "TIMESTAMP_MS",
    pa.timestamp("us"): "TIMESTAMP",
    pa.timestamp("ns"): "TIMESTAMP_NS",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}
# What sqlglot calls them; it folds aliases (INT, TEXT, FLOAT4, …) itself.
_BY_SQLGLOT = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INT": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINT": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "TEXT": pa.string(),
    "VARCHAR": pa.string(),
    "VARBINARY": pa.binary(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP_S": pa.timestamp("s"),
    "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPNTZ": pa.timestamp("us"),
    "TIMESTAMP_NS": pa.timestamp("ns"),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
}


def type_name(type_: pa.DataType) -> str:
    """Name a type in SQL; one without a name of its own gets that of the nearest type that holds its values.

    >>> type_name(pa.int64()), type_name(pa.decimal128(9, 2)), type_name(pa.timestamp("s", "Europe/Berlin"))
    ('BIGINT', 'DECIMAL(9, 2)', 'TIMESTAMPTZ')
    """
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision}, {type_.scale})"
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return "TIMESTAMPTZ"
    if pa.types.is_date(type_):
        return "DATE"
    if pa.types.is_time(type_):
        return "TIME"
    if pa.types.is_float16(type_):
        return "REAL"
    if pa.types.is_large_string(type_):
        return "VARCHAR"
    if pa.types.is_fixed_size_binary(type_) or pa.types.is_large_binary(type_):
        return "BLOB"
    return _NAMES.get(type_, str(type_).upper())


def type_of_name(name: str, parameters: list[int]) -> pa.DataType | None:
    """The Arrow type for sqlglot's name of a type, or None."""
    if name == "DECIMAL":
        precision, scale = ([*parameters, 0])[:2] if parameters else (18, 3)
        if not 1 <= precision <= 76 or not 0 <= scale <= precision:
            return None
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    return _BY_SQLGLOT.get(name)
