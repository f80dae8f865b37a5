"""Values as bytes, field by field: what the records of logs and the messages between processes are written with."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

Bytes = bytes | memoryview


class CodecError(ValueError):
    """Bytes that are not what they should be; whoever asked for them says of what file or peer."""


class Reader:
    """Takes values from bytes that nobody vouches for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """Give the next bytes."""
        if count > len(self.data) - self.at:
            raise CodecError(f"ends within a value of {count:,} bytes at byte {self.at:,}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        """Give a signed integer of 8 bytes."""
        return int.from_bytes(self.take(8), "little", signed=True)

    def count(self, least_bytes: int = 1) -> int:
        """Give how many items come, each of at least so many bytes: a count beyond that must not be allocated for."""
        count = int.from_bytes(self.take(4), "little")
        if count * least_bytes > len(self.data) - self.at:
            raise CodecError(f"counts {count:,} items with {len(self.data) - self.at:,} bytes left")
        return count


Write = Callable[[list[Bytes], Any], None]
Read = Callable[[Reader], Any]
Codec = tuple[Write, Read]


def _write_number(out: list[Bytes], value: int) -> None:
    out.append(value.to_bytes(8, "little", signed=True))


def _write_digest(out: list[Bytes], value: int) -> None:
    out.append(value.to_bytes(8, "little"))


def _read_digest(reader: Reader) -> int:
    return int.from_bytes(reader.take(8), "little")


def _write_flag(out: list[Bytes], value: bool) -> None:
    out.append(b"\x01" if value else b"\x00")


def _read_flag(reader: Reader) -> bool:
    byte = reader.take(1)
    if byte not in (b"\x00", b"\x01"):
        raise CodecError(f"has {byte!r} where a flag should be")
    return byte == b"\x01"


def _write_bytes(out: list[Bytes], value: Bytes) -> None:
    out.append(struct.pack("<I", len(value)))
    out.append(value)


def _write_text(out: list[Bytes], value: str) -> None:
    _write_bytes(out, value.encode())


def _read_text(reader: Reader) -> str:
    data = reader.take(reader.count())
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise CodecError(f"has a text that is not UTF-8: {data[:40]!r}") from error


NUMBER: Codec = (_write_number, Reader.number)
DIGEST: Codec = (_write_digest, _read_digest)
FLAG: Codec = (_write_flag, _read_flag)
BYTES: Codec = (_write_bytes, lambda reader: reader.take(reader.count()))
TEXT: Codec = (_write_text, _read_text)


def fields(make: Callable[..., Any], *codecs: Codec) -> Codec:
    """One after the other, made into something by `make`."""

    def write(out: list[Bytes], value: Any) -> None:
        for (write_field, _), field in zip(codecs, value, strict=True):
            write_field(out, field)

    def read(reader: Reader) -> Any:
        return make(*[read_field(reader) for _, read_field in codecs])

    return write, read


def many(item: Codec) -> Codec:
    """A tuple of any length, its length first."""
    write_item, read_item = item

    def write(out: list[Bytes], values: tuple[Any, ...]) -> None:
        out.append(struct.pack("<I", len(values)))
        for value in values:
            write_item(out, value)

    def read(reader: Reader) -> tuple[Any, ...]:
        return tuple([read_item(reader) for _ in range(reader.count())])

    return write, read


def pair(*codecs: Codec) -> Codec:
    """A tuple of fields."""
    return fields(lambda *values: values, *codecs)


def _write_numbers(out: list[Bytes], values: tuple[int, ...]) -> None:
    out.append(struct.pack(f"<I{len(values)}q", len(values), *values))


def _read_numbers(reader: Reader) -> tuple[int, ...]:
    count = reader.count(8)
    return struct.unpack(f"<{count}q", reader.take(8 * count))


NUMBERS: Codec = (_write_numbers, _read_numbers)
"""Signed integers, all at once: the same bytes as `many(NUMBER)`, and quicker."""


def pack(values: Sequence[Bytes]) -> bytes:
    """Put any number of byte strings into one.

    >>> unpack(pack([b"", b"two"]))
    [b'', b'two']
    """
    return b"".join([struct.pack(f"<I{len(values)}I", len(values), *map(len, values)), *values])


def unpack(data: Bytes) -> list[bytes]:
    """Take them apart again; CodecError for other bytes."""
    reader = Reader(bytes(data))
    count = reader.count(4)
    lengths = struct.unpack(f"<{count}I", reader.take(4 * count))
    values = [reader.take(length) for length in lengths]
    if reader.at != len(reader.data):
        raise CodecError(f"has {len(reader.data) - reader.at:,} bytes behind its last value")
    return values
