from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from pyarrow import flight

from esker.errors import PageCorruptError, PagesLostError
from esker.runtime.flight import Security, ServerAddress, call_options, new_token
from esker.shuffle.page_file import MapOutput, PageFile, PageWriter, Segment
from esker.shuffle.page_server import CREDIT_BYTES, PageReader, PageServer, Place, Places
from esker.testing.arrow_strategies import batches
from esker.testing.arrow_types import NESTED, TYPES, VIEWS

SCHEMA = pa.schema({"n": pa.int64(), "s": pa.string(), "list": pa.list_(pa.float32()), "flag": pa.bool_()})
NAME = "a-3-0f"


def _batch(first: int, count: int) -> pa.RecordBatch:
    rows = [
        {"n": n, "s": None if n % 5 == 0 else "é" * (n % 9), "list": None if n % 4 else [n, 0.5], "flag": n % 2 == 0}
        for n in range(first, first + count)
    ]
    # A slice: its buffers begin in the middle of others.
    return pa.RecordBatch.from_pylist([rows[0], *rows], schema=SCHEMA).slice(1)


def _written(folder: Path) -> MapOutput:
    with PageWriter(folder, NAME, SCHEMA, 4) as writer:
        for partition, first in ((0, 0), (0, 50), (2, 100)):
            writer.write(partition, _batch(first, 50))
        return writer.finish("a", 3, "other", [10, 0, 5, 0])


@pytest.fixture
def output(tmp_path: Path) -> MapOutput:
    return _written(tmp_path)


SECURITY = Security(new_token())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageServer]:
    with PageServer(tmp_path, ServerAddress("127.0.0.1:0"), SECURITY) as opened:
        yield opened


def _reader(server: PageServer, tmp_path: Path, *, near: bool = False, security: Security = SECURITY) -> PageReader:
    place = Place(str(tmp_path), f"grpc://127.0.0.1:{server.port}")
    return PageReader(Places({"other": place}, lambda: "other" if near else "here", security), SCHEMA)


def _segment(output: MapOutput, partition: int) -> Segment:
    found = output.segment(partition)
    assert found is not None
    return found


@pytest.mark.parametrize("near", [True, False])
def test_the_pages_of_a_partition_come_as_they_were_written(
    near: bool, output: MapOutput, server: PageServer, tmp_path: Path
) -> None:
    with _reader(server, tmp_path, near=near) as reader:
        found = list(reader.read(_segment(output, 0)))
        size = sum(page.length for page, _ in found)
        assert (reader.local_bytes, reader.fetched_bytes) == ((size, 0) if near else (0, size))
    assert [tuple(page.id) for page, _ in found] == [(3, 0, 0), (3, 0, 1)]
    assert [batch for _, batch in found] == [_batch(0, 50), _batch(50, 50)]
    assert output.segment(1) is None
    assert output.partition_rows.tolist() == [100, 0, 50, 0]


def test_pages_that_were_taken_do_not_come_again(output: MapOutput, server: PageServer, tmp_path: Path) -> None:
    segment = _segment(output, 0)
    with _reader(server, tmp_path) as reader:
        (found,) = reader.read(segment, {segment.pages[0].id})
    assert found[1] == _batch(50, 50)


def test_a_reader_asks_for_no_more_than_its_credit_at_once(
    server: PageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = pa.record_batch({"n": pa.array(range(300_000), pa.int64())})
    with PageWriter(tmp_path, NAME, big.schema, 1) as writer:
        for _ in range(8):
            writer.write(0, big)
        output = writer.finish("a", 3, "other", [0])
    asked: list[int] = []
    whole = PageReader._asked

    def counted(self: PageReader, client: Any, name: str, wanted: Any, where: str) -> Any:
        asked.append(sum(page.length for page in wanted))
        return whole(self, client, name, wanted, where)

    monkeypatch.setattr(PageReader, "_asked", counted)
    places = Places({"other": Place(str(tmp_path), f"grpc://127.0.0.1:{server.port}")}, lambda: "here", SECURITY)
    with PageReader(places, big.schema) as reader:
        pages = reader.read(_segment(output, 0))
        next(pages)
        assert len(asked) == 1
        assert len(list(pages)) == 7
    assert len(asked) > 1
    assert max(asked) <= CREDIT_BYTES


@pytest.mark.parametrize("near", [True, False])
def test_a_changed_byte_is_a_lost_page(near: bool, output: MapOutput, server: PageServer, tmp_path: Path) -> None:
    page = _segment(output, 2).pages[0]
    data = bytearray((tmp_path / NAME).read_bytes())
    data[page.offset + page.length - 40] ^= 1
    (tmp_path / NAME).write_bytes(data)
    with _reader(server, tmp_path, near=near) as reader:
        with pytest.raises(PagesLostError, match="checksum") as caught:
            list(reader.read(_segment(output, 2)))
        assert len(list(reader.read(_segment(output, 0)))) == 2
    assert (caught.value.shuffle, caught.value.map_number, caught.value.name) == ("a", 3, NAME)


@pytest.mark.parametrize("near", [True, False])
def test_a_file_that_is_gone_is_lost_pages(near: bool, output: MapOutput, server: PageServer, tmp_path: Path) -> None:
    (tmp_path / NAME).unlink()
    with _reader(server, tmp_path, near=near) as reader, pytest.raises(PagesLostError):
        list(reader.read(_segment(output, 0)))


def test_without_the_token_there_are_no_pages(output: MapOutput, server: PageServer, tmp_path: Path) -> None:
    with _reader(server, tmp_path, security=Security(new_token())) as reader:
        with pytest.raises(PagesLostError, match="token"):
            list(reader.read(_segment(output, 0)))


@pytest.mark.parametrize(
    "ticket",
    [
        b"",
        b"{}",
        b"[1, 2]",
        json.dumps({"name": "../a-3-0f", "pages": []}).encode(),
        json.dumps({"name": "/etc/passwd", "pages": []}).encode(),
        json.dumps({"name": NAME, "pages": [[0, -1, 0]]}).encode(),
        json.dumps({"name": NAME, "pages": [[0, 1]]}).encode(),
        json.dumps({"name": NAME, "pages": [[0, 1 << 62, 0]]}).encode(),
        json.dumps({"name": NAME, "pages": [[1 << 40, 64, 0]]}).encode(),
        json.dumps({"name": NAME, "pages": [[True, 64, 0]]}).encode(),
        json.dumps({"name": NAME, "pages": [[0, 64, 7]]}).encode(),
    ],
)
def test_a_ticket_is_not_believed(ticket: bytes, output: MapOutput, server: PageServer) -> None:
    with flight.FlightClient(f"grpc://127.0.0.1:{server.port}") as client:
        with pytest.raises(flight.FlightServerError):
            client.do_get(flight.Ticket(ticket), call_options(SECURITY, 10)).read_all()


@pytest.mark.parametrize("damage", [b"", b"ESKERPGS", b"x" * 500, b"ESKERPGS\xff\xff\xff\xff" + bytes(90)])
def test_other_files_are_no_files_of_pages(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(damage)
    with pytest.raises(PageCorruptError):
        PageFile(tmp_path / NAME)


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), PageWriter(tmp_path, NAME, SCHEMA, 1) as writer:
        writer.write(0, _batch(0, 3))
        _ = 1 // 0
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=30)
@given(batches((*TYPES, *VIEWS, *NESTED), rows_max=12))
def test_rows_of_all_types_come_as_they_were_written_from_near_and_far(batch: pa.RecordBatch) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with PageWriter(folder, NAME, batch.schema, 1) as writer:
            writer.write(0, batch)
            output = writer.finish("a", 3, "other", [0])
        with PageServer(folder, ServerAddress("127.0.0.1:0"), SECURITY) as server:
            place = Place(name, f"grpc://127.0.0.1:{server.port}")
            for here in ("here", "other"):
                with PageReader(Places({"other": place}, lambda here=here: here, SECURITY), batch.schema) as reader:
                    ((_, found),) = reader.read(_segment(output, 0))
                assert found.schema == batch.schema
                assert found.equals(batch) or found.to_pylist() == batch.to_pylist() or repr(found) == repr(batch)
