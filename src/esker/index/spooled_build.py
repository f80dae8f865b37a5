"""Bins whose edges depend on the data: the column is put by, and gone over again when they are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from esker.core import seeded
from esker.core.context import QueryContext
from esker.errors import OptionError
from esker.index.column_spec import Bins
from esker.index.column_spool import ColumnSpool
from esker.index.slot_build import SlotBuild
from esker.index.slots import plain_values
from esker.index.ticks import scalar_of, tick_bounds

# Rows looked at to place the edges: with 100,000 a bin is off by less than 1 % of the rows, nearly always.
SAMPLE_ROWS = 100_000


class EdgesBuild:
    """Finds the edges in a first pass: quantiles from a seeded sample, equal widths from the least and greatest."""

    def __init__(
        self,
        column: str,
        column_type: pa.DataType,
        spec: Bins,
        row_count: int,
        binned: Callable[[pa.Array], SlotBuild],
        context: QueryContext,
    ) -> None:
        self.column = column
        self._type = column_type
        self._spec = spec
        self._binned = binned
        self._context = context
        self._chance = seeded.generator(context.seed, 0x1DE)
        self._share = SAMPLE_ROWS / row_count if row_count > SAMPLE_ROWS else 1.0
        self._sample: list[pa.Array] = []
        self._ends: list[pa.Array] = []
        self._spool = ColumnSpool(pa.schema([(column, column_type)]), context)
        if spec.width is not None:
            _require_width(column, column_type)

    @property
    def held_bytes(self) -> int:
        return sum(int(part.nbytes) for part in [*self._sample, *self._ends])

    def spill(self, *, at_once: bool) -> None:
        """Do nothing: all but the sample is on disk."""

    def add(self, values: pa.Array) -> None:
        values = plain_values(values, self._type)
        self._spool.add([values])
        known = values.drop_null()
        if pa.types.is_floating(self._type):
            known = known.filter(pc.is_finite(known) if self._spec.width else pc.invert(pc.is_nan(known)))
        if self._spec.width is not None:
            if len(known):
                self._ends.append(_ends(known))
            return
        if self._share < 1:
            known = known.filter(pa.array(self._chance.random(len(known)) < self._share))
        self._sample.append(known)

    def finish(self) -> SlotBuild:
        build = self._binned(self._edges())
        self._sample.clear()
        # Holds what it holds after all rows: bins are few, and it spills as it goes.
        with self._context.budget.reserve("index bins") as reservation:
            for batch in self._spool.batches():
                build.add(batch.column(0))
                if not reservation.try_resize(build.held_bytes):
                    build.spill(at_once=True)
                    reservation.resize(build.held_bytes)
        return build

    def close(self) -> None:
        self._spool.close()

    def _edges(self) -> pa.Array:
        values = pa.concat_arrays([pa.array([], self._type), *self._sample, *self._ends])
        if not len(values):
            raise OptionError(f"column {self.column!r} has no values to take quantiles of; give edges or leave it out")
        if self._spec.width is not None:
            return equal_width_edges(values, self._spec.width)
        assert self._spec.quantiles is not None, "edges are given, quantiles or of equal width"
        ordered = values.take(pc.array_sort_indices(values))
        ranks = [len(ordered) * cut // self._spec.quantiles for cut in range(1, self._spec.quantiles)]
        return ordered.take(pa.array(ranks, pa.int64())).unique()


def equal_width_edges(values: pa.Array, bin_count: int) -> pa.Array:
    """Cut from the least to the greatest of values.

    >>> equal_width_edges(pa.array([0, 100]), 4).to_pylist()
    [25, 50, 75]
    """
    if pa.types.is_floating(values.type):
        least, greatest = (float(value) for value in (pc.min(values).as_py(), pc.max(values).as_py()))
        cuts = least + (greatest / bin_count - least / bin_count) * np.arange(1, bin_count)
        return pa.array(cuts, values.type).unique()
    low, high = tick_bounds(values)
    ticks = [low + (high - low) * cut // bin_count for cut in range(1, bin_count)]
    return pa.array([scalar_of(tick, values.type) for tick in dict.fromkeys(ticks)], values.type)


def _ends(values: pa.Array) -> pa.Array:
    if pa.types.is_floating(values.type):
        return pa.array([pc.min(values).as_py(), pc.max(values).as_py()], values.type)
    return pa.array([scalar_of(tick, values.type) for tick in tick_bounds(values)], values.type)


def _require_width(column: str, type_: pa.DataType) -> None:
    types = pa.types
    known = (types.is_integer, types.is_floating, types.is_date, types.is_timestamp, types.is_time)
    small_decimal = types.is_decimal(type_) and type_.precision <= 18
    if not small_decimal and not any(test(type_) for test in known):
        raise OptionError(f"column {column!r} ({type_}) has no bins of equal width; take Bins.quantile, or edges")
