"""One write to a frozen data set: begun, then committed in one transaction, or undone."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from esker.core.clock import Clock
from esker.core.context import QueryContext
from esker.core.file_system import FileSystem
from esker.core.sort import sort_batches
from esker.errors import EskerError, OptionError, OutputFileError
from esker.frozen.catalog_file import CatalogFile
from esker.frozen.divide import divide
from esker.frozen.garbage import Collected, collect
from esker.frozen.hot import read_parts
from esker.frozen.hot_writer import HotWriter
from esker.frozen.location import store_tier_uri
from esker.frozen.payload_writer import ExtentShape, PayloadWriter
from esker.frozen.records import (
    INDEX_FOLDER,
    KEYS_FOLDER,
    Contents,
    IndexBuilder,
    IndexSegment,
    Writing,
    object_key,
    part_name,
)
from esker.frozen.schema import fit
from esker.frozen.target import make_folders
from esker.storage import Tier

ROW_GROUP_ROWS = 32_768

_EXTENT_BYTES = 128 << 20
_GROUP_BYTES_MAX = 32 << 20
_GROUP_BYTES_MIN = 64 << 10
_PAGE_BYTES_RANDOM = 64 << 10
_PAGE_BYTES_STREAMED = 1 << 20


@dataclass(frozen=True)
class FreezeOptions:
    """How rows are laid out; kept in the catalogue, so that an append does the same."""

    order_by: tuple[str, ...] = ()
    split_by: str | None = None
    extent_rows: int | None = None
    row_group_rows: int = ROW_GROUP_ROWS
    page_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("extent_rows", "row_group_rows", "page_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name}={value!r}: must be at least 1")

    @classmethod
    def from_json(cls, options: dict[str, Any]) -> FreezeOptions:
        """Read what `to_json` gave."""
        return cls(**{**options, "order_by": tuple(options.get("order_by", ()))})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "order_by": list(self.order_by)}

    def shape(self, tier: Tier, free_bytes: int) -> ExtentShape:
        """Sizes that suit the tier and the memory there is."""
        capacity = tier.device.capacity_bytes
        # An object lies on one cartridge whole; one that leaves a quarter free lets the next fill what is left.
        extent_bytes = min(_EXTENT_BYTES, capacity * 3 // 4) if capacity else _EXTENT_BYTES
        # A row group is held as gathered and, for a moment, encoded: with the keys' an eighth of the budget.
        group_bytes = min(_GROUP_BYTES_MAX, max(_GROUP_BYTES_MIN, free_bytes // 32), max(1, extent_bytes // 2))
        page_bytes = _PAGE_BYTES_RANDOM if tier.capability.random_read else _PAGE_BYTES_STREAMED
        return ExtentShape(
            self.extent_rows, extent_bytes, self.row_group_rows, group_bytes, self.page_bytes or page_bytes
        )


@dataclass(frozen=True)
class WritePlace:
    """Where a write happens, and with what: the folder, whose writer lock is held, its catalogue, the tier."""

    folder: Path
    file: CatalogFile
    tier: Tier
    context: QueryContext
    file_system: FileSystem
    clock: Clock

    def collect(self) -> Collected:
        """Remove what no committed state refers to."""
        return collect(self.folder, self.file, self.tier, self.file_system)


class Write:
    """A write that was begun under the writer lock; leaving its block without `commit` undoes it.

    Order: the catalogue records that a write begins and its token; objects and files are made, each with the token
    in its name; one transaction refers to them all and ends the write. A kill at any point leaves the state before,
    or the state after, and names from which the next write knows what to remove.
    """

    def __init__(self, place: WritePlace, before: Contents) -> None:
        self.after = before
        self._place = place
        self._token = secrets.token_hex(8)
        self._footers: dict[str, bytes] = {}

    def __enter__(self) -> Write:
        prefix = self.after.description.payload_prefix
        uri = store_tier_uri(self._place.tier.uri, self._place.folder)
        self._place.file.begin(Writing(self._token, uri, prefix, float(self._place.clock.wall_seconds())))
        try:
            with self._output_errors():
                make_folders(self._place.folder, self._place.file_system)
        except BaseException:
            self._undo()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a commit this removes what the new state no longer refers to; else all that the write made. Both ask
        # the catalogue, so a stop between the commit and here loses nothing.
        self._undo()

    def add_rows(self, batches: Iterator[pa.RecordBatch], options: FreezeOptions, *, sort: bool = True) -> None:
        """Write rows after those that are there: payload extents to the tier, key files to the folder.

        Without `sort` they come in the order that the options name.
        """
        described, budget = self.after.description, self._place.context.budget
        shape = options.shape(self._place.tier, budget.free_bytes)
        hot_schema = pa.schema([field for field in described.schema if field.name in described.hot_columns])
        payload = PayloadWriter(
            described.schema,
            described.hot_columns,
            shape,
            self._place.tier,
            lambda number: object_key(described.payload_prefix, number, self._token),
            first_row=described.row_count,
            first_number=len(self.after.extents),
            context=self._place.context,
            file_system=self._place.file_system,
        )
        hot = HotWriter(
            hot_schema,
            self._place.folder / KEYS_FOLDER,
            lambda number: part_name(number, self._token),
            first_row=described.row_count,
            first_number=len(self.after.parts),
            group_bytes=shape.row_group_bytes,
            file_system=self._place.file_system,
        )
        with budget.reserve("freeze", 4 * shape.row_group_bytes):
            try:
                self._write_rows(self._laid_out(batches, options, sort), payload, hot)
            except BaseException as error:
                payload.abandon()
                hot.abandon(error)
                raise
        assert hot.row_stop == payload.row_stop, "keys and payload have the same rows"
        self._footers.update(payload.footers)
        self.after = replace(
            self.after,
            description=replace(described, row_count=payload.row_stop),
            parts=(*self.after.parts, *hot.parts),
            extents=(*self.after.extents, *payload.extents),
        )

    def build_index(self, builder: IndexBuilder) -> None:
        """Build the index of all rows anew, beside the one that is there, which the commit replaces."""
        described = self.after.description
        schema = pa.schema([field for field in described.schema if field.name in described.hot_columns])
        rows = read_parts(self._place.folder, self.after.parts, schema, self._place.context)
        with self._output_errors():
            # Without rows one empty batch goes, so that the builder knows the types.
            batches = (row.batch for row in rows) if self.after.parts else iter([_no_rows(schema)])
            built = builder(batches, described.row_count, self._place.folder / INDEX_FOLDER)
        segments = tuple(
            IndexSegment(made.file, made.column, made.kind, made.bytes, made.checksum, dict(made.spec))
            for made in built
        )
        self.after = replace(self.after, segments=segments)

    def commit(self) -> None:
        """Make it so."""
        self._place.context.check()
        self._place.file.commit(self.after, self._footers, self._token)

    def _laid_out(
        self, batches: Iterator[pa.RecordBatch], options: FreezeOptions, sort: bool
    ) -> Iterator[tuple[pa.RecordBatch, bool]]:
        schema = self.after.description.schema
        rows: Iterator[pa.RecordBatch] = (fit(batch, schema) for batch in batches)
        if options.order_by and sort:
            rows = sort_batches(rows, options.order_by, schema, self._place.context, operator="freeze order_by")
        return divide(rows, options.split_by)

    def _write_rows(
        self, pieces: Iterator[tuple[pa.RecordBatch, bool]], payload: PayloadWriter, hot: HotWriter
    ) -> None:
        for piece, begins_extent in pieces:
            self._place.context.check()
            payload.add(piece, begins_extent)
            with self._output_errors():
                hot.add(piece)
        payload.finish()
        with self._output_errors():
            hot.finish()

    def _undo(self) -> None:
        # What cannot be removed now is found by its token next time; the error that brought us here matters more.
        with suppress(EskerError, OSError):
            self._place.collect()

    def _output_errors(self) -> _OutputErrors:
        return _OutputErrors(self._place.folder)


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


class _OutputErrors:
    """Turn what the system raises while writing into the folder into our error."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, EskerError):
            raise OutputFileError(
                f"cannot write to {self._folder}: {error.strerror or error}; what was there before is unchanged"
            ) from error
