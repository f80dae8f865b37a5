"""Messages as bytes, between processes that trust one another with a token and with nothing else."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

from esker.cluster import messages as said
from esker.cluster.codec import (
    BYTES,
    DIGEST,
    FLAG,
    NUMBER,
    NUMBERS,
    TEXT,
    Bytes,
    Codec,
    CodecError,
    Reader,
    fields,
    many,
    pair,
)
from esker.errors import PeerError


class Addresses(NamedTuple):
    """Where nodes listen, for nodes that want to talk to one another; from the coordinator's process."""

    nodes: tuple[tuple[int, str], ...]


def _write_queries(out: list[Bytes], queries: tuple[said.Terms, ...]) -> None:
    out.append(_queries_bytes(queries))


@lru_cache(maxsize=4)
def _queries_bytes(queries: tuple[said.Terms, ...]) -> bytes:
    """A coordinator says the same to several nodes, one after the other."""
    flat: list[int] = [len(queries)]
    for terms in queries:
        flat.append(len(terms))
        for term in terms:
            flat.append(len(term))
            for one in term:
                flat += one
    return struct.pack(f"<I{len(flat)}q", len(flat), *flat)


def _read_queries(reader: Reader) -> tuple[said.Terms, ...]:
    count = reader.count(8)
    flat = iter(struct.unpack(f"<{count}q", reader.take(8 * count)))
    try:
        queries = tuple(
            [
                tuple([tuple([_range(next(flat), next(flat)) for _ in range(next(flat))]) for _ in range(next(flat))])
                for _ in range(next(flat))
            ]
        )
    except (StopIteration, RuntimeError) as error:
        raise CodecError("has queries that are cut off") from error
    if next(flat, None) is not None:
        raise CodecError("has numbers behind its queries")
    return queries


def _range(first: int, last: int) -> said.Range:
    if first > last:
        raise CodecError(f"has a range [{first},{last}] with no vector")
    return first, last


def _digest_or_none(out: list[Bytes], value: int | None) -> None:
    out.append(b"\x00" if value is None else b"\x01" + value.to_bytes(8, "little"))


def _read_digest_or_none(reader: Reader) -> int | None:
    there: bool = FLAG[1](reader)
    return int.from_bytes(reader.take(8), "little") if there else None


_QUERIES: Codec = (_write_queries, _read_queries)
_UNITS = many(TEXT)
_STATES = many(pair(TEXT, NUMBER, DIGEST))
_READS = many(fields(said.Read, NUMBER, NUMBER, TEXT, NUMBER))
_UNIT_WRITES = many(fields(said.UnitWrite, TEXT, NUMBER, DIGEST, FLAG, many(pair(NUMBER, BYTES))))
_SCHEMAS: dict[type[Any], tuple[Codec, ...]] = {
    said.Put: (NUMBER, many(fields(said.Write, TEXT, NUMBER, BYTES, FLAG)), many(pair(TEXT, NUMBER)), _UNITS),
    said.Done: (NUMBER,),
    said.Query: (NUMBER, _QUERIES, NUMBER, _UNITS, TEXT, TEXT, _UNITS),
    said.Answer: (NUMBER, many(pair(TEXT, NUMBER)), many(pair(TEXT, BYTES))),
    said.Failed: (NUMBER, TEXT, _UNITS, NUMBERS),
    said.Prepare: (NUMBER, NUMBERS, _UNIT_WRITES),
    said.Vote: (NUMBER, FLAG, many(pair(TEXT, (_digest_or_none, _read_digest_or_none)))),
    said.Outcome: (NUMBER, FLAG),
    said.Acknowledged: (NUMBER, NUMBER, _STATES),
    said.Inquire: (NUMBER, _UNITS),
    said.InquirePeer: (NUMBER,),
    said.Ping: (NUMBER,),
    said.Pong: (),
    said.Hello: (FLAG,),
    said.Compare: (NUMBER, NUMBER),
    said.Sums: (NUMBER, many(DIGEST)),
    said.Enumerate: (NUMBER, NUMBERS),
    said.Held: (NUMBER, _STATES),
    said.Welcome: (NUMBER,),
    said.Transfer: (NUMBER, many(pair(TEXT, NUMBER))),
    said.Copies: (many(fields(said.UnitCopy, TEXT, NUMBER, DIGEST, many(pair(NUMBER, NUMBER, BYTES)))),),
    said.Received: (NUMBER, _STATES, NUMBER),
    said.Discard: (_UNITS,),
    said.Discarded: (_UNITS,),
    said.Lacks: (NUMBER, _UNITS),
    said.Ask: (NUMBER, NUMBER, _QUERIES, _READS, many(pair(NUMBER, _READS))),
    said.Reply: (NUMBER, many(pair(NUMBER, NUMBER, TEXT, BYTES))),
    said.Refuse: (NUMBER, NUMBER),
    Addresses: (many(pair(NUMBER, TEXT)),),
    said.Reshape: (NUMBER, NUMBERS, _STATES, _STATES),
    said.Weigh: (),
    said.Weights: (many(pair(TEXT, NUMBER, NUMBER)),),
    said.Clear: (_UNITS,),
    said.Cleared: (_UNITS,),
}
_TYPES = tuple(_SCHEMAS)
_TAGS = {kind: tag for tag, kind in enumerate(_TYPES)}
_CODECS: dict[type[Any], Codec] = {kind: fields(kind, *schema) for kind, schema in _SCHEMAS.items()}
_HEAD = struct.Struct("<Bq")

Kinds = frozenset[type[Any]]

FROM_CLIENTS: Kinds = frozenset({said.Put, said.Query})
"""What a coordinator hears from clients."""

FROM_NODES: Kinds = frozenset(
    {said.Vote, said.Acknowledged, said.Inquire, said.Pong, said.Hello, said.Sums, said.Held, said.Received,
     said.Discarded, said.Cleared, said.Lacks, said.Reply, said.Refuse, said.Weights}
)  # fmt: skip
"""What a coordinator hears from nodes."""

FROM_COORDINATOR: Kinds = frozenset(
    {said.Prepare, said.Outcome, said.Ping, said.Compare, said.Enumerate, said.Welcome, said.Transfer, said.Discard,
     said.Clear, said.Ask, said.Reshape, said.Weigh, Addresses}
)  # fmt: skip
"""What a node hears from the coordinator."""

FROM_PEERS: Kinds = frozenset({said.Outcome, said.InquirePeer, said.Copies, said.Ask, said.Reply, said.Refuse})
"""What a node hears from other nodes."""

TO_CLIENTS: Kinds = frozenset({said.Done, said.Answer, said.Failed})
"""What a client hears."""


def encode(stamp: int, message: Any) -> bytes:
    """Give the bytes of a message and its stamp.

    >>> decode(encode(3, said.Done(7)), TO_CLIENTS)
    (3, Done(sequence=7))
    """
    kind = type(message)
    out: list[Bytes] = [_HEAD.pack(_TAGS[kind], stamp)]
    _CODECS[kind][0](out, message)
    return b"".join(out)


def decode(data: bytes, heard: Kinds) -> tuple[int, Any]:
    """Read a message of one of the kinds in `heard`; PeerError when the bytes are none."""
    reader = Reader(data)
    try:
        tag, stamp = _HEAD.unpack(reader.take(_HEAD.size))
        if tag >= len(_TYPES) or _TYPES[tag] not in heard:
            raise CodecError(f"is of type {tag}, which is not for us to hear: is the peer of another version?")
        message = _CODECS[_TYPES[tag]][1](reader)
        if reader.at != len(data):
            raise CodecError(f"has {len(data) - reader.at:,} bytes too many")
    except CodecError as error:
        raise PeerError(f"a message {error}") from error
    return stamp, message
