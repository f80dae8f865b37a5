"""Which key has the most rows, judged by a few rows of each batch on their way into a shuffle."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from esker.core.seeded import generator

# Of a batch; it takes about 0.1 ms, so after the first batches only one of some is looked at, any of them.
ROWS_SEEN = 64
BATCHES_FIRST = 8
BATCHES_EVERY = 8
# Keys that are counted; the lightest half goes when there are more, which a key of many rows outlives.
KEYS_KEPT = 4096
_STREAM = 0x6B6579


class KeySample:
    """Weighs keys: a row that is looked at stands for those of its batch that were passed over.

    >>> sample = KeySample(["k"], seed=0)
    >>> sample.see(pa.record_batch({"k": [7] * 30 + list(range(10))}))
    >>> sample.largest()
    ((7,), 0.775)
    """

    def __init__(self, by: Sequence[str], seed: int) -> None:
        self._by = list(by)
        self._chance = generator(seed, _STREAM)
        self._weights: dict[tuple[object, ...], float] = {}
        self._rows = 0
        self._batches = 0
        self._next = 0
        self.rows_seen = 0

    def see(self, batch: pa.RecordBatch) -> None:
        """Look at some rows of a batch."""
        rows = batch.num_rows
        self._batches += 1
        if not rows or (self._batches > BATCHES_FIRST and not self._chosen()):
            return
        self._rows += rows
        keys = batch.select(self._by)
        if rows > ROWS_SEEN:
            keys = keys.take(pa.array(self._chance.integers(0, rows, ROWS_SEEN)))
        columns = [column.to_pylist() for column in keys.columns]
        weight = rows / len(columns[0])
        self.rows_seen += len(columns[0])
        for values in zip(*columns, strict=True):
            # Lists and structs cannot be counted by; as text they can.
            key = tuple(value if value.__hash__ is not None else str(value) for value in values)
            self._weights[key] = self._weights.get(key, 0.0) + weight
        if len(self._weights) > KEYS_KEPT:
            heaviest = sorted(self._weights.items(), key=lambda item: -item[1])[: KEYS_KEPT // 2]
            self._weights = dict(heaviest)

    def _chosen(self) -> bool:
        """Whether this batch is the one of its group: chance says which, so that no rhythm of the input does."""
        place = self._batches % BATCHES_EVERY
        if place == 0:
            self._next = int(self._chance.integers(0, BATCHES_EVERY))
        return place == self._next

    def largest(self) -> tuple[tuple[object, ...], float] | None:
        """The key with the most rows, and its share of all; None when there was no row."""
        if not self._weights:
            return None
        key, weight = max(self._weights.items(), key=lambda item: item[1])
        return key, weight / self._rows
