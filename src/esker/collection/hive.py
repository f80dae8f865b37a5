"""Hive-style folders: one folder a key, `country=AT/year=2024/part-00000.parquet`, within memory and open files."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.collection.options import is_whole
from esker.collection.part_files import PartFiles, PartOptions
from esker.collection.write import WriterShare, new_folder, row_group_bytes, write_each_partition
from esker.core.batch import plain_type
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.group import group_codes
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.errors import InputError, OptionError, UnsupportedTypeError
from esker.plan.compiled import Compiled

NULL_SEGMENT = "__HIVE_DEFAULT_PARTITION__"
OPEN_FILES_MAX = 256
# Partitions of the shuffle before: so many that the keys of one fit in memory together, where the size is known.
PARTITIONS_MIN, PARTITIONS_MAX = 64, 2048
# How much more rows take in memory than in a file.
GROWTH = 4


@dataclass(frozen=True)
class Hive:
    """How rows go to folders: key columns, whether files repeat them, how many files may be open."""

    by: tuple[str, ...]
    keep_keys: bool = False
    open_files_max: int = OPEN_FILES_MAX

    def __post_init__(self) -> None:
        if not is_whole(self.open_files_max) or self.open_files_max < 1:
            raise OptionError(f"open_files_max={self.open_files_max!r}: give a whole number of at least 1")

    def file_schema(self, schema: pa.Schema) -> pa.Schema:
        """The columns of the files; UnsupportedTypeError names a key that no folder's name can hold."""
        for name in self.by:
            _require_text(name, plain_type(schema.field(name).type))
        kept = [field for field in schema if self.keep_keys or field.name not in self.by]
        if not kept:
            raise OptionError(f"partition_by={list(self.by)} leaves no column for the files; pass keep_keys=True")
        return pa.schema(kept)


def write_hive(
    compiled: Compiled, context: QueryContext, folder: Path, hive: Hive, options: PartOptions, overwrite: bool
) -> int:
    """Write each key's rows, in the order of the input, to its folder in `folder`; returns the number of rows."""
    schema = hive.file_schema(compiled.stream.schema)
    with new_folder(folder, overwrite) as aside:
        shuffled = _shuffled(compiled, context, hive)

        def write(index: int, batches: Iterator[pa.RecordBatch], share: WriterShare) -> int:
            with KeyFolders(aside, hive, schema, share, options) as folders:
                for batch in batches:
                    folders.write(batch)
                folders.finish()
                return folders.rows

        rows = sum(write_each_partition(shuffled.stream, context, write))
    shuffled.done(rows, context)
    return rows


def _shuffled(compiled: Compiled, context: QueryContext, hive: Hive) -> Compiled:
    """Bring the rows of a key together, so that few keys are written at a time."""
    count = _partition_count(compiled.explanation, context)
    explanation = Explanation("shuffle", {"by": list(hive.by), "partitions": count}, inputs=[compiled.explanation])
    barrier = ShuffleBarrier(compiled.stream, hive.by, count, context, explanation=explanation, counts_rows=True)
    explanation.number()
    context.log.emit("query_planned", plan=explanation.to_json())
    return Compiled(barrier.stream(), explanation, facts=compiled.facts)


def _partition_count(explanation: Explanation, context: QueryContext) -> int:
    wanted = GROWTH * _read_bytes(explanation) / row_group_bytes(context)
    return max(PARTITIONS_MIN, min(PARTITIONS_MAX, 1 << math.ceil(math.log2(max(wanted, 1)))))


def _read_bytes(explanation: Explanation) -> float:
    if explanation.estimated is not None:
        return explanation.estimated.bytes
    return sum(_read_bytes(below) for below in explanation.inputs)


class KeyFolders:
    """Writes the rows of one partition of a shuffle to the folders of their keys.

    Rows wait, as they came, up to a row group's bytes. When they are more, they are gathered by key: the keys with the
    most rows are written until half of the bytes are gone, the rest goes on waiting. So a large key gets large row
    groups, many small keys one file each at the end, and memory follows neither the number of keys nor their size.
    When more keys than files may be open are being written at a time, the one not written to for longest is closed:
    what follows of it goes to the folder's next file.
    """

    def __init__(self, root: Path, hive: Hive, schema: pa.Schema, share: WriterShare, options: PartOptions) -> None:
        self._root = root
        self._hive = hive
        self._schema = schema
        self._pending_bytes_max = share.row_group_bytes
        self._open_max = max(1, hive.open_files_max // share.workers)
        self._options = share.options(options)
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._files: dict[str, PartFiles] = {}
        self._open: OrderedDict[str, PartFiles] = OrderedDict()

    @property
    def rows(self) -> int:
        """Rows written."""
        return sum(files.rows for files in self._files.values())

    def write(self, batch: pa.RecordBatch) -> None:
        """Take rows."""
        self._pending.append(batch)
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= self._pending_bytes_max:
            self._write_largest()

    def finish(self) -> None:
        """Write what waits, and close all files."""
        for group in self._groups():
            self._write_group(group)
            self._close(group.folder)
        self._pending, self._pending_bytes = [], 0
        for folder in list(self._open):
            self._close(folder)

    def __enter__(self) -> KeyFolders:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for files in self._open.values():
            files.__exit__(type(error) if error else None, error, None)
        self._open.clear()

    def _write_largest(self) -> None:
        groups = self._groups()
        rows = sum(group.rows.num_rows for group in groups)
        written = 0
        left = []
        for group in sorted(groups, key=lambda group: -group.rows.num_rows):
            if 2 * written >= rows:
                left.append(group.numbers)
                continue
            self._write_group(group)
            written += group.rows.num_rows
        del groups
        self._keep(np.sort(np.concatenate(left)) if left else np.array([], np.int64))

    def _keep(self, numbers: npt.NDArray[np.int64]) -> None:
        """Let the rows of these numbers go on waiting: a copy, so that what they lay among is freed."""
        kept = pa.Table.from_batches(self._pending).take(pa.array(numbers))
        self._pending = kept.combine_chunks().to_batches()
        self._pending_bytes = sum(batch.nbytes for batch in self._pending)

    def _write_group(self, group: _Group) -> None:
        files = self._opened(group.folder)
        for batch in group.rows.to_batches():
            files.write(batch)
        files.flush()  # the group is a slice of rows that would all be held

    def _opened(self, folder: str) -> PartFiles:
        files = self._files.get(folder)
        if files is None:
            place = self._root / folder
            place.mkdir(parents=True, exist_ok=True)
            files = PartFiles(lambda number: place / f"part-{number:05}.parquet", self._schema, self._options)
            self._files[folder] = files
        if folder not in self._open and len(self._open) >= self._open_max:
            self._close(next(iter(self._open)))
        self._open[folder] = files
        self._open.move_to_end(folder)
        return files

    def _close(self, folder: str) -> None:
        files = self._open.pop(folder, None)
        if files is not None:
            files.end_file()

    def _groups(self) -> list[_Group]:
        """The rows that wait, by key, in order of first appearance."""
        if not self._pending:
            return []
        table = pa.Table.from_batches(self._pending)
        codes, count = group_codes(table.select(self._hive.by), self._hive.by)
        order = np.argsort(codes, kind="stable")
        bounds = np.searchsorted(codes[order], np.arange(count + 1))
        folders = folder_names(table.select(self._hive.by).take(pa.array(order[bounds[:-1]])))
        rows = table.select(self._schema.names)
        gathered = rows if count == 1 else rows.take(pa.array(order))
        return [
            _Group(folder, gathered.slice(start, stop - start), order[start:stop])
            for folder, start, stop in zip(folders, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]


@dataclass(frozen=True)
class _Group:
    """The waiting rows of one key: its folder, the rows, their numbers among all that wait."""

    folder: str
    rows: pa.Table
    numbers: npt.NDArray[np.int64]


def folder_names(keys: pa.Table) -> list[str]:
    """Give the folder of each row of key columns.

    >>> folder_names(pa.table({"city": ["Zürich", "a/b", None, ""], "n": [1, 2, 3, 4]}))
    ['city=Z%C3%BCrich/n=1', 'city=a%2Fb/n=2', 'city=__HIVE_DEFAULT_PARTITION__/n=3', 'city=/n=4']

    Raises InputError for a text that readers would take for null.
    """
    columns = [_segments(name, column) for name, column in zip(keys.column_names, keys.columns, strict=True)]
    return ["/".join(segments) for segments in zip(*columns, strict=True)]


def _segments(name: str, column: pa.ChunkedArray) -> list[str]:
    texts = _texts(column)
    if NULL_SEGMENT in texts:
        raise InputError(f"column {name!r} holds the text {NULL_SEGMENT!r}, which a folder's name has for null")
    start = quote(name, safe="")
    return [f"{start}={NULL_SEGMENT if text is None else quote(text, safe='')}" for text in texts]


def _texts(column: pa.ChunkedArray) -> Sequence[str | None]:
    plain = column.cast(plain_type(column.type)) if pa.types.is_dictionary(column.type) else column
    texts: list[str | None] = plain.cast(pa.string()).to_pylist()
    return texts


def _require_text(name: str, type_: pa.DataType) -> None:
    named = (
        pa.types.is_boolean(type_)
        or pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_decimal(type_)
        or (pa.types.is_temporal(type_) and not pa.types.is_duration(type_) and not pa.types.is_interval(type_))
        or pa.types.is_string(type_)
        or pa.types.is_large_string(type_)
    )
    if not named:
        raise UnsupportedTypeError(f"partition_by: column {name!r} is {type_}, which is no name of a folder; cast it")
