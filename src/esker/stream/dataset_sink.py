"""Elements that become rows of a Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.collection.read import from_arrow, read
from esker.core.batch import to_batches
from esker.errors import InputError
from esker.formats import FileWriter, open_writer
from esker.stream.run import Elements

ROWS = 1 << 16


async def consume_dataset(
    source: Elements[Any], path: Path | None, schema: pa.Schema | None, overwrite: bool
) -> Dataset:
    """Write elements to `path`, or hold them, and give the Dataset of their rows."""
    target: _File | _Held = _Held(schema) if path is None else _File(path, schema, overwrite)
    try:
        rows: list[Mapping[str, Any]] = []
        async for element in source:
            if isinstance(element, Mapping):
                rows.append(element)
                if len(rows) == ROWS:
                    await target.add(_of_rows(rows, target.schema))
                    rows = []
                continue
            if rows:
                await target.add(_of_rows(rows, target.schema))
                rows = []
            await target.add(_of_element(element))
        if rows:
            await target.add(_of_rows(rows, target.schema))
    except BaseException as error:
        target.give_up(error)
        raise
    return await target.finish()


def _of_rows(rows: list[Mapping[str, Any]], schema: pa.Schema | None) -> list[pa.RecordBatch]:
    try:
        return pa.Table.from_pylist(rows, schema).to_batches()  # type: ignore[no-any-return]  # pyarrow has no types
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
        raise InputError(f"Sink.dataset: rows do not fit into columns: {error}; pass schema=") from error


def _of_element(element: object) -> list[pa.RecordBatch]:
    if not hasattr(element, "__arrow_c_stream__") and not hasattr(element, "__arrow_c_array__"):
        raise InputError(
            f"Sink.dataset takes dicts, record batches or tables, not {type(element).__name__}; map elements before"
        )
    return list(to_batches(element))


class _Held:
    def __init__(self, schema: pa.Schema | None) -> None:
        self.schema = schema
        self._batches: list[pa.RecordBatch] = []

    async def add(self, batches: list[pa.RecordBatch]) -> None:
        for batch in batches:
            self.schema = self.schema or batch.schema
            self._batches.append(batch)

    def give_up(self, error: BaseException) -> None:
        self._batches.clear()

    async def finish(self) -> Dataset:
        _require_schema(self.schema)
        return from_arrow(pa.Table.from_batches(self._batches, self.schema))


class _File:
    def __init__(self, path: Path, schema: pa.Schema | None, overwrite: bool) -> None:
        self.schema = schema
        self._path = path
        self._overwrite = overwrite
        self._writer: FileWriter | None = None

    async def add(self, batches: list[pa.RecordBatch]) -> None:
        for batch in batches:
            self.schema = self.schema or batch.schema
            await anyio.to_thread.run_sync(self._write, batch)

    def _write(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = self._opened(batch.schema)
        self._writer.write(batch)

    def _opened(self, schema: pa.Schema) -> FileWriter:
        return open_writer(self._path, self.schema or schema, overwrite=self._overwrite).__enter__()

    def give_up(self, error: BaseException) -> None:
        if self._writer is not None:
            self._writer.__exit__(type(error), error, error.__traceback__)

    async def finish(self) -> Dataset:
        schema = _require_schema(self.schema)
        writer = self._writer or self._opened(schema)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(writer.__exit__, None, None, None)
        return read(self._path)


def _require_schema(schema: pa.Schema | None) -> pa.Schema:
    if schema is None:
        raise InputError("Sink.dataset: no element came to see the columns from; pass schema=")
    return schema
