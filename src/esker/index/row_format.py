"""What holds the rows of an index, so that they are reachable by row id: written once, then read at random."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.core.file_system import FileSystem
from esker.core.row_set import RowSet


@dataclass(frozen=True)
class RowFile:
    """A written file of rows; `detail` is plain JSON and belongs to its format."""

    file: str
    row_count: int
    bytes: int
    checksum: str
    detail: Mapping[str, Any]


class ReadPrice(NamedTuple):
    """What a read takes: bytes and requests."""

    bytes: int
    requests: int

    def within(self, other: ReadPrice) -> bool:
        """Whether it takes no more of either."""
        return self.bytes <= other.bytes and self.requests <= other.requests

    def plus(self, other: ReadPrice) -> ReadPrice:
        """Both together."""
        return ReadPrice(self.bytes + other.bytes, self.requests + other.requests)


class RowReader(ABC):
    """An open file of rows; row ids count from 0. Threads may share it."""

    @abstractmethod
    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        """Yield columns of rows, in row-id order."""

    def fetch_bitmap(self, rows: Bitmap, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        """Yield columns of the rows of a bitmap, in row-id order."""
        wanted = rows.rows()
        with context.budget.reserve("row set", wanted.nbytes):
            yield from self.fetch(wanted, columns, context)

    @abstractmethod
    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[pa.RecordBatch]:
        """Yield columns of all rows."""

    @abstractmethod
    def fetch_price(self, rows: RowSet, columns: Sequence[str]) -> ReadPrice:
        """Say what `fetch` reads: no more than `scan` of the same columns."""

    @abstractmethod
    def price_at_most(self, row_count: int, columns: Sequence[str]) -> ReadPrice:
        """Say what `fetch` of so many rows reads at most, wherever they lie."""

    @abstractmethod
    def scan_price(self, columns: Sequence[str]) -> ReadPrice:
        """Say what `scan` reads."""

    @abstractmethod
    def verify(self) -> None:
        """Read every byte; raises PayloadCorruptError for damage."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; calling it again does nothing."""


class RowFormat(ABC):
    """A way to hold rows in a file."""

    name: ClassVar[str]
    suffix: ClassVar[str]

    @abstractmethod
    def write(
        self,
        batches: Iterator[pa.RecordBatch],
        schema: pa.Schema,
        path: Path,
        context: QueryContext,
        file_system: FileSystem,
    ) -> RowFile:
        """Write rows aside and publish them; a file without rows is not written, and has no name."""

    @abstractmethod
    def open(self, folder: Path, file: RowFile, schema: pa.Schema) -> RowReader:
        """Open a file that was written with `schema`; raises PayloadCorruptError when it is not the one recorded."""
