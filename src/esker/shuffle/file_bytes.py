"""Bytes of files over Arrow Flight, for what is no page of Arrow: a part of a file that a page server keeps.

A reader asks for so many bytes as it has credit for, and for the next when it has written these away.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import flight

from esker.errors import CorruptError, PeerError
from esker.runtime.flight import FlightAsker, Limits, Security, call_options, peer_errors

# What a reader asks for at once, and how much of it travels as one batch.
CREDIT_BYTES = 8 << 20
_BATCH_BYTES = 1 << 20
_TICKET_BYTES_MAX = 1 << 10
_SCHEMA = pa.schema([pa.field("bytes", pa.binary(), nullable=False)])
# The shuffle, then words of ours and numbers: never a folder.
_NAME = re.compile(r"[0-9a-f]{1,32}(?:-[0-9a-z]{1,32}){1,12}")


class FilePart(NamedTuple):
    """Bytes `begin` to `end` of the file `name` of a node, and their CRC-32."""

    node: str
    name: str
    begin: int
    end: int
    checksum: int


def is_ticket(data: bytes) -> bool:
    """Whether a ticket is for bytes of a file, if it is for anything."""
    return data.startswith(b'{"file"') and len(data) <= _TICKET_BYTES_MAX


def sent(folder: Path, data: bytes) -> flight.FlightDataStream:
    """Answer a ticket; nothing in it is believed."""
    try:
        asked = json.loads(data)
        name, begin, end = asked["file"], asked["begin"], asked["end"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError("it names no file of a shuffle")
        if not all(type(place) is int for place in (begin, end)) or not 0 <= begin < end <= begin + CREDIT_BYTES:
            raise ValueError("it asks for no bytes, or for too many")
    except (ValueError, KeyError, TypeError) as error:
        raise flight.FlightServerError(f"not a ticket for bytes of a file: {error}") from error
    try:
        fd = os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        raise flight.FlightServerError(f"there is no {name}") from None
    return flight.GeneratorStream(_SCHEMA, _batches(fd, name, begin, end))


def _batches(fd: int, name: str, begin: int, end: int) -> Iterator[pa.RecordBatch]:
    with os.fdopen(fd, "rb", buffering=0) as file:
        file.seek(begin)
        while begin < end:
            data = file.read(min(_BATCH_BYTES, end - begin))
            if not data:
                raise flight.FlightServerError(f"{name} ends before byte {end:,}")
            begin += len(data)
            yield pa.record_batch([pa.array([data], pa.binary())], schema=_SCHEMA)


class FileReader:
    """Reads parts of files of other nodes; a context manager.

    Raises PeerError for what does not come, CorruptError for what is not what was written.
    """

    def __init__(
        self, client_of: Callable[[str], FlightAsker], security: Security, limits: Limits | None = None
    ) -> None:
        self._client_of = client_of
        self._security = security
        self._limits = limits or Limits()
        self._clients: dict[str, FlightAsker] = {}

    def read(self, part: FilePart) -> Iterator[bytes]:
        """Yield the bytes of a part, the last of them only when all are right."""
        checksum, held = 0, b""
        for begin in range(part.begin, part.end, CREDIT_BYTES):
            for data in self._asked(part, begin, min(begin + CREDIT_BYTES, part.end)):
                if held:
                    yield held
                held = data
                checksum = zlib.crc32(data, checksum)
        if checksum != part.checksum:
            raise CorruptError(f"{part.name} of node {part.node[:12]} is not what was written there")
        if held:
            yield held

    def close(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _asked(self, part: FilePart, begin: int, end: int) -> list[bytes]:
        where = f"the page server of node {part.node[:12]}"
        ticket = flight.Ticket(json.dumps({"file": part.name, "begin": begin, "end": end}).encode())
        options = call_options(self._security, self._limits.deadline_seconds)
        found: list[bytes] = []
        left = end - begin
        with peer_errors(where):
            for chunk in self._client(part.node).do_get(ticket, options):
                data = _bytes_of(chunk, where)
                left -= len(data)
                if left < 0:
                    break
                found.append(data)
        if left:
            raise PeerError(f"{where} gave other bytes of {part.name} than it was asked for")
        return found

    def _client(self, node: str) -> FlightAsker:
        if node not in self._clients:
            self._clients[node] = self._client_of(node)
        return self._clients[node]


def _bytes_of(chunk: Any, where: str) -> bytes:
    batch = chunk.data
    if batch is None or batch.schema != _SCHEMA or batch.num_rows != 1:
        raise PeerError(f"{where} sent something else than bytes")
    data: bytes = batch.column(0)[0].as_py()
    return data
