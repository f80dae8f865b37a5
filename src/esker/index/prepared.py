"""Columns of an index whose vectors are joined from those of batches, while the rows are being written."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import pyarrow as pa

from esker.core.batch import cast_column
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

    A column that turns out to have too many values for vectors of its own in memory is let go: it is built from the
    stored rows. What is handed over is, byte for byte, what these would give. One thread; a context manager.
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

    def add(self, batch: pa.RecordBatch, data: pa.Buffer | None) -> None:
        """Add the next rows and their vectors; without these they are made here."""
        parts = self._parts.decode(data, batch.num_rows) if data is not None else {}
        for column, build in list(self._builds.items()):
            part = parts.get(column)
            if part is not None:
                build.add_part(part)
            else:
                build.add(cast_column(batch.column(column), build.label_type))
            if not build.takes_parts:
                self._builds.pop(column).close()
        self._row_count += batch.num_rows
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
