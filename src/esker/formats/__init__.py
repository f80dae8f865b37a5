"""The file format family: how rows come out of files, and go into them.

    open_files("flights/*.parquet") -> FileSource     fragments, streamed batches, statistics, byte ranges
    open_writer("out.csv", schema)  -> FileWriter     aside, synced, renamed; nothing is left of a failure

The extension decides the format, or `format=`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from esker.core.family import Family
from esker.core.file_system import LOCAL, FileSystem
from esker.errors import InputFileError, OptionError
from esker.formats.format import FileWriter, Format
from esker.formats.locate import Where, find_files, format_of
from esker.formats.place import Place
from esker.formats.source import ColumnStatistics, DataFile, FileSource, Fragment

FORMATS: Family[Format] = Family(
    "format",
    {
        "parquet": "esker.formats.parquet:FORMAT",
        "csv": "esker.formats.csv:FORMAT",
        "arrow": "esker.formats.arrow:FORMAT",
    },
)


def open_files(where: Where, *, format: str | None = None, **options: Any) -> FileSource:
    """Open a file, a folder, a glob or a list of these, here or on a tier, as one table.

    Raises InputFileError for what is missing, unreadable or of unknown format, SchemaMismatchError for files that
    differ in columns or types. Options are those of the format: CSV has some, the others none.
    """
    formats = [FORMATS[format]] if format is not None else [found for _, found in FORMATS.items()]
    paths = find_files(where, formats)
    return (formats[0] if format is not None else _common_format(paths, formats)).open(paths, **options)


def open_writer(
    path: str | Path,
    schema: pa.Schema,
    *,
    format: str | None = None,
    overwrite: bool = False,
    file_system: FileSystem = LOCAL,
    **options: Any,
) -> FileWriter:
    """Make a writer for `path`: `with open_writer(path, schema) as writer: writer.write(batch)`."""
    target = Path(path).expanduser()
    chosen = FORMATS[format] if format is not None else format_of(target, [found for _, found in FORMATS.items()])
    if chosen is None:
        raise OptionError(f"cannot tell the format of {target} by its name; use {_extensions()}, or pass format=")
    return chosen.writer(target, schema, overwrite=overwrite, file_system=file_system, **options)


def _common_format(paths: list[Place], formats: list[Format]) -> Format:
    first = format_of(paths[0], formats)
    for path in paths:
        found = format_of(path, formats)
        if found is None:
            raise InputFileError(f"cannot tell the format of {path} by its name; use {_extensions()}, or pass format=")
        if first is not None and found is not first:
            raise InputFileError(
                f"{paths[0]} is {first.name}, but {path} is {found.name}; read one format at a time, or pass format="
            )
    assert first is not None
    return first


def _extensions() -> str:
    return ", ".join(extension for _, format_ in FORMATS.items() for extension in format_.extensions)


__all__ = [
    "FORMATS",
    "ColumnStatistics",
    "DataFile",
    "FileSource",
    "FileWriter",
    "Format",
    "Fragment",
    "open_files",
    "open_writer",
]
