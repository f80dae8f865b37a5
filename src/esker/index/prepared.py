"""Columns of an index whose vectors are joined from those of batches, while the rows are being written."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import pyarrow as pa

from esker.core.context import QueryContext
from esker.errors import InputError
from esker.index.build import BUDGET_SHARE, ColumnBuild, column_build
from esker.index.column_spec import ColumnSpec
from esker.index.encode import Encoder
from esker.index.slot_build import SlotBuild
from esker.index.slots import indexed_type
from esker.index.sorted_build import EqualityBuild
from esker.index.vector_parts import VectorParts


class PreparedColumns:
    """Takes batches with their vectors in row-id order, and hands over columns that need no more than to be written.

    A column is let go, and built from the stored rows, when some of its rows come without vectors, or it turns out to
    have too many values for vectors in memory. What is handed over is, byte for byte, what the stored rows would give.
    One thread; a context manager.
    """

    def __init__(
        self,
        parts: VectorParts,
        specs: Mapping[str, ColumnSpec],
        schema: pa.Schema,
        encoder: Encoder,
        context: QueryContext,
    ) -> None:
        self._parts = parts
        self._context = context
        self._reservation = context.budget.reserve("index vectors")
        self._builds: dict[str, SlotBuild | EqualityBuild] = {}
        self._row_count = 0
        for column in parts.columns:
            type_ = indexed_type(column, schema.field(column).type)
            build = column_build(column, type_, specs[column], 0, encoder, context)
            assert isinstance(build, SlotBuild | EqualityBuild), "only these have vectors of batches"
            self._builds[column] = build

    def add(self, row_count: int, data: pa.Buffer | None) -> None:
        """Add the vectors of the next rows; columns that have none are let go."""
        parts = self._parts.decode(data, row_count) if data is not None else {}
        for column, build in list(self._builds.items()):
            part = parts.get(column)
            if part is not None:
                build.add_part(part)
            if part is None or not build.takes_parts:
                self._builds.pop(column).close()
        self._row_count += row_count
        self._stay_within_budget()

    def take(self, row_count: int) -> dict[str, ColumnBuild]:
        """Hand over the columns of an index of `row_count` rows: who takes them closes them."""
        if not self._row_count:
            # Without rows there is nothing to save.
            return {}
        if row_count != self._row_count:
            raise InputError(f"the index was told of {row_count} rows, and got the vectors of {self._row_count}")
        taken: dict[str, ColumnBuild] = dict(self._builds)
        self._builds = {}
        self._reservation.release()
        return taken

    def close(self) -> None:
        """Let go of all that was not handed over; calling it again does nothing."""
        for build in self._builds.values():
            build.close()
        self._builds = {}
        self._reservation.release()

    def __enter__(self) -> PreparedColumns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stay_within_budget(self) -> None:
        builds = self._builds.values()
        held_bytes = sum(build.held_bytes for build in builds)
        fits = self._reservation.try_resize(held_bytes)
        if fits and held_bytes <= self._context.budget.total_bytes // BUDGET_SHARE:
            return
        for build in builds:
            build.spill(at_once=not fits)
        self._reservation.resize(sum(build.held_bytes for build in builds))
