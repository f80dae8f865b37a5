"""What a join saw of a side on its way: rows in and out of its filter, and which key has the most of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.key_sample import KeySample
from esker.core.plan_words import short

_KEY_CHARACTERS = 40


class SideSeen:
    """Counts one side of a join while it is read for the first time; later passes tell nothing new."""

    def __init__(self) -> None:
        self._keys: KeySample | None = None
        self._begun = False
        self._whole = False
        self.rows_in = 0
        self.rows = 0

    def begin(self, keys: Sequence[str], context: QueryContext) -> SideSeen | None:
        """Whoever is about to read the side: itself for the first, None for those after it and where nobody listens."""
        if self._begun or not context.log.heard:
            return None
        self._begun = True
        self._keys = KeySample(keys, context.seed)
        return self

    def see(self, batch: pa.RecordBatch, rows_in: int) -> None:
        """Rows that passed the side's filter, of so many; the batch has the columns of the key."""
        self.rows_in += rows_in
        self.rows += batch.num_rows
        if self._keys is not None:
            self._keys.see(batch)

    def end(self) -> None:
        """The side was read to its end."""
        self._whole = True

    def to_json(self) -> dict[str, Any]:
        """The counts and the key with the most rows, as texts; nothing when the side was not read whole."""
        if not self._whole or self._keys is None:
            return {}
        largest = self._keys.largest()
        key, share = largest if largest is not None else ((), 0.0)
        return {
            "rows_in": self.rows_in,
            "rows": self.rows,
            "key": [short(str(value), _KEY_CHARACTERS) for value in key],
            "share": round(share, 4),
            "rows_seen": self._keys.rows_seen,
        }
