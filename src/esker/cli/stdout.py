"""Rows on stdout, batch by batch: CSV, JSON lines or an Arrow stream for a pipe, a table for a person."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv

from esker.cli.plain import cell, rows_of
from esker.errors import OptionError, UnsupportedTypeError

STDOUT_FORMATS = ("csv", "jsonl", "arrow")
SHOWN_ROWS = 20


def write_stdout(batches: Iterable[pa.RecordBatch], schema: pa.Schema, format: str, stdout: BinaryIO) -> int:
    """Write all rows in `format` as they come; returns their number.

    >>> out = io.BytesIO()
    >>> write_stdout([pa.record_batch({"n": [1, None]})], pa.schema({"n": pa.int64()}), "jsonl", out)
    2
    >>> out.getvalue()
    b'{"n": 1}\\n{"n": null}\\n'
    """
    if format not in STDOUT_FORMATS:
        raise OptionError(f"--format {format!r}; there is: {', '.join(STDOUT_FORMATS)}")
    encode = {"csv": _csv, "jsonl": _json_lines, "arrow": _arrow}[format]
    rows = 0

    def counted() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch

    for piece in encode(counted(), schema):
        stdout.write(piece)
    stdout.flush()
    return rows


def write_json_rows(batches: Iterable[pa.RecordBatch], stdout: Any) -> int:
    """Write all rows as a JSON array, one row a line; returns their number."""
    rows = 0
    stdout.write("[")
    for batch in batches:
        for row in rows_of(batch):
            stdout.write(("," if rows else "") + "\n    " + json.dumps(row))
            rows += 1
    stdout.write("\n  ]" if rows else "]")
    return rows


def first_rows(batches: Iterable[pa.RecordBatch], rows_max: int = SHOWN_ROWS) -> tuple[list[list[str]], bool]:
    """The first rows as cells, and whether there are more; reading stops there."""
    shown: list[list[str]] = []
    for batch in batches:
        part = batch.slice(0, rows_max - len(shown))
        shown += [[cell(value) for value in row.values()] for row in rows_of(part)]
        if part.num_rows < batch.num_rows:
            return shown, True
    return shown, False


def show_rows(rows: Iterable[Sequence[str]], schema: pa.Schema) -> None:
    """Print rows as a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for field in schema:
        table.add_column(Text(cell(field.name)), justify="right" if _is_number(field.type) else "left")
    for row in rows:
        # Text, so that no bracket in the data is taken for markup.
        table.add_row(*map(Text, row))
    Console(file=sys.stdout).print(table)


def _csv(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    def encode(table: pa.Table | pa.RecordBatch, header: bool) -> bytes:
        buffer = io.BytesIO()
        pacsv.write_csv(table, buffer, pacsv.WriteOptions(include_header=header))
        return buffer.getvalue()

    blob = next((field for field in schema if _is_binary(field.type)), None)
    if blob is not None:
        raise UnsupportedTypeError(
            f"column {blob.name!r} is {blob.type}, which CSV cannot hold; use --format jsonl or arrow"
        )
    try:
        yield encode(schema.empty_table(), True)
        for batch in batches:
            yield encode(batch, False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UnsupportedTypeError(f"CSV cannot hold these columns ({error}); use --format jsonl or arrow") from error


def _json_lines(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    for batch in batches:
        yield "".join(f"{json.dumps(row)}\n" for row in rows_of(batch)).encode()


def _arrow(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[bytes]:
    buffer = io.BytesIO()

    def taken() -> bytes:
        piece = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return piece

    with pa.ipc.new_stream(buffer, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield taken()
    yield taken()


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))
