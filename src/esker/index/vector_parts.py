"""Vectors of one batch, made where its rows are: what tasks of a session hand to the build of an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from esker.bitmap.column_writer import Offsets, Words, slot_words
from esker.core.batch import cast_column, packed, unpacked
from esker.errors import BitmapCorruptError
from esker.index.column_spec import Bins, ColumnSpec, Equality, Interval, Range, TimeQuantum, time_levels, typed_edges
from esker.index.slots import BinSlots, QuantumSlots, SlotMap, Slots, ValueSlots, indexed_type, plain_values

# Vectors that take more than this are not made: to move and join them costs more than to cut the rows where they go.
BYTES_OF_A_ROW = 2
BYTES_ALWAYS = 16 << 10

# Of WAH words of 32 bits.
_WORD_BYTES, _GROUP_ROWS = 4, 31
_FIELDS = {"words": pa.uint32(), "offsets": pa.uint64()}


@dataclass(frozen=True)
class VectorPart:
    """The vectors of one column of a batch: those of null and NaN, then those of `values`, or of bins known before."""

    values: pa.Array
    words: Words
    offsets: Offsets
    row_count: int


class VectorParts:
    """Makes the vectors of batches, each of its own values alone, and reads them again. Pickles.

    Bins of edges that the data has yet to show, and bit slices, have none: these kinds look at all rows first.
    """

    def __init__(self, specs: Mapping[str, ColumnSpec], schema: pa.Schema) -> None:
        self._types: dict[str, pa.DataType] = {}
        self._specs: dict[str, ColumnSpec] = {}
        self._edges: dict[str, pa.Array] = {}
        for column, spec in specs.items():
            if not _is_cut_alone(spec):
                continue
            self._specs[column] = spec
            self._types[column] = indexed_type(column, schema.field(column).type)
            if isinstance(spec, Bins):
                self._edges[column] = typed_edges(spec.edges, column, self._types[column])
        self._schema = pa.schema(
            [
                pa.field(f"{number} {name}", pa.large_list(type_ or self._types[column]))
                for number, column in enumerate(self._types)
                for name, type_ in {"values": None, **_FIELDS}.items()
            ]
        )

    @property
    def columns(self) -> list[str]:
        """The columns that have vectors."""
        return list(self._types)

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer:
        """Make the vectors of a batch, as bytes; a column that changes from row to row has none."""
        arrays: list[pa.Array] = []
        for column, type_ in self._types.items():
            slots = self._slots(column)
            values = plain_values(cast_column(batch.column(column), type_), type_)
            assigned = slots.assign(values)
            if _vector_bytes(assigned, slots.slot_count) > max(BYTES_ALWAYS, BYTES_OF_A_ROW * batch.num_rows):
                arrays += [pa.nulls(1, pa.large_list(each)) for each in (type_, *_FIELDS.values())]
                continue
            words, offsets = slot_words(assigned, slots.slot_count)
            arrays += [_one_list(each) for each in (slots.known, pa.array(words), pa.array(offsets))]
        return packed(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def decode(self, data: pa.Buffer, row_count: int) -> dict[str, VectorPart]:
        """Read what `encode` made of a batch of `row_count` rows; BitmapCorruptError when it is something else."""
        try:
            (batch,) = unpacked(data).to_batches()
            batch.validate(full=True)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise BitmapCorruptError(f"the vectors of a batch cannot be read: {error}") from error
        if not batch.schema.equals(self._schema) or batch.num_rows != 1:
            raise BitmapCorruptError("the vectors of a batch are those of other columns")
        parts: dict[str, VectorPart] = {}
        for number, column in enumerate(self._types):
            found = batch.columns[3 * number : 3 * number + 3]
            if found[1].null_count:
                continue
            values, words, offsets = (one.flatten() for one in found)
            if values.null_count or words.null_count or offsets.null_count:
                raise BitmapCorruptError(f"the vectors of column {column!r} of a batch have nulls")
            parts[column] = VectorPart(values, words.to_numpy(), offsets.to_numpy(), row_count)
        return parts

    def _slots(self, column: str) -> SlotMap:
        spec, type_ = self._specs[column], self._types[column]
        if isinstance(spec, Bins):
            return BinSlots(self._edges[column])
        if isinstance(spec, TimeQuantum):
            return QuantumSlots(column, type_, time_levels(column, type_, spec)[0])
        return ValueSlots(column, type_, None)


def _is_cut_alone(spec: ColumnSpec) -> bool:
    """Whether a batch can be cut into slots without a look at the others."""
    if isinstance(spec, Bins):
        return spec.quantiles is None and spec.width is None
    return isinstance(spec, Equality | Range | Interval | TimeQuantum)


def _vector_bytes(slots: Slots, slot_count: int) -> int:
    """What the vectors may take: words where a value begins and ends, or a word for each group."""
    changes = 1 + int(np.count_nonzero(slots[1:] != slots[:-1]))
    return _WORD_BYTES * min(2 * changes + slot_count, slot_count * (len(slots) // _GROUP_ROWS + 1))


def _one_list(values: pa.Array) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(np.array([0, len(values)], np.int64)), values)
