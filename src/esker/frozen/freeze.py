"""Freeze: split data into hot keys and cold payload, once, ahead of every query (source 003, 3.1)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from esker.core.batch import require_columns
from esker.core.byte_size import format_bytes
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.file_system import LOCAL, FileSystem
from esker.core.sort import require_sortable
from esker.errors import InputFileError, OptionError, OutputExistsError
from esker.frozen.catalog import open_payload_tier
from esker.frozen.catalog_file import CatalogFile
from esker.frozen.check import check_contents, check_files
from esker.frozen.divide import require_divisible
from esker.frozen.location import require_data_set, require_local, resolve_tier_uri, store_tier_uri
from esker.frozen.lock import writer_lock
from esker.frozen.records import Contents, Description, IndexBuilder
from esker.frozen.schema import frozen_schema
from esker.frozen.target import clear_target, make_target
from esker.frozen.write import ROW_GROUP_ROWS, FreezeOptions, Write, WritePlace
from esker.storage import Tier


@dataclass(frozen=True)
class FreezeReport:
    """What a write added, and what it cost on the tier; `ratio` is payload bytes for each byte of keys (c).

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "flights.esker"
    >>> report = esker.freeze({"tail": ["N1", "N2"], "delay": [5, 130]}, folder, keys="tail")
    >>> report.rows, report.extents, report.payload_bytes > report.hot_bytes
    (2, 1, True)

    `index_bytes` is the whole index; `row_count` is all rows there are now.
    """

    rows: int
    extents: int
    payload_bytes: int
    hot_bytes: int
    index_bytes: int
    ratio: float
    cost: Cost
    row_count: int

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows in {self.extents:,} extents: payload {format_bytes(self.payload_bytes)}, keys"
            f" {format_bytes(self.hot_bytes)} (1/{self.ratio:.0f}), index {format_bytes(self.index_bytes)}"
        )

    def to_json(self) -> dict[str, object]:
        """A plain dictionary for `--json`."""
        return {**asdict(self), "ratio": round(self.ratio, 3), "cost": self.cost.to_json()}


def freeze(
    batches: Iterator[pa.RecordBatch],
    schema: pa.Schema,
    target: Path | str,
    *,
    hot_columns: Sequence[str],
    tier: Tier,
    context: QueryContext,
    payload_prefix: str | None = None,
    order_by: Sequence[str] = (),
    is_sorted: bool = False,
    split_by: str | None = None,
    extent_rows: int | None = None,
    row_group_rows: int = ROW_GROUP_ROWS,
    page_bytes: int | None = None,
    index_builder: IndexBuilder | None = None,
    file_system: FileSystem = LOCAL,
    clock: Clock = SYSTEM_CLOCK,
) -> FreezeReport:
    """Write rows as a frozen data set in the new folder `target`, with the payload on `tier`.

    `order_by` sorts first, within the context's budget: ascending, nulls last, equal rows as they came; rows that
    come so are said to be `is_sorted`. `split_by`
    starts a new extent where that column's value changes; otherwise extents have `extent_rows` rows, or about
    128 MiB. Hot columns are repeated in the folder, so that finds and joins decide without the payload; the payload
    keeps all columns and is plain Parquet. Raises OutputExistsError when `target` holds anything but an unfinished
    freeze. An error or Ctrl-C leaves nothing; after a kill, freezing again removes what was left.
    """
    folder = Path(target)
    options = FreezeOptions(tuple(order_by), split_by, extent_rows, row_group_rows, page_bytes)
    stored_schema = frozen_schema(schema, hot_columns)
    _check_layout(options, stored_schema)
    name = folder.name.removesuffix(".esker")
    described = Description(
        dataset_id=secrets.token_hex(16),
        name=name,
        schema=stored_schema,
        hot_columns=tuple(column for column in stored_schema.names if column in hot_columns),
        row_count=0,
        tier_uri=store_tier_uri(tier.uri, folder),
        payload_prefix=_checked_prefix(payload_prefix or name),
        created_seconds=float(clock.wall_seconds()),
        options=options.to_json(),
    )
    made = make_target(folder, tier.uri)
    with writer_lock(folder):
        try:
            with CatalogFile.open_writing(folder) as file:
                if file.read() is not None:
                    raise OutputExistsError(
                        f"{folder} is a frozen data set already; append to it, or choose another name"
                    )
                place = WritePlace(folder, file, tier, context, file_system, clock)
                return _write(place, Contents(described), batches, index_builder, is_sorted=is_sorted)
        except BaseException:
            _clear_unfinished(folder, made)
            raise


def append(
    target: Path | str,
    batches: Iterator[pa.RecordBatch],
    *,
    context: QueryContext,
    tier: Tier | None = None,
    index_builder: IndexBuilder | None = None,
    file_system: FileSystem = LOCAL,
    clock: Clock = SYSTEM_CLOCK,
) -> FreezeReport:
    """Add rows after those of a frozen data set; no file or object that is there is rewritten.

    The new rows are sorted and split among themselves, as the data set was frozen, and begin an extent of their own.
    An index is built anew over all rows, from the key files, and replaces the old one in the same commit: a data set
    that has one needs `index_builder`.
    """
    folder = Path(target)
    require_data_set(folder)
    require_local(folder)
    with writer_lock(folder), CatalogFile.open_writing(folder) as file:
        before = _committed(folder, file)
        if before.segments and index_builder is None:
            columns = ", ".join(sorted({segment.column for segment in before.segments}))
            raise OptionError(f"{folder} has an index on {columns}, which the new rows must join: pass index_builder")
        place = WritePlace(folder, file, tier or _tier_of(before, folder), context, file_system, clock)
        return _write(place, before, batches, index_builder)


def rebuild_index(
    target: Path | str,
    index_builder: IndexBuilder,
    *,
    context: QueryContext,
    tier: Tier | None = None,
    file_system: FileSystem = LOCAL,
    clock: Clock = SYSTEM_CLOCK,
) -> FreezeReport:
    """Build the index of a frozen data set, or another in place of the one it has."""
    return append(
        target,
        iter(()),
        context=context,
        tier=tier,
        index_builder=index_builder,
        file_system=file_system,
        clock=clock,
    )


def _write(
    place: WritePlace,
    before: Contents,
    batches: Iterator[pa.RecordBatch],
    index_builder: IndexBuilder | None,
    *,
    is_sorted: bool = False,
) -> FreezeReport:
    counted = place.tier.counted
    log = place.context.log
    log.emit("freeze_started", target=str(place.folder), tier=place.tier.uri)
    collected = place.collect()
    if collected:
        log.emit("garbage_collected", files=len(collected.files), objects=len(collected.objects))
    with Write(place, before) as write:
        options = FreezeOptions.from_json(dict(before.description.options))
        write.add_rows(batches, options, sort=not is_sorted)
        if index_builder is not None:
            write.build_index(index_builder)
        write.commit()
        report = _report(before, write.after, place.tier.counted.since(counted))
    log.emit("freeze_done", **report.to_json())
    return report


def _report(before: Contents, after: Contents, cost: Cost) -> FreezeReport:
    extents, parts = after.extents[len(before.extents) :], after.parts[len(before.parts) :]
    payload_bytes = sum(frozen.extent.bytes for frozen in extents)
    hot_bytes = sum(part.bytes for part in parts)
    return FreezeReport(
        rows=after.description.row_count - before.description.row_count,
        extents=len(extents),
        payload_bytes=payload_bytes,
        hot_bytes=hot_bytes,
        index_bytes=sum(segment.bytes for segment in after.segments),
        ratio=payload_bytes / hot_bytes if hot_bytes else 0.0,
        cost=cost,
        row_count=after.description.row_count,
    )


def _committed(folder: Path, file: CatalogFile) -> Contents:
    contents = file.read()
    if contents is None:
        raise InputFileError(f"{folder} holds a freeze that was begun and not finished: freeze again")
    check_contents(contents, folder)
    check_files(contents, folder)
    return contents


def _tier_of(contents: Contents, folder: Path) -> Tier:
    uri = resolve_tier_uri(contents.description.tier_uri, folder)
    return open_payload_tier(uri, contents.description.name, needed=bool(contents.extents))


def _clear_unfinished(folder: Path, made: bool) -> None:
    """Remove the folder of a freeze that failed, unless it is committed or its record is still needed."""
    try:
        with CatalogFile.open_writing(folder) as file:
            if file.read() is not None or file.writings():
                return
    except (OSError, ValueError, RuntimeError):
        return
    clear_target(folder, made=made)


def _check_layout(options: FreezeOptions, schema: pa.Schema) -> None:
    require_columns(options.order_by, schema, "order_by")
    require_sortable(options.order_by, schema)
    if options.split_by is not None:
        require_columns([options.split_by], schema, "split_by")
        require_divisible(options.split_by, schema)


def _checked_prefix(prefix: str) -> str:
    parts = prefix.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in prefix or "\0" in prefix:
        raise OptionError(f"payload_prefix={prefix!r}: must be a relative name, such as 'sales' or 'shop/sales'")
    return prefix
