"""Building bit slices: the column is put by until its least and greatest values are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from esker.bitmap.column_writer import ColumnWriter
from esker.core.context import QueryContext
from esker.index.column_spec import BitSliced
from esker.index.column_spool import ColumnSpool
from esker.index.encode import Encoder
from esker.index.segment_file import Block, Entry, Meta
from esker.index.sliced import FIRST_SLICE, LAYOUT
from esker.index.slots import plain_values
from esker.index.ticks import require_ticks, tick_bounds, ticks_of_array

# A row goes to slot 1 of a slice's writer when it has the digit, else to slot 0.
_WITHOUT, _WITH = 0, 1


class SlicedBuild:
    """Cuts the values of one column, less their least, into binary digits."""

    def __init__(self, column: str, column_type: pa.DataType, encoder: Encoder, context: QueryContext) -> None:
        require_ticks(column, column_type)
        self.column = column
        self.label_type = column_type
        self._encoder = encoder
        self._context = context
        self._spool = ColumnSpool(pa.schema([(column, column_type)]), context)
        self._low: int | None = None
        self._high = 0
        self._writers: list[ColumnWriter] = []

    @property
    def held_bytes(self) -> int:
        return sum(writer.held_bytes for writer in self._writers)

    def spill(self, *, at_once: bool) -> None:
        """Do nothing: the column is on disk."""

    def add(self, values: pa.Array) -> None:
        values = plain_values(values, self.label_type)
        self._spool.add([values])
        known = values.drop_null()
        if len(known):
            low, high = tick_bounds(known)
            self._low, self._high = (low, high) if self._low is None else (min(self._low, low), max(self._high, high))

    def finish(self) -> SlicedBuild:
        digits = (self._high - self._low).bit_length() if self._low is not None else 0
        self._writers = [ColumnWriter(self._context.spill) for _ in range(FIRST_SLICE + digits)]
        with self._context.budget.reserve("index slices") as reservation:
            for batch in self._spool.batches():
                self._cut(batch.column(0))
                if not reservation.try_resize(self.held_bytes):
                    for writer in self._writers:
                        writer.spill()
                    reservation.resize(self.held_bytes)
        return self

    def blocks(self) -> Iterator[Block]:
        entries = (Entry(self._encoder.of_bitmap(next(writer.finish([_WITH])))) for writer in self._writers)
        yield Block(pa.nulls(len(self._writers), self.label_type), entries)

    def meta(self) -> Meta:
        return Meta(self.column, BitSliced.kind, LAYOUT, "ticks", 0, base=self._low or 0)

    def close(self) -> None:
        self._spool.close()
        for writer in self._writers:
            writer.close()

    def _cut(self, values: pa.Array) -> None:
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        offsets = np.zeros(len(values), np.uint64)
        if valid.any():
            # Modulo 2^64 the difference is right for signed and unsigned alike.
            offsets[valid] = ticks_of_array(values.drop_null()) - np.uint64((self._low or 0) % (1 << 64))
        self._writers[0].add((~valid).astype(np.int32), 2)
        for digit, writer in enumerate(self._writers[FIRST_SLICE:]):
            writer.add((offsets >> np.uint64(digit) & np.uint64(1)).astype(np.int32), 2)
