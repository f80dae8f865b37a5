"""A row store in memory that counts what it is asked for, for tests of joins and finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from esker.core.batch import cast_batch, plain_schema
from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch

# Bytes of a value, whatever its type: costs are to be worked out by hand.
VALUE_BYTES = 10


class CountingStore:
    """Rows of a table, with made-up prices: 10 bytes a value, `request_seconds` a request, a second a `rate` bytes.

    A fetch is one request a run of rows, a scan one request; neither is in the price for hot columns. `scanned` and
    `fetched` record the columns and rows asked for, `counted` what it all cost.
    """

    def __init__(
        self,
        table: pa.Table,
        hot: Sequence[str] = (),
        *,
        name: str = "counting",
        batch_rows: int = 1000,
        request_seconds: float = 0.01,
        rate: float = 1e6,
    ) -> None:
        self._table = table
        self._batch_rows = batch_rows
        self._request_seconds = request_seconds
        self._rate = rate
        self.name = name
        self.schema: pa.Schema = plain_schema(table.schema)
        self.row_count: int = table.num_rows
        self.hot_columns: frozenset[str] = frozenset(hot)
        self.scanned: list[tuple[str, ...]] = []
        self.fetched: list[tuple[tuple[str, ...], RowSet]] = []
        self.counted = Cost()

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows."""
        self.scanned.append(tuple(columns))
        self.counted = self.counted + self.scan_cost(columns)
        first = 0
        for batch in self._batches(columns):
            yield RowBatch(np.arange(first, first + batch.num_rows, dtype=np.uint64), batch)
            first += batch.num_rows

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield `rows`, batch by batch of the table."""
        self.fetched.append((tuple(columns), rows))
        self.counted = self.counted + self.fetch_cost(rows, columns)
        first = 0
        for batch in self._batches(columns):
            ids = rows.slice(first, first + batch.num_rows).to_numpy()
            yield RowBatch(ids, batch.take(pa.array(ids - np.uint64(first))))
            first += batch.num_rows

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """One request for all rows of the columns that are not hot."""
        return self._cost(self.row_count, 1, columns)

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """One request for each run of rows."""
        return self._cost(len(rows), len(rows.runs()[0]), columns)

    def fetched_rows(self) -> int:
        """How many rows were fetched, in all."""
        return sum(len(rows) for _, rows in self.fetched)

    def _batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        table = self._table.select(list(columns))
        for batch in table.to_batches(max_chunksize=self._batch_rows):
            yield cast_batch(batch, plain_schema(table.schema))

    def _cost(self, rows: int, requests: int, columns: Sequence[str]) -> Cost:
        cold = [name for name in columns if name not in self.hot_columns]
        if not cold or not rows:
            return Cost()
        size = rows * len(cold) * VALUE_BYTES
        return Cost(bytes=size, requests=requests, seconds=requests * self._request_seconds + size / self._rate)
