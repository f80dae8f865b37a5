"""An extent: the unit in which payload is placed, recalled and checked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class ByteRange:
    """Bytes `start` to `stop` (exclusive) of a stored object."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.stop - self.start


@dataclass(frozen=True)
class Extent:
    """One payload object: rows `first_row` to `first_row + row_count` of a frozen data set, under `key` on a tier.

    `checksum` is "crc32c:<8 hex digits>" or another algorithm's name and digest; `bytes` is the object's length.
    """

    key: str
    first_row: int
    row_count: int
    bytes: int
    checksum: str

    @property
    def row_stop(self) -> int:
        """One past the last row id."""
        return self.first_row + self.row_count
