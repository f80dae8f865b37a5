"""Bytes of files over Arrow Flight: what was written comes back, and nothing that a ticket says is believed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import flight

from esker.errors import AuthenticationError, CorruptError, PeerError
from esker.runtime.flight import Security, ServerAddress, call_options, new_token, open_client
from esker.shuffle.file_bytes import CREDIT_BYTES, FilePart, FileReader
from esker.shuffle.page_server import PageServer

NAME = "1a-map-1-0-0-ab12-0"
SECURITY = Security(new_token())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    folder = tmp_path / "pages"
    folder.mkdir()
    (tmp_path / "1a-secret").write_bytes(b"secret")
    (folder / "1b-link").symlink_to(tmp_path / "1a-secret")
    found = PageServer(folder, ServerAddress("127.0.0.1:0"), SECURITY)
    try:
        yield found
    finally:
        found.shutdown()


def _location(server: PageServer) -> str:
    return f"grpc://127.0.0.1:{server.port}"


def _written(tmp_path: Path, size: int) -> bytes:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    (tmp_path / "pages" / NAME).write_bytes(data)
    return data


def _read(server: PageServer, part: FilePart, security: Security = SECURITY) -> bytes:
    with FileReader(lambda node: open_client(_location(server), security), security) as reader:
        return b"".join(reader.read(part))


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, 3 << 20), (77, CREDIT_BYTES + 99), (5, 2 * CREDIT_BYTES + 5)])
def test_a_part_of_a_file_comes_as_it_was_written(server: PageServer, tmp_path: Path, begin: int, end: int) -> None:
    data = _written(tmp_path, 2 * CREDIT_BYTES + 1000)
    assert _read(server, FilePart("n", NAME, begin, end, zlib.crc32(data[begin:end]))) == data[begin:end]


def test_bytes_that_are_not_those_that_were_written_are_refused(server: PageServer, tmp_path: Path) -> None:
    data = _written(tmp_path, 1000)
    with pytest.raises(CorruptError, match="is not what was written"):
        _read(server, FilePart("n", NAME, 0, 1000, zlib.crc32(data) ^ 1))


@pytest.mark.parametrize("name", ["1a-map-9", "../1a-secret", "1b-link", "", "x" * 500, "1A-map", "1a"])
def test_only_files_of_the_folder_are_given(server: PageServer, tmp_path: Path, name: str) -> None:
    _written(tmp_path, 10)
    with pytest.raises(PeerError):
        _read(server, FilePart("n", name, 0, 6, 0))


def test_a_file_that_is_too_short_is_an_error(server: PageServer, tmp_path: Path) -> None:
    data = _written(tmp_path, 100)
    with pytest.raises(PeerError, match="ends before"):
        _read(server, FilePart("n", NAME, 50, 200, zlib.crc32(data[50:])))


def test_a_stranger_gets_nothing(server: PageServer, tmp_path: Path) -> None:
    _written(tmp_path, 100)
    with pytest.raises(AuthenticationError):
        _read(server, FilePart("n", NAME, 0, 100, 0), Security(new_token()))


@pytest.mark.parametrize(
    "asked",
    [
        {"file": NAME, "begin": 0, "end": 0},
        {"file": NAME, "begin": -1, "end": 5},
        {"file": NAME, "begin": 0, "end": CREDIT_BYTES + 1},
        {"file": NAME, "begin": 0.5, "end": 7},
        {"file": NAME, "begin": True, "end": 7},
        {"file": NAME, "begin": 0},
        {"file": [NAME], "begin": 0, "end": 7},
    ],
)
def test_a_ticket_that_says_something_else_is_refused(server: PageServer, tmp_path: Path, asked: Any) -> None:
    _written(tmp_path, 100)
    with open_client(_location(server), SECURITY) as client, pytest.raises(flight.FlightError, match="not a ticket"):
        client.do_get(flight.Ticket(json.dumps(asked).encode()), call_options(SECURITY, 5)).read_all()
