"""Reading sorted pairs alongside the rows they belong to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from esker.join.sorted_runs import ids_of


class PairCursor:
    """Batches sorted by their first column (row ids), handed out up to a row id at a time."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def through(self, row_id: int | np.uint64, rows_max: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield what is left of the batches up to and with `row_id`; read it to its end before the next call."""
        while True:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            self._rest = None
            if batch is None:
                return
            count = int(np.searchsorted(ids_of(batch, 0), np.uint64(row_id), "right"))
            for start in range(0, count, rows_max or max(count, 1)):
                yield batch.slice(start, min(rows_max or count, count - start))
            if count < batch.num_rows:
                self._rest = batch.slice(count)
                return
