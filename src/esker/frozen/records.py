"""What the catalogue records: parts of hot columns, extents of payload, segments of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.extent import Extent
from esker.frozen.footer import checked_footer, parse_footer

FORMAT_VERSION = 1

CATALOG_FILE = "catalog.db"
KEYS_FOLDER = "keys"
INDEX_FOLDER = "index"


@dataclass(frozen=True)
class HotPart:
    """A key file: rows `first_row` on of the hot columns, `file` in the folder `keys/`."""

    file: str
    first_row: int
    row_count: int
    bytes: int
    checksum: str
    footer_checksum: str

    @property
    def row_stop(self) -> int:
        """One past the last row id."""
        return self.first_row + self.row_count


@dataclass(frozen=True)
class FrozenExtent:
    """A payload object and its last bytes, so that a plan reads nothing from the tier.

    Those are its Parquet footer and, before it, its offset indexes; data sets of older Eskers have the footer alone.
    """

    extent: Extent
    footer_checksum: str
    read_footer: Callable[[], bytes] = field(repr=False, compare=False)

    @cached_property
    def footer(self) -> pq.FileMetaData:
        """The Parquet footer, read from the catalogue and checked on first use."""
        return parse_footer(self.read_footer(), self.footer_checksum, self.extent)

    @property
    def tail(self) -> bytes:
        """The last bytes, read from the catalogue and checked; not kept."""
        return checked_footer(self.read_footer(), self.footer_checksum, self.extent)


@dataclass(frozen=True)
class IndexSegment:
    """A file of the index in the folder `index/`; `spec` is plain JSON and belongs to the index."""

    file: str
    column: str
    kind: str
    bytes: int
    checksum: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Description:
    """What holds for the data set as a whole; `options` are those an append repeats."""

    dataset_id: str
    name: str
    schema: pa.Schema
    hot_columns: tuple[str, ...]
    row_count: int
    tier_uri: str
    payload_prefix: str
    created_seconds: float
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Contents:
    """All that one committed state of the catalogue says, footers aside."""

    description: Description
    parts: tuple[HotPart, ...] = ()
    extents: tuple[FrozenExtent, ...] = ()
    segments: tuple[IndexSegment, ...] = ()


@dataclass(frozen=True)
class Writing:
    """A write that was begun: its token is in the name of every file and object it makes."""

    token: str
    tier_uri: str
    payload_prefix: str
    started_seconds: float


def object_key(prefix: str, number: int, token: str) -> str:
    """Name a payload object: which of the data set's it is, and which write made it.

    >>> object_key("sales", 3, "9f86d081")
    'sales/part-00003.9f86d081.parquet'
    """
    return f"{prefix}/{part_name(number, token)}"


def part_name(number: int, token: str) -> str:
    """Name a key file the same way."""
    return f"part-{number:05d}.{token}.parquet"


class SegmentLike(Protocol):
    """What is recorded of a segment of the index: an index builder returns it, a catalogue gives it back."""

    @property
    def file(self) -> str: ...
    @property
    def column(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def bytes(self) -> int: ...
    @property
    def checksum(self) -> str: ...
    @property
    def spec(self) -> Any: ...


# Called with all hot rows in row-id order, their number and the folder to write immutable segment files to.
IndexBuilder = Callable[[Iterator[pa.RecordBatch], int, Path], Sequence[SegmentLike]]
