"""Build the index of a data set in one pass over its hot columns, within the memory budget."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from esker.bitmap.column_writer import ColumnWriter
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.core.memory import Reservation
from esker.errors import EskerError, InputError, OutputFileError, UnknownColumnError
from esker.index.column_spec import Bins, ColumnSpec, Equality, typed_edges
from esker.index.quantiles import QuantileSample
from esker.index.segment import SegmentInfo
from esker.index.segment_file import write_segment
from esker.index.slots import BinSlots, SlotMap, ValueSlots, indexed_type, plain_values

# The part of the budget that bitmaps being built may hold before they are spilled.
BUDGET_SHARE = 4


class ColumnBuilder:
    """Fills the bitmaps of one column, a batch at a time."""

    def __init__(self, column: str, column_type: pa.DataType, spec: ColumnSpec, slots: SlotMap, context: QueryContext):
        self.column = column
        self.column_type = column_type
        self.spec = spec
        self.slots = slots
        self.writer = ColumnWriter(context.spill)
        self._spill_at_bytes = 0

    def add(self, values: pa.Array) -> None:
        """Add the next rows."""
        assigned = self.slots.assign(plain_values(values, self.column_type))
        self.writer.add(assigned, self.slots.slot_count)

    @property
    def held_bytes(self) -> int:
        """Bytes of memory held now."""
        return self.writer.held_bytes + self.slots.nbytes

    def spill(self, *, at_once: bool) -> None:
        """Move what cannot change any more to disk; unless `at_once`, not if little has come since the last time."""
        if at_once or self.writer.held_bytes >= self._spill_at_bytes:
            self.writer.spill()
            self._spill_at_bytes = 2 * self.writer.held_bytes

    def finish(self, folder: Path, file_system: FileSystem) -> SegmentInfo:
        """Write the segment."""
        file = f"{_file_stem(self.column)}.{secrets.token_hex(6)}.seg"
        row_count = self.writer.row_count
        vectors = self.writer.finish(self.slots.order())
        labels = self.slots.labels()
        try:
            size_bytes, checksum = write_segment(
                folder / file, self.column, self.spec.kind, labels, vectors, row_count, file_system
            )
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise OutputFileError(
                f"cannot write the index of column {self.column!r} to {folder}: {error.strerror or error}"
            ) from error
        spec = {**self.spec.to_json(), "type": str(self.column_type), "vectors": len(labels)}
        return SegmentInfo(file, self.column, self.spec.kind, size_bytes, checksum, spec)


class IndexBuild:
    """The columns being built, and the memory they share."""

    def __init__(self, specs: Mapping[str, ColumnSpec], reservation: Reservation, context: QueryContext) -> None:
        self._specs = specs
        self._reservation = reservation
        self._context = context
        self._columns: dict[str, ColumnBuilder | QuantileSample] = {}

    def begin(self, schema: pa.Schema, row_count: int) -> None:
        """Check columns, types and edges before any row is looked at."""
        for column, spec in self._specs.items():
            if schema.get_field_index(column) < 0:
                raise UnknownColumnError.of(column, schema.names, "the hot columns")
            column_type = indexed_type(column, schema.field(column).type)
            if isinstance(spec, Bins) and spec.quantiles is not None:
                self._columns[column] = QuantileSample(column, column_type, row_count, self._context)
            elif isinstance(spec, Bins):
                slots = BinSlots(typed_edges(spec.edges, column, column_type))
                self._columns[column] = ColumnBuilder(column, column_type, spec, slots, self._context)
            else:
                assert isinstance(spec, Equality), f"a new kind: {spec}"
                values = ValueSlots(column, column_type, spec.values_max)
                self._columns[column] = ColumnBuilder(column, column_type, spec, values, self._context)

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next rows."""
        for column, builder in self._columns.items():
            builder.add(batch.column(column))
        self._stay_within_budget()

    def finish(self, folder: Path, file_system: FileSystem) -> Iterator[SegmentInfo]:
        """Write the segments, one after the other."""
        for column in list(self._columns):
            self._context.check()
            found = self._columns[column]
            builder = self._binned(found) if isinstance(found, QuantileSample) else found
            yield builder.finish(folder, file_system)
            del self._columns[column]

    def _binned(self, sample: QuantileSample) -> ColumnBuilder:
        """Go over a column again, now that its edges are known."""
        spec = self._specs[sample.column]
        slots = BinSlots(sample.edges(spec.quantiles if isinstance(spec, Bins) and spec.quantiles else 2))
        builder = ColumnBuilder(sample.column, sample.column_type, spec, slots, self._context)
        self._columns[sample.column] = builder
        for values in sample.values():
            self._context.check()
            builder.add(values)
            self._stay_within_budget()
        return builder

    def _stay_within_budget(self) -> None:
        builders = self._columns.values()
        held_bytes = sum(builder.held_bytes for builder in builders)
        fits = self._reservation.try_resize(held_bytes)
        if fits and held_bytes <= self._context.budget.total_bytes // BUDGET_SHARE:
            return
        for builder in builders:
            builder.spill(at_once=not fits)
        self._reservation.resize(sum(builder.held_bytes for builder in builders))


def build_index(
    batches: Iterable[pa.RecordBatch],
    row_count: int,
    specs: Mapping[str, ColumnSpec],
    folder: Path,
    *,
    context: QueryContext,
    file_system: FileSystem = LOCAL,
) -> list[SegmentInfo]:
    """Write a segment for each column of `specs` to `folder`, and say what the catalogue has to record.

    `batches` hold the columns in row-id order, `row_count` rows in all; an empty data set still sends one batch, for
    its schema. Each file is written aside, synced and renamed under a name never used before; when anything fails, no
    file of this call stays. Nothing refers to the files until the caller records them.
    """
    seen_rows: int | None = None
    written: list[SegmentInfo] = []
    with context.budget.reserve("index") as reservation:
        build = IndexBuild(specs, reservation, context)
        for batch in batches:
            context.check()
            if seen_rows is None:
                build.begin(batch.schema, row_count)
            seen_rows = (seen_rows or 0) + batch.num_rows
            build.add(batch)
            context.progress.advance("index", seen_rows, row_count, "rows")
        if (seen_rows or 0) != row_count:
            raise InputError(f"the index was told of {row_count} rows, and got {seen_rows or 0}")
        try:
            for info in build.finish(folder, file_system):
                written.append(info)  # noqa: PERF402  # kept one by one, so that those written can be removed
        except BaseException:
            for info in written:
                file_system.delete(folder / info.file)
            raise
    return written


def _file_stem(column: str) -> str:
    """Make a column's name fit for a file, for people to recognise; the directory holds the real one."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in column)
    return plain[:40] or "_"
