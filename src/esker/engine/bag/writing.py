"""A Bag on disk: a folder with a file for each partition, there when all of them are whole."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from esker.core.file_system import LOCAL
from esker.engine.bag.task import batches
from esker.engine.bag.task_state import current_task
from esker.errors import InputError, OptionError, OutputFileError

COMPRESSIONS = ("gz", "bz2", "xz", "zst")
RECORD_COLUMN = "record"


class PartWriter(ABC):
    """Writes one partition into a file of the folder; a value, so that it goes to other processes."""

    extension = ""

    @abstractmethod
    def write(self, elements: Iterator[Any], path: Path) -> int:
        """Write all elements, and return how many there were."""


@dataclass(frozen=True)
class WritePart:
    """Write a partition under a name aside, and under its own when it is whole."""

    folder: str
    writer: PartWriter

    def __call__(self, elements: Iterator[Any]) -> int:
        task = current_task()
        assert task is not None, "partitions are written by tasks"
        final = Path(self.folder) / f"part-{task.partition:05d}{self.writer.extension}"
        try:
            # A try that was given up may have been whole; it wrote the same.
            with LOCAL.name_aside(final) as aside:
                return self.writer.write(elements, aside)
        except OSError as error:
            if isinstance(error, InputError):
                raise
            raise OutputFileError(f"writing {final} failed: {error.strerror or error}") from error


@dataclass(frozen=True)
class TextPart(PartWriter):
    """A line for each element: its text, or its JSON."""

    compression: str | None
    as_json: bool = False

    def __post_init__(self) -> None:
        if self.compression is not None and self.compression not in COMPRESSIONS:
            raise OptionError(f"compression={self.compression!r}: there is {', '.join(COMPRESSIONS)}")

    @property
    def extension(self) -> str:  # type: ignore[override]  # it depends on the compression
        return (".json" if self.as_json else ".txt") + (f".{self.compression}" if self.compression else "")

    def write(self, elements: Iterator[Any], path: Path) -> int:
        text = _to_json if self.as_json else str
        count = 0
        with path.open("xb") as plain, closing(_compressing(plain, self.compression)) as file:
            for batch in batches(elements):
                file.write("".join([f"{text(element)}\n" for element in batch]).encode("utf-8"))
                count += len(batch)
        return count


def _to_json(element: Any) -> str:
    try:
        return json.dumps(element, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        shown = repr(element)[:100]
        raise InputError(f"write_json: {shown} has no JSON form ({error}); map it to plain values first") from error


def _compressing(file: BinaryIO, compression: str | None) -> BinaryIO:
    if compression == "gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0))
    if compression == "bz2":
        return cast(BinaryIO, bz2.BZ2File(file, "wb"))
    if compression == "xz":
        return cast(BinaryIO, lzma.LZMAFile(file, "wb"))
    if compression == "zst":
        import pyarrow as pa

        return cast(BinaryIO, pa.CompressedOutputStream(pa.PythonFile(file, mode="w"), "zstd"))
    return file


@dataclass(frozen=True)
class ParquetPart(PartWriter):
    """A Parquet file of rows: dicts, or tuples in the order of the schema."""

    schema: Any
    extension = ".parquet"

    def write(self, elements: Iterator[Any], path: Path) -> int:
        import pyarrow.parquet as pq

        count = 0
        with pq.ParquetWriter(path, self.schema) as writer:
            for batch in record_batches(elements, self.schema):
                writer.write_batch(batch)
                count += batch.num_rows
        return count


@dataclass(frozen=True)
class RecordsPart(PartWriter):
    """An Arrow file with one column of bytes: no pickle, and any Arrow reads it."""

    extension = ".arrow"

    def write(self, elements: Iterator[Any], path: Path) -> int:
        import pyarrow as pa

        schema = pa.schema([pa.field(RECORD_COLUMN, pa.binary(), nullable=False)])
        count = 0
        with path.open("xb") as file, pa.ipc.new_file(file, schema) as writer:
            for batch in batches(elements):
                wrong = next((element for element in batch if not isinstance(element, bytes | bytearray)), None)
                if wrong is not None:
                    raise InputError(f"write_records takes bytes, not {wrong!r:.100}; encode elements first")
                writer.write_batch(pa.record_batch([pa.array(batch, pa.binary())], schema=schema))
                count += len(batch)
        return count


def record_batches(elements: Iterator[Any], schema: Any) -> Iterator[Any]:
    """Make Arrow record batches of rows: dicts, or tuples in the order of the schema.

    Raises InputError naming the row that does not fit.
    """
    import pyarrow as pa

    names = schema.names
    for batch in batches(elements, _ROWS_MAX):
        rows = [row if isinstance(row, dict) else _row(row, names) for row in batch]
        try:
            yield pa.RecordBatch.from_pylist(rows, schema=schema)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            for row in rows:
                _check_row(row, schema, error)
            raise InputError(f"rows do not fit the schema: {error}") from error


# Rows of a record batch at most.
_ROWS_MAX = 65_536


def _row(row: Any, names: list[str]) -> dict[str, Any]:
    if isinstance(row, tuple | list) and len(row) == len(names):
        return dict(zip(names, row, strict=True))
    raise InputError(f"{row!r:.100} is no row of {', '.join(names)}: give dicts, or tuples of {len(names)}")


def _check_row(row: dict[str, Any], schema: Any, cause: Exception) -> None:
    import pyarrow as pa

    for field in schema:
        try:
            pa.array([row.get(field.name)], field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            value = repr(row.get(field.name))[:100]
            raise InputError(f"{value} does not fit column {field.name!r}, which is {field.type}: {error}") from cause
