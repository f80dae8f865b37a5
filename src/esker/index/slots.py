"""Which slot (vector) of a column each value goes to. Each row goes to exactly one: slots cut the rows into parts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import OptionError, UnsupportedTypeError

Slots = npt.NDArray[np.int32]

NULL_SLOT = 0
NAN_SLOT = 1
FIRST_SLOT = 2  # of values or bins


class SlotMap(Protocol):
    """Says the slot of each value, and at the end what the slots mean."""

    @property
    def slot_count(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def known(self) -> pa.Array:
        """What the slots from the first one on stand for, in their order; empty where all maps have the same slots."""
        ...

    def assign(self, values: pa.Array) -> Slots:
        """Give the slot of each value; may make new slots."""
        ...

    def adopt(self, known: pa.Array) -> Slots:
        """Give the slot here of each slot of another map of the same column; may make new slots."""
        ...

    def labels(self) -> pa.Array:
        """Give the value, or the lower edge, of each slot; null for the slots that have none."""
        ...

    def order(self) -> list[int]:
        """Give the slots in the order they are stored: by value."""
        ...


class ValueSlots:
    """A slot for each distinct value, made when first seen."""

    def __init__(self, column: str, column_type: pa.DataType, values_max: int | None) -> None:
        self._column = column
        self._values_max = values_max
        self._values = pa.array([], column_type)

    @property
    def slot_count(self) -> int:
        return FIRST_SLOT + len(self._values)

    @property
    def nbytes(self) -> int:
        return int(self._values.nbytes)

    def assign(self, values: pa.Array) -> Slots:
        missing = missing_slots(values)
        found = pc.index_in(values, value_set=self._values)
        new = pc.and_(pc.is_null(found), pc.equal(pa.array(missing), FIRST_SLOT))
        if pc.any(new).as_py():
            self._learn(values.filter(new).unique())
            found = pc.index_in(values, value_set=self._values)
        slots = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32) + FIRST_SLOT
        return np.where(missing < FIRST_SLOT, missing, slots).astype(np.int32)

    @property
    def known(self) -> pa.Array:
        return self._values

    def adopt(self, known: pa.Array) -> Slots:
        return np.concatenate([np.arange(FIRST_SLOT, dtype=np.int32), self.assign(known)])

    def _learn(self, new: pa.Array) -> None:
        if self._values_max is not None and len(self._values) + len(new) > self._values_max:
            raise OptionError(
                f"column {self._column!r} has more than {self._values_max:,} distinct values; index it in bins"
                " (Bins.quantile(100)) or raise values_max"
            )
        self._values = pa.concat_arrays([self._values, new])

    def labels(self) -> pa.Array:
        ordered = self._values.take(pc.array_sort_indices(self._values))
        return pa.concat_arrays([pa.nulls(FIRST_SLOT, self._values.type), ordered])

    @property
    def values(self) -> pa.Array:
        """The distinct values so far, as first seen; slot FIRST_SLOT + i is value i."""
        return self._values

    def order(self) -> list[int]:
        ordered: list[int] = (pc.array_sort_indices(self._values).to_numpy() + FIRST_SLOT).tolist()
        return [NULL_SLOT, NAN_SLOT, *ordered]


class BinSlots:
    """A slot for each bin: below the first edge, [edge, next edge), from the last edge on."""

    def __init__(self, edges: pa.Array) -> None:
        self._edges = edges
        self.slot_count = FIRST_SLOT + len(edges) + 1
        self.nbytes = int(edges.nbytes)

    def assign(self, values: pa.Array) -> Slots:
        missing = missing_slots(values)
        slots = np.full(len(values), FIRST_SLOT, np.int32)
        for edge in self._edges:
            slots += pc.greater_equal(values, edge).fill_null(False).to_numpy(zero_copy_only=False)
        return np.where(missing < FIRST_SLOT, missing, slots).astype(np.int32)

    @property
    def known(self) -> pa.Array:
        return self._edges[:0]

    def adopt(self, known: pa.Array) -> Slots:
        return np.arange(self.slot_count, dtype=np.int32)

    def labels(self) -> pa.Array:
        return pa.concat_arrays([pa.nulls(FIRST_SLOT + 1, self._edges.type), self._edges])

    def order(self) -> list[int]:
        return list(range(self.slot_count))


class QuantumSlots:
    """A slot for each quantum of time in which a value lies, and one for each gap between them: bins, in the end."""

    def __init__(self, column: str, column_type: pa.DataType, quantum: str) -> None:
        self._quantum = quantum
        self._type = column_type
        self._starts = ValueSlots(column, column_type, None)

    @property
    def slot_count(self) -> int:
        return self._starts.slot_count

    @property
    def nbytes(self) -> int:
        return self._starts.nbytes

    def assign(self, values: pa.Array) -> Slots:
        return self._starts.assign(quantum_start(values, self._quantum))

    @property
    def known(self) -> pa.Array:
        return self._starts.known

    def adopt(self, known: pa.Array) -> Slots:
        return self._starts.adopt(known)

    @property
    def edges(self) -> pa.Array:
        """Beginnings and ends of the quanta, ascending."""
        starts = self._starts.values
        both = pa.concat_arrays([starts, next_quantum(starts, self._quantum)]).unique()
        return both.take(pc.array_sort_indices(both))

    def labels(self) -> pa.Array:
        return pa.concat_arrays([pa.nulls(FIRST_SLOT + 1, self._type), self.edges])

    def order(self) -> list[int]:
        """The slot of each bin; gaps take one that no row ever went to."""
        found = pc.index_in(self.edges, value_set=self._starts.values)
        gap = self.slot_count
        return [NULL_SLOT, NAN_SLOT, gap, *(gap if at is None else at + FIRST_SLOT for at in found.to_pylist())]


def quantum_start(values: pa.Array, quantum: str) -> pa.Array:
    """Give the beginning of the quantum each value lies in, in UTC."""
    return pc.floor_temporal(_in_utc(values), unit=quantum).cast(values.type)


def next_quantum(values: pa.Array, quantum: str) -> pa.Array:
    """Give the beginning of the quantum after the one each value lies in, in UTC."""
    return pc.ceil_temporal(_in_utc(values), unit=quantum, ceil_is_strictly_greater=True).cast(values.type)


def _in_utc(values: pa.Array) -> pa.Array:
    zone = getattr(values.type, "tz", None)
    return values.cast(pa.timestamp(values.type.unit, "UTC")) if zone is not None else values


def missing_slots(values: pa.Array) -> Slots:
    """Mark nulls and NaN with their slots, all else with the first slot of values."""
    missing = np.full(len(values), FIRST_SLOT, np.int32)
    if pa.types.is_floating(values.type):
        missing[pc.is_nan(values).fill_null(False).to_numpy(zero_copy_only=False)] = NAN_SLOT
    if values.null_count:
        missing[pc.is_null(values).to_numpy(zero_copy_only=False)] = NULL_SLOT
    return missing


def indexed_type(column: str, column_type: pa.DataType) -> pa.DataType:
    """Give the type a column's values are stored as in the index, or say that it cannot be indexed."""
    if pa.types.is_dictionary(column_type):
        return indexed_type(column, column_type.value_type)
    if column_type == pa.string_view():
        return pa.string()
    if column_type == pa.binary_view():
        return pa.binary()
    types = pa.types
    plain = (types.is_integer, types.is_boolean, types.is_decimal, types.is_date, types.is_timestamp, types.is_time)
    texts = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    if column_type in (pa.float32(), pa.float64()) or any(test(column_type) for test in (*plain, *texts)):
        return column_type
    raise UnsupportedTypeError(
        f"column {column!r} has type {column_type}, which has no bitmap index; cast it or leave it"
    )


def plain_values(values: pa.Array | pa.ChunkedArray, value_type: pa.DataType) -> pa.Array:
    """Decode dictionaries and views, and make zero one value (0.0 and -0.0 are equal in SQL)."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if values.type != value_type:
        values = values.cast(value_type)
    if pa.types.is_floating(value_type):
        values = pc.add(values, pa.scalar(0.0, value_type))
    return values
