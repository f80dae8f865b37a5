"""Payload on a tier, in one line, without freezing: for tests of thaw alone."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.context import QueryContext
from esker.core.extent import Extent
from esker.core.memory import MemoryBudget
from esker.core.row_store import RowBatch
from esker.storage import Tier, open_tier
from esker.thaw import PayloadExtent

_numbers = count()


def memory_tier() -> Tier:
    """A new tier in memory."""
    return open_tier(f"memory:thaw-{next(_numbers)}")


def stored(table: pa.Table, tier: Tier, *, extent_rows: int, group_rows: int, **options: object) -> list[PayloadExtent]:
    """Write a table as extents and give them with their footers."""
    extents = []
    for first in range(0, table.num_rows, extent_rows):
        part = table.slice(first, extent_rows)
        sink = io.BytesIO()
        chosen = {"write_page_checksum": True, "write_page_index": True} | options
        pq.write_table(part, sink, row_group_size=group_rows, **chosen)
        written = tier.write(f"part-{first}-{next(_numbers)}", sink.getvalue())
        assert written.checksum is not None
        extent = Extent(written.key, first, part.num_rows, written.bytes, written.checksum)
        footer = pq.read_metadata(io.BytesIO(sink.getvalue()))
        extents.append(PayloadExtent(extent, footer, sink.getvalue()))
    return extents


def wide_table(row_count: int) -> pa.Table:
    """A table of several types; values tell their row."""
    rows = np.arange(row_count)
    return pa.table(
        {
            "key": rows,
            "text": pa.array([None if row % 7 == 3 else f"row {row} " * (row % 5) for row in rows]),
            "real": rows / 3,
            "list": pa.array([[int(row)] * (row % 3) for row in rows], pa.list_(pa.int32())),
            "pair": pa.array(
                [{"a": int(row), "b": str(row)} for row in rows], pa.struct({"a": pa.int64(), "b": pa.string()})
            ),
        }
    )


def small_context(memory: int | str = "64MiB", **options: object) -> QueryContext:
    return QueryContext(budget=MemoryBudget(memory), **options)  # type: ignore[arg-type]


def collected(batches: Iterable[RowBatch], schema: pa.Schema) -> tuple[list[int], pa.Table]:
    """Row ids and rows, as they came."""
    found = list(batches)
    assert all(len(rows.row_ids) == rows.batch.num_rows > 0 for rows in found)
    ids = [int(row) for rows in found for row in rows.row_ids]
    return ids, pa.Table.from_batches([rows.batch for rows in found], schema)
