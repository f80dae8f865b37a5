"""Pages to look at: made by the kernel from a fixed batch."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa

from esker.kernel import _kernel

SCHEMA = pa.schema(
    [
        pa.field("key", pa.int32(), nullable=False),
        pa.field("flag", pa.bool_()),
        pa.field("amount", pa.decimal128(9, 2)),
        pa.field("at", pa.timestamp("us", "UTC")),
        pa.field("nothing", pa.null()),
        pa.field("code", pa.binary(3)),
        pa.field("text", pa.string()),
        pa.field("data", pa.large_binary()),
    ]
)


def batch() -> pa.RecordBatch:
    """Seventy rows with nulls, empty, short and long values."""
    rows = range(70)
    return pa.RecordBatch.from_arrays(
        [
            pa.array([row * 3 - 50 for row in rows], pa.int32()),
            pa.array([None if row % 7 == 0 else row % 2 == 0 for row in rows]),
            pa.array([None if row % 5 == 0 else Decimal(row) / 4 for row in rows], pa.decimal128(9, 2)),
            pa.array([None if row % 11 == 0 else row * 10**9 for row in rows], pa.timestamp("us", "UTC")),
            pa.nulls(70),
            pa.array([bytes([row, 0, 255 - row]) for row in rows], pa.binary(3)),
            pa.array([None if row % 6 == 0 else "né" * row for row in rows]),
            pa.array([bytes([row]) * (row % 30) for row in rows], pa.large_binary()),
        ],
        schema=SCHEMA,
    )


def page_bytes(source: pa.RecordBatch | None = None) -> bytes:
    """The batch as one page of partition 0, as it is stored."""
    rows = batch() if source is None else source
    shuffle = _kernel.Shuffle(rows.schema, [0], 1, _kernel.PagePool(1 << 20))
    shuffle.push([rows])
    shuffle.finish()
    page = shuffle.next(0)
    assert page is not None
    assert shuffle.next(0) is None
    return page.encode(0)
