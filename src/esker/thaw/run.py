"""Running a thaw: windows of raw bytes from the tier, decoded by pyarrow, wanted rows handed out in row-id order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.batch import cast_batch
from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.errors import EskerError, PayloadCorruptError
from esker.storage import Tier
from esker.thaw.group_read import GroupRead
from esker.thaw.layout import Layout
from esker.thaw.page_file import decode_pages, rows_in_pages
from esker.thaw.parquet_ranges import PrefetchedFile
from esker.thaw.plan import ThawPlan
from esker.thaw.reader import Raw, Reader
from esker.thaw.window import Window


def run(plan: ThawPlan, context: QueryContext) -> Iterator[RowBatch]:
    """Read what the plan says and yield the wanted rows, at most `context.batch_rows` at a time.

    They come in row-id order; with `context.ordered` off those of an archive come as its objects become readable.
    Cold extents are asked for first and waited for, up to `context.deadline`; NotThawedError says then what is missing.
    Holds the raw bytes of a window, and of another that is read meanwhile if both fit half of what is free, and one
    decoded row group, and says so to the budget under "thaw"; a window that would take more than half of what is free
    is read in halves. Whole extents are checked against their checksum, parts of them against those of their pages.
    """
    plan.check_limits(context.max_cost)
    before = plan.tier.counted
    context.activity.watch_devices(plan.tier)
    context.log.emit("thaw_planned", **plan.to_json())
    done_bytes = row_count = 0
    with Reader(plan, context) as reader:
        for window, raw in reader:
            for rows in _decode(window, raw, plan, context):
                row_count += len(rows.row_ids)
                yield rows
            done_bytes += window.raw_bytes
            context.progress.advance("thaw", done_bytes, plan.cost.bytes, "bytes")
            context.activity.tell_devices(plan.tier)
    context.activity.tell_devices(plan.tier)
    context.log.emit(
        "thaw_done",
        rows=row_count,
        estimated=plan.cost.to_json(),
        counted=plan.tier.counted.since(before).to_json(),
    )


def _decode(window: Window, raw: Raw, plan: ThawPlan, context: QueryContext) -> Iterator[RowBatch]:
    for layout, reads in window.by_extent():
        wanted = plan.rows.slice(layout.extent.first_row, layout.extent.row_stop)
        fetched = PrefetchedFile(layout.extent.key, layout.extent.bytes, raw[layout.extent.key])
        with _damage_named(layout, plan.tier):
            source = pa.PythonFile(fetched, mode="r")
            # Buffered reading would merge ranges once more, over bytes that were not fetched.
            file = pq.ParquetFile(source, metadata=layout.footer, pre_buffer=False, page_checksum_verification=True)
        for read in reads:
            if read.whole:
                yield from _decode_group(file, read, wanted, plan, context)
            else:
                yield from _decode_pages(file, fetched, read, wanted, plan, context)


def _decode_pages(
    file: pq.ParquetFile,
    fetched: PrefetchedFile,
    read: GroupRead,
    wanted: RowSet,
    plan: ThawPlan,
    context: QueryContext,
) -> Iterator[RowBatch]:
    """Decode what was read of a row group, column by column, and keep the wanted rows."""
    first, stop = read.layout.rows_of(read.group)
    row_ids = wanted.slice(first, stop).to_numpy()
    rows = (row_ids - np.uint64(first)).astype(np.int64)
    columns: list[pa.ChunkedArray] = []
    schema = read.layout.footer.schema.to_arrow_schema()
    for part in read.parts:
        context.check()
        with _damage_named(read.layout, plan.tier):
            if part.paged is None or part.chosen is None:
                column = file.read_row_group(read.group, [part.column], use_threads=False).column(part.column)
                _check_rows(read, len(column), stop - first, plan.tier)
                places = rows
            else:
                column = decode_pages(part.paged, part.chosen, fetched, schema.field(part.column))
                places = rows_in_pages(part.paged, part.chosen, rows)
            columns.append(column.take(pa.array(places)).combine_chunks())
    for start in range(0, len(row_ids), context.batch_rows):
        part_ids = row_ids[start : start + context.batch_rows]
        arrays = [column.slice(start, len(part_ids)) for column in columns]
        names = [part.column for part in read.parts]
        yield RowBatch(part_ids, cast_batch(_one_batch(arrays, names), plan.schema))


def _one_batch(columns: list[pa.ChunkedArray], names: list[str]) -> pa.RecordBatch:
    whole = pa.Table.from_arrays(columns, names=names).combine_chunks().to_batches()
    assert len(whole) == 1, "rows of one row group fit one array"
    return whole[0]


def _decode_group(
    file: pq.ParquetFile, read: GroupRead, wanted: RowSet, plan: ThawPlan, context: QueryContext
) -> Iterator[RowBatch]:
    layout = read.layout
    first, stop = layout.rows_of(read.group)
    if not wanted.slice(first, stop):
        return
    names = plan.schema.names
    with _damage_named(layout, plan.tier):
        batches = file.iter_batches(
            context.batch_rows, row_groups=[read.group], columns=names, use_threads=context.threads > 1
        )
    while True:
        context.check()
        with _damage_named(layout, plan.tier):
            batch = next(batches, None)
        if batch is None:
            break
        past = first + batch.num_rows
        row_ids = wanted.slice(first, past).to_numpy()
        if len(row_ids):
            yield RowBatch(row_ids, _take(cast_batch(batch.select(names), plan.schema), row_ids, first))
        first = past
    _check_rows(read, first, stop, plan.tier)


def _check_rows(read: GroupRead, found: int, expected: int, tier: Tier) -> None:
    if found != expected:
        raise PayloadCorruptError(
            f"row group {read.group} of {read.layout.extent.key!r} on {tier.uri} ends {expected - found:,} rows early"
        )


def _take(batch: pa.RecordBatch, row_ids: np.ndarray[tuple[int], np.dtype[np.uint64]], first: int) -> pa.RecordBatch:
    """Copy the wanted rows, so that few of them do not keep a whole batch alive."""
    if len(row_ids) == batch.num_rows:
        return batch
    return batch.take(pa.array((row_ids - np.uint64(first)).astype(np.int64)))


@contextmanager
def _damage_named(layout: Layout, tier: Tier) -> Iterator[None]:
    """Turn what pyarrow says of damaged bytes into our error, naming the extent."""
    try:
        yield
    except EskerError as error:
        if not isinstance(error, PayloadCorruptError) or layout.extent.key in str(error):
            raise
        raise PayloadCorruptError(
            f"the extent {layout.extent.key!r} on {tier.uri} is damaged: {error}; restore it from a copy"
        ) from error
    except (pa.ArrowException, OSError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PayloadCorruptError(
            f"the extent {layout.extent.key!r} on {tier.uri} is damaged: {first_line}; restore it from a copy"
        ) from error
