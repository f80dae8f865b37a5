"""Writing results: whole files and folders under their final names, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from esker.collection.part_files import PartFiles, PartOptions
from esker.core.context import QueryContext
from esker.core.file_system import LOCAL
from esker.core.memory import Reservation
from esker.engine.stream import PartitionedStream, run
from esker.errors import CancelledError, InputFileError, OutputExistsError
from esker.formats import FileWriter, open_writer
from esker.formats.format import writing
from esker.plan.compiled import Compiled
from esker.runtime.executors import EXECUTORS

ROW_GROUP_BYTES_MAX = 64 << 20
ROW_GROUP_BYTES_MIN = 128 << 10
ROW_GROUP_SHARE = 32
PAGE_BYTES_MAX = 1 << 20
# A thread that writes holds the rows of a row group, once more while they are gathered or taken over from pages, and
# what the encoder makes of a column.
COPIES = 3
PAGES = 4

WritePartition = Callable[[int, Iterator[pa.RecordBatch], "WriterShare"], int]


@dataclass(frozen=True)
class WriterShare:
    """What one of `workers` threads may hold: rows of a row group, a page while it is encoded."""

    row_group_bytes: int
    workers: int = 1

    @property
    def page_bytes(self) -> int:
        return min(PAGE_BYTES_MAX, self.row_group_bytes)

    @property
    def held_bytes(self) -> int:
        """What the thread holds at most."""
        return COPIES * self.row_group_bytes + PAGES * self.page_bytes

    def options(self, options: PartOptions) -> PartOptions:
        """The same options, within the share."""
        sizes = {"row_group_bytes": self.row_group_bytes, "page_bytes": self.page_bytes}
        return replace(options, parquet={**options.parquet, **sizes})


def write_file(
    compiled: Compiled,
    context: QueryContext,
    path: Path,
    format_: str | None,
    overwrite: bool,
    parquet: Mapping[str, Any] | None = None,
) -> int:
    """Write all rows to one file; returns the number of rows."""
    require_parent(path)
    rows = 0
    with _writer(path, compiled, context, format_, overwrite, parquet or {}) as writer:
        for batch in run(compiled.stream, context, "write"):
            writer.write(batch)
            rows += batch.num_rows
    compiled.done(rows, context)
    return rows


def write_partitions(
    compiled: Compiled, context: QueryContext, folder: Path, options: PartOptions, overwrite: bool = False
) -> list[int]:
    """Write the files of each partition into `folder`, which appears whole or not at all; returns rows by partition."""
    with new_folder(folder, overwrite) as aside:

        def write(index: int, batches: Iterator[pa.RecordBatch], share: WriterShare) -> int:
            def path(number: int) -> Path:
                return aside / (f"part-{index:05}-{number:05}.parquet" if several else f"part-{index:05}.parquet")

            several = options.sizes.limited
            with PartFiles(path, compiled.stream.schema, share.options(options)) as files:
                files.open()  # a partition without rows is a file without rows
                for batch in batches:
                    files.write(batch)
                return files.rows

        rows = write_each_partition(compiled.stream, context, write)
    compiled.done(sum(rows), context)
    return rows


def write_each_partition(stream: PartitionedStream, context: QueryContext, write: WritePartition) -> list[int]:
    """Call `write` with each partition, several at once; returns what it returned, by partition.

    As many run at once as the query has threads and the budget has room for. An error of one stops the others.
    """
    if not stream.partition_count:
        return []
    # The first batch runs what is below (a shuffle takes all of its input): what that held is free again afterwards.
    first = stream.partition(0)
    begun = list(_take_one(first))
    with context.budget.reserve("write") as held:
        share = _share(stream, context, held)
        work = _PartitionWork(stream, context, write, share, chain(begun, first))
        del begun, first
        return work.run()


class _PartitionWork:
    """The partitions as tasks of an executor."""

    def __init__(
        self,
        stream: PartitionedStream,
        context: QueryContext,
        write: WritePartition,
        share: WriterShare,
        first: Iterator[pa.RecordBatch],
    ) -> None:
        self._stream = stream
        self._context = context
        self._write = write
        self._share = share
        self._first: Iterator[pa.RecordBatch] | None = first
        self._stopped = False

    def run(self) -> list[int]:
        rows = [0] * self._stream.partition_count
        with EXECUTORS["threads" if self._share.workers > 1 else "inline"](self._share.workers) as executor:
            try:
                tickets = {executor.submit(partial(self._task, index)): index for index in range(len(rows))}
                while done := executor.completed():
                    for completion in done:
                        if completion.error is not None:
                            raise completion.error
                        rows[tickets[completion.ticket]] = completion.value
            finally:
                self._stopped = True
        return rows

    def _task(self, index: int) -> int:
        return self._write(index, self._checked(self._partition(index)), self._share)

    def _partition(self, index: int) -> Iterator[pa.RecordBatch]:
        if index == 0 and self._first is not None:
            first, self._first = self._first, None
            return first
        return self._stream.partition(index)

    def _checked(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._context.check()
            if self._stopped:
                raise CancelledError("stopped: another part of the query failed or was cancelled")
            yield batch


def _take_one(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    batch = next(batches, None)
    if batch is not None:
        yield batch


def _share(stream: PartitionedStream, context: QueryContext, held: Reservation) -> WriterShare:
    """What each thread gets, and how many there are: fewer, then with smaller row groups, where memory is short."""
    share = WriterShare(row_group_bytes(context), max(1, min(context.threads, stream.partition_count)))
    while not held.try_resize(share.workers * (share.held_bytes + stream.held_bytes)):
        if share.workers > 1:
            share = replace(share, workers=share.workers - 1)
        elif share.row_group_bytes > ROW_GROUP_BYTES_MIN:
            share = replace(share, row_group_bytes=share.row_group_bytes // 2)
        else:
            raise context.budget.exceeded("write", share.held_bytes + stream.held_bytes)
    return share


def row_group_bytes(context: QueryContext) -> int:
    """What the rows of a row group may take in memory: the writer holds more than these."""
    return max(ROW_GROUP_BYTES_MIN, min(ROW_GROUP_BYTES_MAX, context.budget.total_bytes // ROW_GROUP_SHARE))


@contextmanager
def new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a folder aside that becomes `folder` when the block ends well; nothing is left when it does not."""
    require_parent(folder)
    if overwrite and folder.is_dir():
        _require_replaceable(folder)
    with writing(folder), LOCAL.folder_aside(folder, overwrite=overwrite) as aside:
        yield aside


def _require_replaceable(folder: Path) -> None:
    """Raise OutputExistsError for a folder that holds anything that no writer of Parquet folders makes."""
    for path in folder.rglob("*"):
        made = "=" in path.name if path.is_dir() else path.suffix in (".parquet", ".pq") or path.name[0] in "._"
        if not made:
            raise OutputExistsError(
                f"{folder} holds {str(path.relative_to(folder))!r}, which is no part of a Parquet folder, so"
                " overwrite=True would lose it; choose another name or remove the folder"
            )


def _writer(
    path: Path,
    compiled: Compiled,
    context: QueryContext,
    format_: str | None,
    overwrite: bool,
    parquet: Mapping[str, Any],
) -> FileWriter:
    options: dict[str, Any] = {}
    if (format_ or path.suffix) in ("parquet", ".parquet", ".pq"):
        options = {"row_group_bytes": row_group_bytes(context), **parquet}
    return open_writer(path, compiled.stream.schema, format=format_, overwrite=overwrite, **options)


def require_parent(path: Path) -> None:
    """Raise InputFileError before any work when the output has no folder to go to."""
    if not path.parent.is_dir():
        raise InputFileError(f"cannot write {path}: the folder {path.parent} does not exist")
