"""Freezing in one line, for tests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.frozen import FreezeReport, FrozenCatalog, freeze
from esker.storage.tiers.disk import DiskTier

_SHARED_MEMORY = Path("/dev/shm")
MEMORY_FOLDER = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None

SMALL = MemoryBudget("64MiB").total_bytes


def context() -> QueryContext:
    return QueryContext(budget=MemoryBudget(SMALL))


def frozen(
    table: pa.Table, target: Path, hot_columns: Sequence[str], tier: DiskTier | None = None, **options: Any
) -> FreezeReport:
    tier = tier or DiskTier(target.parent / "tier")
    options.setdefault("context", context())
    with options["context"]:
        return freeze(iter(table.to_batches()), table.schema, target, hot_columns=hot_columns, tier=tier, **options)


def hot_table(catalog: FrozenCatalog, columns: Sequence[str], rows: RowSet | None = None) -> tuple[list[int], pa.Table]:
    """Row ids and rows, as read."""
    with context() as query:
        found = list(catalog.read_hot(columns, query, rows))
    ids = [int(row) for part in found for row in part.row_ids]
    schema = pa.schema([catalog.schema.field(name) for name in columns])
    return ids, pa.Table.from_batches([part.batch for part in found], schema)


def payload_table(catalog: FrozenCatalog, tier: DiskTier) -> pa.Table:
    """All payload, read by plain pyarrow in row-id order."""
    parts = []
    for extent in catalog.extents:
        assert pq.read_metadata(tier.folder / extent.extent.key).num_rows == extent.extent.row_count
        parts.append(pq.ParquetFile(tier.folder / extent.extent.key).read().cast(catalog.schema))
    return pa.concat_tables(parts) if parts else catalog.schema.empty_table()


def same(found: pa.Table, expected: pa.Table) -> bool:
    """Equal names, types and values; NaN equals NaN, and zeros have signs."""
    if found.schema.remove_metadata() != expected.schema.remove_metadata() or len(found) != len(expected):
        return False
    return all(_bits(one).equals(_bits(other)) for one, other in zip(found.columns, expected.columns, strict=True))


def _bits(column: pa.ChunkedArray) -> pa.Array:
    """Floats as the integers of their bits, all NaN alike."""
    array = column.combine_chunks()
    array = array.chunk(0) if isinstance(array, pa.ChunkedArray) and array.num_chunks else array
    if not pa.types.is_floating(array.type) or not len(array):
        return array
    filled = array.fill_null(pa.scalar(np.float16(0), pa.float16()) if pa.types.is_float16(array.type) else 0)
    values = filled.to_numpy(zero_copy_only=False).copy()
    values[np.isnan(values)] = np.nan
    return pa.array(values.view(f"i{values.itemsize}"), mask=array.is_null().to_numpy(zero_copy_only=False))


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
