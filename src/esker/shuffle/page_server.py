"""Pages of a shuffle over Arrow Flight: a server for each node, and the reader that asks them.

A reader asks for some pages of one file at a time and for the next when it has used them: the bytes it asks for are
its credit, and no server makes or holds more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import flight

from esker.errors import CorruptError, PagesLostError, PeerError
from esker.runtime.flight import (
    FlightAsker,
    Limits,
    Security,
    ServerAddress,
    call_options,
    open_client,
    peer_errors,
    server_options,
)
from esker.shuffle import file_bytes
from esker.shuffle.page_file import Page, PageFile, PageId, Segment, credits_of, received

# What a reader asks for at once.
CREDIT_BYTES = 8 << 20
_NAME = re.compile(r"[0-9a-f]{1,32}-[0-9]{1,9}-[0-9a-f]{1,32}")
_PAGES_MAX = 1 << 16
_TICKET_BYTES_MAX = 4 << 20


@dataclass(frozen=True)
class Place:
    """Where a node keeps pages: a folder there, and the address of the server that reads it (none: this machine)."""

    folder: str
    location: str = ""


@dataclass(frozen=True)
class Places:
    """All nodes, as tasks know them; `here` says at which of them the process is."""

    nodes: Mapping[str, Place]
    here: Callable[[], str]
    security: Security = field(default_factory=Security)

    def client(self, node: str) -> FlightAsker:
        """One who asks the server of a node; KeyError for a node that is not there."""
        client: FlightAsker = open_client(self.nodes[node].location, self.security)
        return client


class PageServer(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """Serves the pages in a folder to those who have the token, from the making of the object on.

    A ticket is JSON: the name of a file, and where each wanted page lies in it, with its checksum; or a part of a file
    of bytes (`esker.shuffle.file_bytes`).
    """

    def __init__(self, folder: Path, address: ServerAddress, security: Security, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits()
        super().__init__(address.location(security), **server_options(security))

    def do_get(self, context: Any, ticket: flight.Ticket) -> flight.FlightDataStream:
        if file_bytes.is_ticket(ticket.ticket):
            return file_bytes.sent(self._folder, ticket.ticket)
        name, wanted = _read_ticket(ticket.ticket, self._limits)
        try:
            file = PageFile(self._folder / name)
        except FileNotFoundError:
            raise flight.FlightServerError(f"there is no {name}") from None
        except CorruptError as error:
            raise flight.FlightServerError(str(error)) from error
        return flight.GeneratorStream(file.sent_schema, _pages(file, wanted))


def _pages(file: PageFile, wanted: Sequence[tuple[int, int, int]]) -> Iterator[pa.RecordBatch]:
    for offset, length, checksum in wanted:
        try:
            yield file.sent(offset, length, checksum)
        except CorruptError as error:
            raise flight.FlightServerError(str(error)) from error


def _ticket(name: str, pages: Sequence[Page]) -> flight.Ticket:
    return flight.Ticket(
        json.dumps({"name": name, "pages": [[page.offset, page.length, page.checksum] for page in pages]}).encode()
    )


def _read_ticket(data: bytes, limits: Limits) -> tuple[str, list[tuple[int, int, int]]]:
    """What a ticket asks for; nothing in it is believed."""
    try:
        limits.check(len(data), "a ticket")
        if len(data) > _TICKET_BYTES_MAX:
            raise ValueError("it is too long")
        asked = json.loads(data)
        name, pages = asked["name"], asked["pages"]
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(pages, list):
            raise ValueError("it names no file of pages")
        if len(pages) > _PAGES_MAX:
            raise ValueError("it asks for too many pages")
        wanted = [(offset, length, checksum) for offset, length, checksum in pages]
        if not all(type(number) is int and number >= 0 for page in wanted for number in page):
            raise ValueError("a page is three numbers")
        limits.check(max((length for _, length, _ in wanted), default=0), "a page")
    except (ValueError, KeyError, TypeError, PeerError) as error:
        raise flight.FlightServerError(f"not a ticket for pages: {error}") from error
    return name, wanted


class PageReader:
    """Reads segments: from the file where it lies on this machine, or from the server of the node it lies at.

    Raises PagesLostError for pages that are not there any more, or are not what was written.
    """

    def __init__(self, places: Places, schema: pa.Schema, limits: Limits | None = None) -> None:
        self._places = places
        self._schema = schema
        self._limits = limits or Limits()
        self._clients: dict[str, FlightAsker] = {}
        self._here = places.here()
        #: Bytes that came from this machine's files, and from servers.
        self.local_bytes = 0
        self.fetched_bytes = 0

    def read(self, segment: Segment, taken: set[PageId] | None = None) -> Iterator[tuple[Page, pa.RecordBatch]]:
        """Yield the pages of a segment that are not among those that were `taken`."""
        pages = tuple(page for page in segment.pages if taken is None or page.id not in taken)
        try:
            for page, batch in self._local(segment, pages) or self._fetched(segment, pages):
                if not batch.schema.equals(self._schema):
                    raise CorruptError(f"{segment.name} has other columns than the shuffle")
                yield page, batch
        except (PeerError, CorruptError, OSError, KeyError) as error:
            raise PagesLostError.of(segment.shuffle, segment.map_number, segment.node, segment.name, error) from error

    def close(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def __enter__(self) -> PageReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _local(self, segment: Segment, pages: Sequence[Page]) -> Iterator[tuple[Page, pa.RecordBatch]] | None:
        place = self._places.nodes[segment.node]
        if place.location and segment.node != self._here:
            return None
        try:
            file = PageFile(Path(place.folder, segment.name))
        except FileNotFoundError:
            if place.location:
                return None
            raise
        return self._from_file(file, pages)

    def _from_file(self, file: PageFile, pages: Sequence[Page]) -> Iterator[tuple[Page, pa.RecordBatch]]:
        for page in pages:
            self.local_bytes += page.length
            yield page, file.read(page.offset, page.length, page.checksum)

    def _fetched(self, segment: Segment, pages: tuple[Page, ...]) -> Iterator[tuple[Page, pa.RecordBatch]]:
        where = f"the page server of node {segment.node[:12]}"
        client = self._client(segment.node)
        for wanted in credits_of(pages, CREDIT_BYTES):
            # All of it before any of it is used: the call does not stay open while the reader works.
            yield from zip(wanted, self._asked(client, segment.name, wanted, where), strict=True)

    def _asked(self, client: FlightAsker, name: str, wanted: Sequence[Page], where: str) -> list[pa.RecordBatch]:
        options = call_options(self._places.security, self._limits.deadline_seconds)
        with peer_errors(where):
            chunks = client.do_get(_ticket(name, wanted), options)
            batches = []
            for page in wanted:
                try:
                    batch = chunks.read_chunk().data
                except StopIteration:
                    raise PeerError(f"{where} gave fewer pages than it was asked for") from None
                self.fetched_bytes += page.length
                batches.append(received(page, batch, self._schema, where))
        return batches

    def _client(self, node: str) -> FlightAsker:
        if node not in self._clients:
            self._clients[node] = self._places.client(node)
        return self._clients[node]
