"""Say which line of a CSV file is at fault. Slow and thorough: it runs once, when reading has failed already."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, Protocol, cast

from esker.errors import InputFileError
from esker.formats.place import Place, open_binary


class CsvLike(Protocol):
    """What is known of the file when reading fails."""

    path: Place
    delimiter: str
    encoding: str


def explain(file: CsvLike, error: Exception) -> InputFileError:
    """Make the error of a failed read: file, line, column and what to do."""
    text = str(error)
    with suppress(OSError, EOFError, csv.Error, UnicodeError):
        if "UTF8" in text or isinstance(error, UnicodeError):
            return _bad_encoding(file)
        if re.search(r"Expected \d+ columns", text):
            return _ragged(file)
        if match := re.search(
            r"In CSV column #(\d+).*conversion error to (.+?): invalid value '(.*)'", text, re.DOTALL
        ):
            return _bad_value(file, int(match.group(1)), match.group(2), match.group(3))
    if "straddling" in text:
        return InputFileError(f"{file.path} has a record longer than a block; pass a larger block_bytes")
    return InputFileError(f"cannot read {file.path} as CSV: {text}")


def _bad_encoding(file: CsvLike) -> InputFileError:
    with _open(file.path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode(file.encoding)
            except UnicodeError:
                advice = "pass its encoding, e.g. encoding='latin-1'"
                return InputFileError(f"{file.path} line {number} is not {file.encoding}; {advice}")
    return InputFileError(f"{file.path} is not {file.encoding}; pass its encoding, e.g. encoding='latin-1'")


def _ragged(file: CsvLike) -> InputFileError:
    records = _records(file)
    _, header = next(records)
    for line, record in records:
        if len(record) != len(header):
            return InputFileError(
                f"{file.path} line {line} has {len(record)} fields, its first line {len(header)}; mend the line, or its"
                " quotes"
            )
    return InputFileError(f"{file.path}: its lines have different numbers of fields")


def _bad_value(file: CsvLike, column: int, type_: str, value: str) -> InputFileError:
    records = _records(file)
    _, header = next(records)
    name = header[column] if column < len(header) else f"#{column}"
    line = next((line for line, record in records if column < len(record) and record[column] == value), None)
    place = f"{file.path} line {line}" if line is not None else f"{file.path}"
    return InputFileError(
        f"{place}, column {name!r}: {value!r} is no {type_}; pass types={{{name!r}: 'string'}} (or another type),"
        " or null_values= if it stands for null"
    )


def _records(file: CsvLike) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not an empty line, with the line it begins at."""
    with _open(file.path) as raw:
        text = io.TextIOWrapper(raw, encoding=file.encoding, errors="replace", newline="")
        reader = csv.reader(text, delimiter=file.delimiter)
        first_line = 1
        for record in reader:
            if record:
                yield first_line, record
            first_line = reader.line_num + 1


def _open(path: Place) -> BinaryIO:
    file = open_binary(path)
    return cast(BinaryIO, gzip.open(file)) if path.name.lower().endswith(".gz") else file
