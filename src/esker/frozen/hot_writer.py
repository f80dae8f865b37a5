"""Writing the hot columns: key files of the sidecar, in row-id order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from esker.core.checksum import checksum_bytes
from esker.core.file_system import FileSystem
from esker.frozen.groups import GroupBuffer
from esker.frozen.parquet_out import ParquetOut
from esker.frozen.records import HotPart

# Small enough that a candidate check reads little beside its rows, big enough to scan at full speed.
_GROUP_ROWS = 65_536
_PAGE_BYTES = 64 << 10
_PART_BYTES = 256 << 20


class HotWriter:
    """Take rows in row-id order and give key files, each published whole under its final name."""

    def __init__(
        self,
        schema: pa.Schema,
        folder: Path,
        name_part: Callable[[int], str],
        *,
        first_row: int,
        first_number: int,
        group_bytes: int,
        file_system: FileSystem,
    ) -> None:
        self._schema = schema
        self._folder = folder
        self._name_part = name_part
        self._first_number = first_number
        self._file_system = file_system
        self._buffer = GroupBuffer(_GROUP_ROWS, group_bytes)
        self._aside: AbstractContextManager[BinaryIO] | None = None
        self._out: ParquetOut | None = None
        self.row_stop = first_row
        self.parts: list[HotPart] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Append the hot columns of `batch`."""
        batch = batch.select(self._schema.names)
        while batch.num_rows:
            batch = batch.slice(self._buffer.take(batch))
            if self._buffer.full:
                self._write_group()

    def finish(self) -> None:
        """Publish the file that is open, if one is."""
        if self._buffer.row_count:
            self._write_group()
        if self._out is not None:
            self._publish()

    def abandon(self, error: BaseException) -> None:
        """Remove the file that is open."""
        if self._aside is not None:
            if self._out is not None:
                self._out.abandon()
            aside, self._aside, self._out = self._aside, None, None
            try:
                aside.__exit__(type(error), error, error.__traceback__)
            except BaseException as raised:
                if raised is not error:
                    raise

    def _write_group(self) -> None:
        if self._out is None:
            name = self._name_part(self._first_number + len(self.parts))
            self._aside = self._file_system.write_aside(self._folder / name)
            self._out = ParquetOut(
                self._aside.__enter__(),
                self._schema,
                statistics=self._schema.names,
                page_bytes=_PAGE_BYTES,
                file_system=self._file_system,
            )
        self._out.write_group(self._buffer.drain(self._schema))
        if self._out.size_bytes >= _PART_BYTES:
            self._publish()

    def _publish(self) -> None:
        assert self._out is not None and self._aside is not None
        footer, checksum = self._out.close()
        self._aside.__exit__(None, None, None)
        self.parts.append(
            HotPart(
                self._name_part(self._first_number + len(self.parts)),
                self.row_stop,
                self._out.row_count,
                self._out.size_bytes,
                checksum,
                checksum_bytes(footer),
            )
        )
        self.row_stop += self._out.row_count
        self._aside, self._out = None, None
