"""Parquet footers, cut from the end of a file and kept beside the extents they describe."""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.checksum import checksum_bytes
from esker.core.extent import Extent
from esker.errors import CatalogCorruptError, PayloadCorruptError

_MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")  # length of the metadata before it, magic


def footer_length(tail: bytes, file: str) -> int:
    """Read from a file's last 8 bytes how many bytes its footer takes, the 8 included."""
    length, magic = _TAIL.unpack(tail)
    if magic != _MAGIC:
        raise PayloadCorruptError(f"{file}: no Parquet magic in its last 4 bytes")
    return int(length) + _TAIL.size


def read_footer(data: bytes) -> pq.FileMetaData:
    """Parse a footer: metadata, its length, magic."""
    return pq.read_metadata(pa.BufferReader(_MAGIC + data))


def checked_footer(data: bytes, checksum: str, extent: Extent) -> bytes:
    """Give back a footer of the catalogue when its checksum agrees with the extent's record."""
    if checksum_bytes(data) != checksum:
        raise CatalogCorruptError(
            f"{_place(extent)} is damaged: its checksum is {checksum_bytes(data)}, recorded is {checksum}"
        )
    return data


def parse_footer(data: bytes, checksum: str, extent: Extent) -> pq.FileMetaData:
    """Parse a footer of the catalogue once its checksum and row count agree with the extent's record."""
    place = _place(extent)
    try:
        footer = read_footer(checked_footer(data, checksum, extent))
    except (pa.ArrowInvalid, OSError) as error:
        raise CatalogCorruptError(f"{place} cannot be read: {error}") from error
    if footer.num_rows != extent.row_count:
        raise CatalogCorruptError(f"{place} counts {footer.num_rows} rows, the catalogue {extent.row_count}")
    return footer


def _place(extent: Extent) -> str:
    return f"the footer of extent {extent.key!r} in the catalogue"
