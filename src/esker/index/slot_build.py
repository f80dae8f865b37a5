"""Building vectors over slots in one pass: a row goes to its slot's vector as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa

from esker.bitmap import Bitmap
from esker.bitmap.column_writer import ColumnWriter
from esker.core.context import QueryContext
from esker.index.encode import Encoder
from esker.index.layout import Span
from esker.index.layouts import LAYOUTS
from esker.index.segment_file import Block, Entry, Meta
from esker.index.slots import FIRST_SLOT, SlotMap, next_quantum, plain_values, quantum_start
from esker.index.vector_parts import VectorPart


class SlotBuild:
    """Fills the vectors of one column; slots are values, bins or quanta, the layout says what is stored of them."""

    def __init__(
        self,
        column: str,
        column_type: pa.DataType,
        kind: str,
        slots: SlotMap,
        *,
        layout: str,
        holds: str,
        encoder: Encoder,
        context: QueryContext,
        levels: Sequence[str] = (),
    ) -> None:
        self.column = column
        self.label_type = column_type
        self._kind = kind
        self._slots = slots
        self._layout = LAYOUTS[layout]()
        self._holds = holds
        self._levels = levels
        self._encoder = encoder
        self._writer = ColumnWriter(context.spill)
        self._spill_at_bytes = 0

    @property
    def held_bytes(self) -> int:
        return self._writer.held_bytes + self._slots.nbytes

    def add(self, values: pa.Array) -> None:
        assigned = self._slots.assign(plain_values(values, self.label_type))
        self._writer.add(assigned, self._slots.slot_count)

    @property
    def takes_parts(self) -> bool:
        return True

    def add_part(self, part: VectorPart) -> None:
        """Add the next rows by their vectors."""
        slots = self._slots.adopt(part.values)
        self._writer.add_vectors(part.words, part.offsets, slots, part.row_count, self._slots.slot_count)

    def spill(self, *, at_once: bool) -> None:
        if at_once or self._writer.held_bytes >= self._spill_at_bytes:
            self._writer.spill()
            self._spill_at_bytes = 2 * self._writer.held_bytes

    def finish(self) -> SlotBuild:
        return self

    def close(self) -> None:
        self._writer.close()

    def blocks(self) -> Iterator[Block]:
        labels = self._labels
        order, given = self._slots.order(), self._writer.end()

        def vectors(slots: Iterable[int]) -> Iterator[Bitmap]:
            return given(order[FIRST_SLOT + slot] for slot in slots)

        def entries() -> Iterator[Entry]:
            rows = given(order)
            if self._layout.name == "equality":
                yield from (Entry(self._encoder.of_bitmap(vector)) for vector in rows)
                return
            counts = [vector.count() for vector in rows]
            for slot, vector in enumerate(given(order[:FIRST_SLOT])):
                yield Entry(self._encoder.of_bitmap(vector), counts[slot])
            slot_count = len(order) - FIRST_SLOT
            for slot, stored in enumerate(self._layout.arrange(slot_count, vectors, self._spans)):
                rows_of_slot = counts[FIRST_SLOT + slot] if slot < slot_count else 0
                yield Entry(self._encoder.of_bitmap(stored) if stored is not None else None, rows_of_slot)

        spans = labels.take(pa.array([FIRST_SLOT + first for first, _ in self._spans], pa.int64()))
        yield Block(pa.concat_arrays([labels, spans]), entries())

    def slot_vectors(self) -> Iterator[Bitmap]:
        """Take no more rows, and give the vectors of null, NaN and the values as they were first seen."""
        return self._writer.end()(range(self._slots.slot_count))

    def meta(self) -> Meta:
        return Meta(self.column, self._kind, self._layout.name, self._holds, len(self._labels), tuple(self._spans))

    @cached_property
    def _labels(self) -> pa.Array:
        return self._slots.labels()

    @cached_property
    def _spans(self) -> Sequence[Span]:
        """The slots of each longer quantum, level by level."""
        if not self._levels or len(self._labels) <= FIRST_SLOT + 1:
            return ()
        edges = self._labels[FIRST_SLOT + 1 :]
        known = set(_plain(edges))
        spans: list[Span] = []
        for level in self._levels:
            begins = _plain(quantum_start(edges, level))
            ends = _plain(next_quantum(edges, level))
            # Slot i + 1 is the bin that begins at edge i. What begins within a longer quantum lies in it, but for a
            # last gap that goes on behind its end.
            cuts = [0, *(np.flatnonzero(np.diff(begins)) + 1).tolist(), len(edges)]
            for first, stop in pairwise(cuts):
                last = stop if ends[stop - 1] in known else stop - 1
                if last - first > 1:
                    spans.append((first + 1, last + 1))
        return spans


def _plain(values: pa.Array) -> list[int]:
    storage = pa.int64() if values.type.bit_width == 64 else pa.int32()
    return [int(value) for value in values.view(storage).to_pylist()]
