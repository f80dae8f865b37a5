"""Dynamic filters: what one side's keys are is used before and while the other side is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.core.row_store import Zone, Zoned
from esker.join.input import JoinInput
from esker.join.key_slots import KeySlots, Truths

# Slots for each key expected: three of four rows whose key is not there are told apart.
_SLOTS_OF_A_KEY = 4
# Of the whole budget, what the slots may take.
_BUDGET_SHARE = 64


class KeyFilter:
    """The keys of one side: their bounds, and slots of what they are. Used once `complete`.

    `narrow` leaves out stretches of the other side's rows that no key lies in, before anything of them is read;
    `may_match` says of each row read whether its key may be there (never no for one that is).
    """

    def __init__(self, types: Sequence[pa.DataType], key_count: int, context: QueryContext) -> None:
        self.complete = False
        self.rows_passed_over = 0
        self.rows_dropped = 0
        self._bounds: list[tuple[pa.Scalar, pa.Scalar] | None] = [None] * len(types)
        self._bounded = [_has_bounds(type_) for type_ in types]
        wanted = 1 << max(_SLOTS_OF_A_KEY * max(key_count, 1) - 1, 1).bit_length()
        most = 1 << (context.budget.total_bytes // _BUDGET_SHARE).bit_length() - 1
        self._held = context.budget.reserve("join filter")
        self._slots: KeySlots | None = None
        if self._held.try_resize(min(wanted, most)):
            self._slots = KeySlots(types, min(wanted, most))

    def add(self, columns: Sequence[pa.Array]) -> None:
        """Take keys; rows with a null key are passed over by `columns` or do no harm."""
        if not len(columns[0]):
            return
        for number, column in enumerate(columns):
            if self._bounded[number]:
                self._widen(number, column)
        if self._slots is not None:
            self._slots.add(columns)

    def finish(self) -> None:
        """All keys are there."""
        self.complete = True
        if self._slots is not None and not self._slots.worth_testing:
            self._slots = None
            self._held.release()

    def narrow(self, input_: JoinInput, keys: Sequence[str]) -> JoinInput:
        """Leave out rows of a store that knows the bounds of its keys, where these show that none can match."""
        if not isinstance(input_.store, Zoned):
            return input_
        rows = input_.candidates
        for number, name in enumerate(keys):
            if self._bounded[number]:
                out = [zone for zone in input_.store.zones(name) if not self._may_hold(number, zone)]
                rows = rows - RowSet.from_runs([zone.start for zone in out], [zone.stop for zone in out])
        self.rows_passed_over += input_.candidate_count - len(rows)
        return replace(input_, rows=rows) if len(rows) < input_.candidate_count else input_

    def may_match(self, columns: Sequence[pa.Array]) -> Truths | None:
        """Say of each row whether its key may be there; None when all may."""
        if self._slots is None or not len(columns[0]):
            return None
        found = self._slots.may_hold(columns)
        dropped = len(found) - int(np.count_nonzero(found))
        self.rows_dropped += dropped
        return found if dropped else None

    def log(self, context: QueryContext) -> None:
        """Tell the event log what was spared, if anything was."""
        spared = {"rows_passed_over": self.rows_passed_over, "rows_dropped": self.rows_dropped}
        if any(spared.values()):
            context.log.emit("join_filtered", **spared)

    def close(self) -> None:
        """Give the memory back."""
        self._slots = None
        self._held.release()

    def _widen(self, number: int, column: pa.Array) -> None:
        found = pc.min_max(column)
        low, high = found["min"], found["max"]
        if not low.is_valid:
            return
        known = self._bounds[number]
        if known is not None:
            low = known[0] if _less(known[0], low) else low
            high = known[1] if _less(high, known[1]) else high
        self._bounds[number] = low, high

    def _may_hold(self, number: int, zone: Zone) -> bool:
        bounds = self._bounds[number]
        if bounds is None:
            return False  # no key that is not null, and so no match
        return not (
            (zone.high is not None and _less(zone.high, bounds[0]))
            or (zone.low is not None and _less(bounds[1], zone.low))
        )


def _has_bounds(type_: pa.DataType) -> bool:
    """Whether values have an order that a file's bounds follow: floats have not, for NaN is in no bound."""
    return bool(
        pa.types.is_integer(type_)
        or pa.types.is_decimal128(type_)
        or pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
        or pa.types.is_date(type_)
        or pa.types.is_timestamp(type_)
    )


def _less(one: pa.Scalar, other: pa.Scalar) -> bool:
    """Whether one is less; False when the two do not compare."""
    try:
        return pc.less(one.cast(other.type), other).as_py() is True
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
