"""Batches of a size that pays, from many small ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from esker.shuffle.joined import ROWS_ALONE, joined

# Batches are gathered until they have this many bytes, or `ROWS_ALONE` rows.
BYTES_GATHERED = 1 << 20


def gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Join neighbours that are small; the order stays.

    >>> small = pa.record_batch({"n": [1, 2]})
    >>> [batch.num_rows for batch in gathered([small] * 5000)]
    [8192, 1808]
    """
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= ROWS_ALONE or size >= BYTES_GATHERED:
            out, held, rows, size = joined(held), [], 0, 0
            yield from out
    yield from joined(held)
