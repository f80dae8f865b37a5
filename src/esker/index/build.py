"""Build the index of a data set in one pass over its hot columns, within the memory budget, columns side by side."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.file_system import LOCAL, FileSystem
from esker.core.memory import Reservation
from esker.errors import EskerError, InputError, OutputFileError, UnknownColumnError
from esker.index.column_spec import (
    Bins,
    BitSliced,
    ColumnSpec,
    Equality,
    Interval,
    Range,
    TimeQuantum,
    time_levels,
    typed_edges,
)
from esker.index.encode import Encoder
from esker.index.segment import SegmentInfo
from esker.index.segment_file import Block, Meta, PackedBlock, write_segment
from esker.index.sliced_build import SlicedBuild
from esker.index.slot_build import SlotBuild
from esker.index.slots import BinSlots, QuantumSlots, ValueSlots, indexed_type
from esker.index.sorted_build import EqualityBuild
from esker.index.spooled_build import EdgesBuild
from esker.runtime.executors import EXECUTORS

# The part of the budget that bitmaps being built may hold before they are spilled.
BUDGET_SHARE = 4


class ColumnBuild(Protocol):
    """The index of one column being built. One thread at a time."""

    @property
    def column(self) -> str: ...

    @property
    def held_bytes(self) -> int:
        """Bytes of memory held now."""
        ...

    def add(self, values: pa.Array) -> None:
        """Add the next rows, of any type that casts to the indexed one."""
        ...

    def spill(self, *, at_once: bool) -> None:
        """Move what cannot change any more to disk; unless `at_once`, not if little has come since the last time."""
        ...

    def finish(self) -> Finished:
        """Take no more rows."""
        ...

    def close(self) -> None:
        """Remove what was spilled; calling it again does nothing."""
        ...


class Finished(Protocol):
    """A column whose rows are all there: what its segment holds."""

    @property
    def label_type(self) -> pa.DataType: ...

    def blocks(self) -> Iterator[Block | PackedBlock]: ...

    def meta(self) -> Meta:
        """What holds for the segment; asked when all blocks were taken."""
        ...


def column_build(
    column: str, column_type: pa.DataType, spec: ColumnSpec, row_count: int, encoder: Encoder, context: QueryContext
) -> ColumnBuild:
    """Choose how a column is built: the one place that knows every kind."""
    if isinstance(spec, Equality):
        return EqualityBuild(column, column_type, spec, encoder, context)
    make = partial(SlotBuild, column, column_type, spec.kind, encoder=encoder, context=context)
    if isinstance(spec, Range | Interval):
        return make(ValueSlots(column, column_type, spec.values_max), layout=spec.kind, holds="values")
    if isinstance(spec, TimeQuantum):
        levels = time_levels(column, column_type, spec)
        return make(QuantumSlots(column, column_type, levels[0]), layout="quantum", holds="bins", levels=levels[1:])
    if isinstance(spec, BitSliced):
        return SlicedBuild(column, column_type, encoder, context)
    assert isinstance(spec, Bins), f"a new kind: {spec}"
    binned = partial(make, layout=spec.layout, holds="bins")
    if spec.quantiles is not None or spec.width is not None:
        return EdgesBuild(column, column_type, spec, row_count, lambda edges: binned(BinSlots(edges)), context)
    return binned(BinSlots(typed_edges(spec.edges, column, column_type)))


class IndexBuild:
    """The columns being built, and the memory they share."""

    def __init__(
        self,
        specs: Mapping[str, ColumnSpec],
        prepared: Mapping[str, ColumnBuild],
        reservation: Reservation,
        encoder: Encoder,
        context: QueryContext,
    ) -> None:
        self._specs = specs
        self._reservation = reservation
        self._encoder = encoder
        self._context = context
        self._prepared = dict(prepared)
        self._columns: dict[str, ColumnBuild] = {}
        self._reading: dict[str, ColumnBuild] = {}

    def begin(self, schema: pa.Schema, row_count: int) -> None:
        """Check columns, types and edges before any row is looked at."""
        for column, spec in self._specs.items():
            if column in self._prepared:
                self._columns[column] = self._prepared.pop(column)
                continue
            if schema.get_field_index(column) < 0:
                raise UnknownColumnError.of(column, schema.names, "the hot columns")
            type_ = indexed_type(column, schema.field(column).type)
            build = column_build(column, type_, spec, row_count, self._encoder, self._context)
            self._columns[column] = self._reading[column] = build
        self._stay_within_budget()

    def add(self, batch: pa.RecordBatch, each: Callable[[list[Callable[[], None]]], None]) -> None:
        """Add the next rows, a task for each column."""
        each([partial(build.add, batch.column(column)) for column, build in self._reading.items()])
        self._stay_within_budget()

    def finish(self, folder: Path, row_count: int, file_system: FileSystem) -> Iterator[SegmentInfo]:
        """Write the segments, one after the other."""
        for column in list(self._columns):
            self._context.check()
            build = self._columns.pop(column)
            try:
                yield self._written(build, folder, row_count, file_system)
            finally:
                build.close()
            self._reservation.resize(sum(other.held_bytes for other in self._columns.values()))

    def close(self) -> None:
        """Remove what was spilled."""
        for build in (*self._columns.values(), *self._prepared.values()):
            build.close()

    def _written(self, build: ColumnBuild, folder: Path, row_count: int, file_system: FileSystem) -> SegmentInfo:
        spec = self._specs[build.column]
        file = f"{_file_stem(build.column)}.{secrets.token_hex(6)}.seg"
        finished = build.finish()
        try:
            written = write_segment(
                folder / file,
                finished.meta,
                finished.blocks(),
                finished.label_type,
                row_count,
                file_system,
                self._context.check,
            )
        except OSError as error:
            if isinstance(error, EskerError):
                raise
            raise OutputFileError(
                f"cannot write the index of column {build.column!r} to {folder}: {error.strerror or error}"
            ) from error
        described = {**spec.to_json(), "type": str(finished.label_type), "vectors": written.vectors}
        described["encodings"] = written.encodings
        return SegmentInfo(file, build.column, spec.kind, written.bytes, written.checksum, described)

    def _stay_within_budget(self) -> None:
        builds = self._columns.values()
        held_bytes = sum(build.held_bytes for build in builds)
        fits = self._reservation.try_resize(held_bytes)
        if fits and held_bytes <= self._context.budget.total_bytes // BUDGET_SHARE:
            return
        for build in builds:
            build.spill(at_once=not fits)
        self._reservation.resize(sum(build.held_bytes for build in builds))


def build_index(
    batches: Iterable[pa.RecordBatch],
    row_count: int,
    specs: Mapping[str, ColumnSpec],
    folder: Path,
    *,
    context: QueryContext,
    file_system: FileSystem = LOCAL,
    encoding: str = "wah32",
    profile: str = "balanced",
    prepared: Mapping[str, ColumnBuild] | None = None,
) -> list[SegmentInfo]:
    """Write a segment for each column of `specs` to `folder`, and say what the catalogue has to record.

    `batches` hold the columns in row-id order, `row_count` rows in all; an empty data set still sends one batch, for
    its schema. `encoding` is that of every vector, or "auto" to choose for each by `profile`. Columns are built in the
    context's threads; those that are `prepared` have all rows already, and are closed here: where all are, no batch is
    read. Each file is written aside, synced and renamed under a name never used before; when anything
    fails, no file of this call stays. Nothing refers to the files until the caller records them.
    """
    seen_rows: int | None = None
    written: list[SegmentInfo] = []
    threads = max(1, min(context.scan_threads, len(specs)))
    with (
        context.budget.reserve("index") as reservation,
        EXECUTORS["threads" if threads > 1 else "inline"](threads) as executor,
    ):

        def each(tasks: list[Callable[[], None]]) -> None:
            for task in tasks:
                executor.submit(task)
            done = 0
            while done < len(tasks):
                for completion in executor.completed():
                    done += 1
                    if completion.error is not None:
                        raise completion.error

        build = IndexBuild(specs, prepared or {}, reservation, Encoder(encoding, profile), context)
        try:
            if prepared and prepared.keys() >= specs.keys():
                build.begin(pa.schema([]), row_count)
                seen_rows, batches = row_count, ()
                context.progress.advance("index", row_count, row_count, "rows")
            for batch in batches:
                context.check()
                if seen_rows is None:
                    build.begin(batch.schema, row_count)
                seen_rows = (seen_rows or 0) + batch.num_rows
                build.add(batch, each)
                context.progress.advance("index", seen_rows, row_count, "rows")
            if (seen_rows or 0) != row_count:
                raise InputError(f"the index was told of {row_count} rows, and got {seen_rows or 0}")
            for number, info in enumerate(build.finish(folder, row_count, file_system), start=1):
                written.append(info)
                context.progress.advance("index columns", number, len(specs), "columns")
        except BaseException:
            executor.close()
            for info in written:
                file_system.delete(folder / info.file)
            raise
        finally:
            build.close()
    return written


def _file_stem(column: str) -> str:
    """Make a column's name fit for a file, for people to recognise; the directory holds the real one."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in column)
    return plain[:40] or "_"
