"""Files to read: one or many of the same schema, cut into fragments that can be read alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from esker.core.batch import cast_batch, plain_schema, require_columns
from esker.core.cost import Cost
from esker.core.extent import ByteRange
from esker.errors import InputFileError, SchemaMismatchError
from esker.formats.place import Place, signature
from esker.storage import ReadRequest
from esker.storage.tier_file import TierFile


@dataclass(frozen=True)
class Fragment:
    """A stretch of rows of one file that can be read alone: a row group, some batches, a whole file.

    `index` counts the fragments of the source, `part` those of the file. `first_row` is the row id of its first row
    in the whole source; it and `row_count` are None where only reading would tell. `bytes` is what lies in the file.
    """

    path: Place
    index: int
    first_row: int | None
    row_count: int | None
    bytes: int
    part: int


@dataclass(frozen=True)
class FilePart:
    """What a format says of a fragment: rows, where known, and bytes in the file."""

    row_count: int | None
    bytes: int


@dataclass(frozen=True)
class ColumnStatistics:
    """Bounds of a column's values in a fragment; None is unknown.

    No value is below `min` or above `max`, but they need not occur. The `max` of a floating column is always None:
    files leave NaN out of their statistics, and NaN sorts above every number.
    """

    min: pa.Scalar | None
    max: pa.Scalar | None
    null_count: int | None


class DataFile(ABC):
    """One file, opened: its schema and parts are known, no file handle is held."""

    schema: pa.Schema
    parts: tuple[FilePart, ...]

    def __init__(self, path: Place) -> None:
        self.path = path
        self._signature = signature(path)
        self.bytes: int = self._signature[0]

    @abstractmethod
    def read(self, part: int, columns: Sequence[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Stream a part in bounded memory; batches hold at least `columns`, in any order."""

    def statistics(self, part: int, column: str) -> ColumnStatistics | None:
        """Bounds of `column` in a part, where the format keeps them."""
        return None

    def byte_ranges(self, part: int, columns: Sequence[str]) -> list[ByteRange]:
        """The bytes of the file that reading `columns` of a part takes, ascending."""
        return [ByteRange(0, self.bytes)]

    def held_bytes(self, part: int, columns: Sequence[str]) -> int:
        """About how much reading `columns` of a part holds at a time, beside the batches it gives."""
        return 0

    def check_unchanged(self) -> None:
        """Raise InputFileError when the file is not the one that was opened."""
        if signature(self.path) != self._signature:
            raise InputFileError(f"{self.path} changed since it was opened; run the query again")


class FileSource:
    """One or more files as one table.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from esker.formats import open_files, open_writer
    >>> path, rows = Path(tempfile.mkdtemp(), "rows.parquet"), pa.record_batch({"n": [1, 2], "s": ["a", None]})
    >>> with open_writer(path, rows.schema) as writer:
    ...     writer.write(rows)
    >>> source = open_files(path)
    >>> source.row_count, source.schema.names, len(source.fragments)
    (2, ['n', 's'], 1)
    >>> [batch.to_pydict() for batch in source.read(source.fragments[0], ["s"])]
    [{'s': ['a', None]}]

    The schema has plain types only: string views and dictionaries come out as their values. Row ids count through
    the files in the order of `paths`.
    """

    def __init__(self, format_name: str, files: Sequence[DataFile]) -> None:
        self.format = format_name
        self.paths = tuple(file.path for file in files)
        self.schema = plain_schema(files[0].schema)
        _check_names(self.paths[0], self.schema)
        for file in files[1:]:
            _check_same(self.paths[0], self.schema, file.path, plain_schema(file.schema))
        self._files = tuple(files)
        self._file_of: list[DataFile] = []
        self.fragments = tuple(self._number())
        counts = [fragment.row_count for fragment in self.fragments]
        self.row_count: int | None = None if None in counts else sum(count or 0 for count in counts)
        self.bytes = sum(fragment.bytes for fragment in self.fragments)

    def _number(self) -> Iterator[Fragment]:
        index, row = 0, 0
        first_row: int | None = row
        for file in self._files:
            for number, part in enumerate(file.parts):
                self._file_of.append(file)
                yield Fragment(file.path, index, first_row, part.row_count, part.bytes, number)
                index += 1
                known = first_row is not None and part.row_count is not None
                first_row = first_row + part.row_count if known else None  # type: ignore[operator]  # `known` says that neither is None

    def read(
        self, fragment: Fragment, columns: Sequence[str] | None = None, batch_rows: int = 65_536
    ) -> Iterator[pa.RecordBatch]:
        """Stream a fragment's rows in order, `columns` in the order asked for, at most `batch_rows` at a time.

        Raises InputFileError for a file that is damaged, cut short or changed since it was opened.
        """
        names = list(self.schema.names if columns is None else columns)
        require_columns(names, self.schema, str(fragment.path))
        file = self._file_of[fragment.index]
        file.check_unchanged()
        schema = pa.schema([self.schema.field(name) for name in names])
        rows = 0
        for batch in file.read(fragment.part, names, batch_rows):
            rows += batch.num_rows
            if batch.num_rows:
                chosen = batch if batch.schema.names == names else batch.select(names)
                yield cast_batch(chosen, schema)
        if fragment.row_count is not None and rows != fragment.row_count:
            raise InputFileError(
                f"{fragment.path} is damaged: part {fragment.part} has {rows:,} rows, its footer says"
                f" {fragment.row_count:,}"
            )

    def batches(self, columns: Sequence[str] | None = None, batch_rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """Stream all rows, fragment by fragment."""
        for fragment in self.fragments:
            yield from self.read(fragment, columns, batch_rows)

    def file(self, fragment: Fragment) -> DataFile:
        """The file that a fragment is part of."""
        return self._file_of[fragment.index]

    def statistics(self, fragment: Fragment, column: str) -> ColumnStatistics | None:
        """Bounds of `column` in a fragment, or None where the file keeps none."""
        require_columns([column], self.schema, str(fragment.path))
        return self._file_of[fragment.index].statistics(fragment.part, column)

    def held_bytes(self, fragment: Fragment, columns: Sequence[str]) -> int:
        """About how much reading `columns` of a fragment holds at a time, beside the batches it gives."""
        return self._file_of[fragment.index].held_bytes(fragment.part, columns)

    def stored_cost(self, fragment: Fragment, columns: Sequence[str]) -> Cost | None:
        """What reading `columns` of a fragment costs on the tier that its file lies on; None for a local file."""
        place = fragment.path
        if not isinstance(place, TierFile):
            return None
        return place.tier.estimate(ReadRequest(place.key, part) for part in self.byte_ranges(fragment, columns))

    def byte_ranges(self, fragment: Fragment, columns: Sequence[str] | None = None) -> list[ByteRange]:
        """The bytes of the file that reading `columns` of a fragment takes, ascending and apart."""
        names = list(self.schema.names if columns is None else columns)
        require_columns(names, self.schema, str(fragment.path))
        return self._file_of[fragment.index].byte_ranges(fragment.part, names)


def _check_names(path: Place, schema: pa.Schema) -> None:
    seen: set[str] = set()
    for name in schema.names:
        if name in seen:
            raise InputFileError(f"{path} has two columns named {name!r}; rename one of them")
        seen.add(name)


def _check_same(first_path: Place, first: pa.Schema, path: Place, schema: pa.Schema) -> None:
    """Same names, order and types; whether nulls are allowed may differ."""
    for field in first:
        position = schema.get_field_index(field.name)
        if position < 0:
            raise SchemaMismatchError(f"{path} has no column {field.name!r}, which {first_path} has")
        if schema.field(position).type != field.type:
            raise SchemaMismatchError(
                f"column {field.name!r} is {schema.field(position).type} in {path}, but {field.type} in {first_path}"
            )
    for name in schema.names:
        if first.get_field_index(name) < 0:
            raise SchemaMismatchError(f"{path} has a column {name!r}, which {first_path} has not")
    _check_names(path, schema)
