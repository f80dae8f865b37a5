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
NESTED = (
    pa.list_(pa.int32()),
    pa.large_list(pa.string()),
    pa.list_(pa.float64(), 2),
    pa.struct([("a", pa.int64()), ("b", pa.string()), ("c", pa.bool_())]),
    pa.map_(pa.string(), pa.list_(pa.float32())),
    pa.list_view(pa.bool_()),
    pa.list_(pa.struct([("x", pa.list_(pa.binary_view())), ("y", pa.list_(pa.decimal128(4, 1), 1))])),
    pa.struct([("deep", pa.list_(pa.list_(pa.null())))]),
    pa.dictionary(pa.int8(), pa.string()),
    pa.run_end_encoded(pa.int32(), pa.large_string()),
)
