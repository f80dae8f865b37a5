"""What nodes and the coordinator write into their logs, and the bytes of it (docs/formats/cluster-log.md)."""

from __future__ import annotations

from typing import Any, NamedTuple

from esker.cluster.codec import (
    BYTES,
    DIGEST,
    FLAG,
    NUMBER,
    NUMBERS,
    TEXT,
    Codec,
    CodecError,
    Reader,
    fields,
    many,
    pair,
)
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


class Forgotten(NamedTuple):
    """Of a checkpoint: sessions up to this one that are not in the catalogue may have had puts done."""

    session: int


class Dropped(NamedTuple):
    """Prefixes whose units are gone with the commit of a version, the `Decided` that follows; without it, void."""

    version: int
    prefixes: tuple[str, ...]


class Filed(NamedTuple):
    """Of a node's checkpoint: a whole unit, most of whose values lie in segment files.

    `filed` are (vector, version of it, segment, offset, bytes); `entries` those that are here, as in a `Kept`.
    """

    unit: str
    version: int
    digest: int
    filed: tuple[tuple[int, int, int, int, int], ...]
    entries: tuple[tuple[int, int, bytes], ...]


Record = (
    Prepared
    | Ended
    | Kept
    | Partial
    | Gone
    | Seen
    | Born
    | Members
    | Decided
    | Settled
    | Catalogue
    | Filed
    | Forgotten
    | Dropped
)

_TYPES: tuple[type[Any], ...] = (
    Prepared, Ended, Kept, Partial, Gone, Seen, Born, Members, Decided, Settled, Catalogue,
    Filed, Forgotten, Dropped,
)  # fmt: skip
_TAGS = {kind: tag for tag, kind in enumerate(_TYPES)}


# ---- bytes: a schema for each type ----

_UNIT_WRITE = fields(UnitWrite, TEXT, NUMBER, DIGEST, FLAG, many(pair(NUMBER, BYTES)))
_UNIT_COPY = fields(UnitCopy, TEXT, NUMBER, DIGEST, many(pair(NUMBER, NUMBER, BYTES)))
_CODECS: dict[type[Any], Codec] = {
    Prepared: fields(Prepared, NUMBER, NUMBERS, many(_UNIT_WRITE)),
    Ended: fields(Ended, NUMBER, FLAG),
    Kept: fields(Kept, many(_UNIT_COPY)),
    Partial: fields(Partial, _UNIT_COPY, many(pair(NUMBER, NUMBER))),
    Gone: fields(Gone, many(TEXT)),
    Seen: fields(Seen, NUMBER),
    Born: fields(Born, NUMBER),
    Members: fields(Members, NUMBER, NUMBERS),
    Decided: fields(Decided, NUMBER, NUMBER, NUMBER, NUMBERS, many(pair(TEXT, DIGEST))),
    Settled: fields(Settled, NUMBER),
    Forgotten: fields(Forgotten, NUMBER),
    Dropped: fields(Dropped, NUMBER, many(TEXT)),
    Filed: fields(
        Filed,
        TEXT,
        NUMBER,
        DIGEST,
        many(pair(NUMBER, NUMBER, NUMBER, NUMBER, NUMBER)),
        many(pair(NUMBER, NUMBER, BYTES)),
    ),
    Catalogue: fields(Catalogue, many(pair(TEXT, NUMBER, DIGEST)), many(pair(NUMBER, NUMBER))),
}


def encode(record: Record) -> bytes:
    """Give the bytes of a record.

    >>> decode(encode(Ended(7, True)))
    Ended(version=7, commit=True)
    """
    out: list[bytes | memoryview] = [_TAGS[type(record)].to_bytes(1, "little")]
    _CODECS[type(record)][0](out, record)
    return b"".join(out)


def decode(data: bytes) -> Record:
    """Read a record back; LogCorruptError when the bytes are no record, or more than one."""
    reader = Reader(data)
    try:
        tag = reader.take(1)[0]
        if tag >= len(_TYPES):
            raise LogCorruptError(f"a log record of unknown type {tag}: written by a later Esker?")
        record: Record = _CODECS[_TYPES[tag]][1](reader)
    except CodecError as error:
        raise LogCorruptError(f"a log record {error}") from error
    if reader.at != len(data):
        raise LogCorruptError(f"a log record of {reader.at:,} bytes has {len(data) - reader.at:,} more behind it")
    return record
