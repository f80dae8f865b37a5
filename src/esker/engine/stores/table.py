"""A table in memory as a row store: the row id is the position."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from esker.core.batch import cast_batch, plain_schema
from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.storage.devices import device_profile


class TableRows:
    """Rows of an Arrow table; every column is hot, reading costs memory bandwidth."""

    def __init__(self, table: pa.Table, name: str = "table", device: str = "memory") -> None:
        self.table = table
        self._device = device_profile(device)
        self.name = name
        self.schema: pa.Schema = plain_schema(table.schema)
        self.row_count: int = table.num_rows
        self.hot_columns: frozenset[str] = frozenset(self.schema.names)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows in order, in zero-copy slices."""
        yield from self.scan_range(0, self.row_count, columns, context)

    def scan_range(self, start: int, stop: int, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield rows `start` to `stop` (exclusive)."""
        first = start
        table = self.table.slice(start, stop - start).select(list(columns))
        schema = plain_schema(table.schema)
        for batch in table.to_batches(max_chunksize=context.batch_rows):
            context.check()
            yield RowBatch(np.arange(first, first + batch.num_rows, dtype=np.uint64), cast_batch(batch, schema))
            first += batch.num_rows

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows`, in order."""
        table = self.table.select(list(columns))
        schema = plain_schema(table.schema)
        first = 0
        for batch in table.to_batches(max_chunksize=context.batch_rows):
            context.check()
            # Batch by batch: take on a chunked column would join all its chunks for every call.
            for ids in rows.slice(first, first + batch.num_rows).chunks(context.batch_rows):
                yield RowBatch(ids, cast_batch(batch, schema).take(pa.array(ids - np.uint64(first))))
            first += batch.num_rows

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """All bytes of the columns, at the device's rate."""
        return self._cost(self.row_count, columns)

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """The wanted rows' share of the bytes; gathering costs about twice what copying does."""
        cost = self._cost(len(rows), columns)
        return Cost(cost.bytes, cost.requests, seconds=2 * cost.seconds)

    def _cost(self, row_count: int, columns: Sequence[str]) -> Cost:
        if not self.row_count or not columns:
            return Cost()
        size = self.table.select(list(columns)).nbytes * row_count // self.row_count
        return Cost(bytes=size, requests=1, seconds=self._device.request_seconds + size / self._device.bytes_per_second)
