"""What nodes and the coordinator write into their logs, and the bytes of it (docs/formats/cluster-log.md)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from esker.cluster.messages import UnitCopy, UnitWrite
from esker.errors import LogCorruptError

# ---- of a node ----


class Prepared(NamedTuple):
    """Writes that will be committed when the coordinator says so; forced before the vote."""

    version: int
    peers: tuple[int, ...]
    writes: tuple[UnitWrite, ...]


class Ended(NamedTuple):
    """How a transaction ended here; of one that was never prepared: a promise to refuse it."""

    version: int
    commit: bool


class Kept(NamedTuple):
    """Units that came whole."""

    units: tuple[UnitCopy, ...]


class Partial(NamedTuple):
    """Of a checkpoint: a unit of which only commits (base, version) are here, not what came before them."""

    unit: UnitCopy
    deltas: tuple[tuple[int, int], ...]


class Gone(NamedTuple):
    """Units that were discarded."""

    units: tuple[str, ...]


class Seen(NamedTuple):
    """The latest epoch heard of."""

    epoch: int


class Born(NamedTuple):
    """The epoch in which this disk, empty before, joined: of transactions before it this node knows nothing."""

    epoch: int


# ---- of the coordinator ----


class Members(NamedTuple):
    """An epoch and who is on the ring in it; forced before anything is said in its name."""

    epoch: int
    nodes: tuple[int, ...]


class Decided(NamedTuple):
    """A commit: forced before anyone is told. Aborts are not written: what is not here was aborted."""

    version: int
    client: int
    sequence: int
    participants: tuple[int, ...]
    units: tuple[tuple[str, int], ...]


class Settled(NamedTuple):
    """Every participant has the commit, or left."""

    version: int


class Catalogue(NamedTuple):
    """Of a checkpoint: units with version and digest, and the last put of each client."""

    units: tuple[tuple[str, int, int], ...]
    sessions: tuple[tuple[int, int], ...]


Record = Prepared | Ended | Kept | Partial | Gone | Seen | Born | Members | Decided | Settled | Catalogue

_TYPES: tuple[type[Any], ...] = (
    Prepared, Ended, Kept, Partial, Gone, Seen, Born, Members, Decided, Settled, Catalogue,
)  # fmt: skip
_TAGS = {kind: tag for tag, kind in enumerate(_TYPES)}


# ---- bytes: a schema for each type; integers are 8 bytes, texts and bytes have their length before them ----


class _Reader:
    """Takes values from bytes that nobody vouches for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise LogCorruptError(f"a log record ends within a value of {count:,} bytes at byte {self.at:,}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self) -> int:
        return int.from_bytes(self.take(8), "little", signed=True)

    def count(self) -> int:
        count = int.from_bytes(self.take(4), "little")
        # Every item takes at least a byte: a length beyond the rest is damage, and must not become an allocation.
        if count > len(self.data) - self.at:
            raise LogCorruptError(f"a log record counts {count:,} items with {len(self.data) - self.at:,} bytes left")
        return count


_Write = Callable[[list[bytes], Any], None]
_Read = Callable[[_Reader], Any]
_Codec = tuple[_Write, _Read]


def _write_number(out: list[bytes], value: int) -> None:
    out.append(value.to_bytes(8, "little", signed=True))


def _write_digest(out: list[bytes], value: int) -> None:
    out.append(value.to_bytes(8, "little"))


def _read_digest(reader: _Reader) -> int:
    return int.from_bytes(reader.take(8), "little")


def _write_flag(out: list[bytes], value: bool) -> None:
    out.append(b"\x01" if value else b"\x00")


def _read_flag(reader: _Reader) -> bool:
    byte = reader.take(1)
    if byte not in (b"\x00", b"\x01"):
        raise LogCorruptError(f"a log record has {byte!r} where a flag should be")
    return byte == b"\x01"


def _write_bytes(out: list[bytes], value: bytes) -> None:
    out.append(struct.pack("<I", len(value)))
    out.append(value)


def _write_text(out: list[bytes], value: str) -> None:
    _write_bytes(out, value.encode())


def _read_text(reader: _Reader) -> str:
    data = reader.take(reader.count())
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise LogCorruptError(f"a log record has a text that is not UTF-8: {data[:40]!r}") from error


_NUMBER: _Codec = (_write_number, _Reader.number)
_DIGEST: _Codec = (_write_digest, _read_digest)
_FLAG: _Codec = (_write_flag, _read_flag)
_BYTES: _Codec = (_write_bytes, lambda reader: reader.take(reader.count()))
_TEXT: _Codec = (_write_text, _read_text)


def _fields(make: Callable[..., Any], *codecs: _Codec) -> _Codec:
    def write(out: list[bytes], value: Any) -> None:
        for (write_field, _), field in zip(codecs, value, strict=True):
            write_field(out, field)

    def read(reader: _Reader) -> Any:
        return make(*[read_field(reader) for _, read_field in codecs])

    return write, read


def _many(item: _Codec) -> _Codec:
    write_item, read_item = item

    def write(out: list[bytes], values: tuple[Any, ...]) -> None:
        out.append(struct.pack("<I", len(values)))
        for value in values:
            write_item(out, value)

    def read(reader: _Reader) -> tuple[Any, ...]:
        return tuple([read_item(reader) for _ in range(reader.count())])

    return write, read


def _tuple(*codecs: _Codec) -> _Codec:
    return _fields(lambda *values: values, *codecs)


_UNIT_WRITE = _fields(UnitWrite, _TEXT, _NUMBER, _DIGEST, _FLAG, _many(_tuple(_NUMBER, _BYTES)))
_UNIT_COPY = _fields(UnitCopy, _TEXT, _NUMBER, _DIGEST, _many(_tuple(_NUMBER, _NUMBER, _BYTES)))
_CODECS: dict[type[Any], _Codec] = {
    Prepared: _fields(Prepared, _NUMBER, _many(_NUMBER), _many(_UNIT_WRITE)),
    Ended: _fields(Ended, _NUMBER, _FLAG),
    Kept: _fields(Kept, _many(_UNIT_COPY)),
    Partial: _fields(Partial, _UNIT_COPY, _many(_tuple(_NUMBER, _NUMBER))),
    Gone: _fields(Gone, _many(_TEXT)),
    Seen: _fields(Seen, _NUMBER),
    Born: _fields(Born, _NUMBER),
    Members: _fields(Members, _NUMBER, _many(_NUMBER)),
    Decided: _fields(Decided, _NUMBER, _NUMBER, _NUMBER, _many(_NUMBER), _many(_tuple(_TEXT, _DIGEST))),
    Settled: _fields(Settled, _NUMBER),
    Catalogue: _fields(Catalogue, _many(_tuple(_TEXT, _NUMBER, _DIGEST)), _many(_tuple(_NUMBER, _NUMBER))),
}


def encode(record: Record) -> bytes:
    """Give the bytes of a record.

    >>> decode(encode(Ended(7, True)))
    Ended(version=7, commit=True)
    """
    out = [_TAGS[type(record)].to_bytes(1, "little")]
    _CODECS[type(record)][0](out, record)
    return b"".join(out)


def decode(data: bytes) -> Record:
    """Read a record back; LogCorruptError when the bytes are no record, or more than one."""
    reader = _Reader(data)
    tag = reader.take(1)[0]
    if tag >= len(_TYPES):
        raise LogCorruptError(f"a log record of unknown type {tag}: written by a later Esker?")
    record: Record = _CODECS[_TYPES[tag]][1](reader)
    if reader.at != len(data):
        raise LogCorruptError(f"a log record of {reader.at:,} bytes has {len(data) - reader.at:,} more behind it")
    return record
