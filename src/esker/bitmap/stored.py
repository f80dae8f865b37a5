"""A vector as a file or message holds it: a checked header, then the encoded bytes (docs/formats/bitmap.md)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from esker.core.row_set import ROW_ID_STOP
from esker.errors import BitmapCorruptError

# magic and version | encoding and version | rows | rows set | bytes of data | 0 | CRC-32 of all else
_HEADER = struct.Struct("<8s16sQQQII")
_MAGIC = b"ESKBITS1"


@dataclass(frozen=True)
class StoredVector:
    """The encoded rows and what one must know to decode them.

    >>> StoredVector.from_bytes(StoredVector("wah32.1", 31, 1, memoryview(bytes([1, 0, 0, 0]))).to_bytes()).row_count
    31
    """

    encoding: str
    row_count: int
    count: int
    data: memoryview

    def to_bytes(self) -> bytes:
        """Write header and data."""
        head = (_MAGIC, self.encoding.encode("ascii"), self.row_count, self.count, self.data.nbytes, 0)
        checksum = zlib.crc32(self.data, zlib.crc32(_HEADER.pack(*head, 0)))
        return b"".join((_HEADER.pack(*head, checksum), self.data))

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, place: str = "bitmap") -> StoredVector:
        """Check header and checksum; the rows themselves are the encoding's to check."""
        view = memoryview(data)
        if len(view) < _HEADER.size:
            raise BitmapCorruptError(f"{place}: {len(view)} bytes are too few for a bitmap")
        *head, checksum = _HEADER.unpack_from(view)
        magic, encoding, row_count, count, data_bytes, reserved = head
        if magic != _MAGIC or reserved:
            raise BitmapCorruptError(f"{place}: not a bitmap of version 1")
        body = view[_HEADER.size :]
        if len(body) != data_bytes:
            raise BitmapCorruptError(f"{place}: {len(body)} bytes of data where {data_bytes} were stored")
        if zlib.crc32(body, zlib.crc32(_HEADER.pack(*head, 0))) != checksum:
            raise BitmapCorruptError(f"{place}: the checksum is wrong")
        if not count <= row_count <= ROW_ID_STOP:
            raise BitmapCorruptError(f"{place}: {count} rows set of {row_count}")
        return cls(encoding.rstrip(b"\0").decode("ascii", "replace"), row_count, count, body)
