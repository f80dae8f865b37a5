"""The Arrow types that Esker's operators are tested with."""

from __future__ import annotations

import pyarrow as pa

INTEGERS = (
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.int64(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
)
FLOATS = (pa.float32(), pa.float64())
DECIMALS = (pa.decimal128(4, 1), pa.decimal128(18, 3), pa.decimal128(38, 10))
TIMESTAMPS = tuple(
    pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Europe/Berlin")
)
TEMPORAL = (
    pa.date32(),
    pa.date64(),
    pa.time32("s"),
    pa.time32("ms"),
    pa.time64("us"),
    pa.time64("ns"),
    *TIMESTAMPS,
    *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
)
FIXED_WIDTH = (pa.bool_(), *INTEGERS, *FLOATS, pa.float16(), *DECIMALS, pa.decimal256(50, 5), *TEMPORAL, pa.binary(3))
STRINGS = (pa.string(), pa.large_string())
BINARY = (pa.binary(), pa.large_binary())
VIEWS = (pa.string_view(), pa.binary_view())
TYPES = (*FIXED_WIDTH, *STRINGS, *BINARY)
