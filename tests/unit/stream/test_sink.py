"""Sinks give what was promised, whole or not at all."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker import Sink, Stream
from esker.errors import InputError, OutputExistsError, OutputFileError, UserFunctionError


@given(st.lists(st.integers(), max_size=20))
def test_sinks_are_what_python_makes_of_the_list(numbers: list[int]) -> None:
    stream = Stream(numbers)
    assert stream.run(Sink.collect()) == stream.collect() == numbers
    assert stream.run(Sink.fold(0, lambda a, b: a + b)) == sum(numbers)
    assert stream.run(Sink.count()) == len(numbers)
    assert stream.run(Sink.first()) == next(iter(numbers), None)
    assert stream.run(Sink.ignore()) is None


def test_a_fold_copies_its_zero() -> None:
    sink: Sink[int, list[int]] = Sink.fold([], lambda numbers, n: numbers.append(n) or numbers)
    assert Stream([1]).run(sink) == Stream([1]).run(sink) == [1]


def test_a_sink_may_have_a_flow_before_it() -> None:
    assert Stream(range(10)).run(Sink.collect().after(lambda s: s.map(str)).after(lambda s: s.take(2))) == ["0", "1"]


def test_foreach_awaits_asynchronous_functions() -> None:
    seen: list[int] = []

    async def note(number: int) -> None:
        await anyio.sleep(0)
        seen.append(number)

    assert Stream([1, 2]).run(Sink.foreach(note)) == Stream([3, 4]).run(Sink.foreach(seen.append)) == 2
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize("sink", [Sink.foreach(lambda n: 1 // n), Sink.fold(0, lambda a, b: a // b)])
def test_functions_of_sinks_that_fail_are_shown_by_their_line(sink: Sink[int, Any]) -> None:
    with pytest.raises(UserFunctionError, match="called by Sink.fo.* on element 0"):
        Stream([0]).run(sink)


@given(st.lists(st.one_of(st.binary(max_size=9), st.text(max_size=9)), max_size=20))
def test_a_file_holds_the_bytes_and_texts_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes | str]
) -> None:
    path = tmp_path_factory.mktemp("sink") / "out"
    data = b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)
    assert Stream(pieces).run(Sink.file(path)) == len(data)
    assert path.read_bytes() == data


def test_large_and_small_pieces_are_written_in_order(tmp_path: Path) -> None:
    pieces = [bytes([n]) * (n * 30_000) for n in range(30)]
    Stream(pieces).run(Sink.file(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_nothing_is_left_of_a_file_whose_stream_fails(tmp_path: Path, size: int) -> None:
    def failing() -> Iterator[bytes]:
        yield bytes(size)
        assert len(list(tmp_path.iterdir())) == 1
        raise ValueError("broken")

    with pytest.raises(UserFunctionError, match="broken"):
        Stream(failing()).run(Sink.file(tmp_path / "out"))
    with pytest.raises(InputError, match="not int; map elements to bytes"):
        Stream([b"", 7]).run(Sink.file(tmp_path / "out"))  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError):
        Stream([b"new"]).run(Sink.file(path))
    assert path.read_bytes() == b"old"
    Stream([b"new"]).run(Sink.file(path, overwrite=True))
    assert path.read_bytes() == b"new"
    with pytest.raises(OutputFileError, match="there is no folder"):
        Stream([b""]).run(Sink.file(tmp_path / "no" / "out"))


def test_queues_get_the_elements_and_an_end_also_after_a_failure() -> None:
    target: queue.Queue[Any] = queue.Queue()
    assert Stream([1, 2]).run(Sink.queue(target)) == 2
    with pytest.raises(UserFunctionError):
        Stream([4, 0]).map(lambda n: 4 // n).run(Sink.queue(target, end="end"))
    assert list(target.queue) == [1, 2, None, 1, "end"]


def test_a_full_queue_holds_the_stream_back() -> None:
    async def main() -> list[int]:
        target: asyncio.Queue[Any] = asyncio.Queue(maxsize=2)
        read: list[int] = []
        writing = asyncio.ensure_future(Stream(read.append(n) or n for n in range(9)).run_async(Sink.queue(target)))
        most = []
        while (element := await target.get()) is not None:
            for _ in range(20):
                await asyncio.sleep(0)
            most.append(len(read) - element)
        await writing
        return most

    assert max(asyncio.run(main())) == 1 + 2 + 1  # taken, in the queue, in the hand of the sink


def rows(count: int) -> list[dict[str, int]]:
    return [{"n": n, "square": n * n} for n in range(count)]


@pytest.mark.parametrize("name", [None, "out.parquet", "out.csv"])
def test_rows_batches_and_tables_become_a_dataset(tmp_path: Path, name: str | None) -> None:
    path = None if name is None else tmp_path / name
    elements: list[Any] = [*rows(3), pa.RecordBatch.from_pylist(rows(2)), pa.Table.from_pylist(rows(1)), *rows(1)]
    made = Stream(elements).run(Sink.dataset(path))
    assert made.to_arrow().to_pylist() == rows(3) + rows(2) + rows(1) + rows(1)
    if path is not None:
        assert path.exists()


def test_many_rows_are_written_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    assert Stream({"n": n} for n in range(150_000)).run(Sink.dataset(path)).count() == 150_000
    assert pq.read_table(path)["n"].to_pylist() == list(range(150_000))


def test_a_dataset_without_rows_needs_a_schema(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pass schema="):
        Stream([]).run(Sink.dataset())
    schema = pa.schema({"n": pa.int64()})
    for path in (None, tmp_path / "empty.parquet"):
        assert Stream([]).run(Sink.dataset(path, schema=schema)).to_arrow().schema == schema


def test_nothing_is_left_of_a_dataset_whose_stream_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes dicts, record batches or tables, not int"):
        Stream([pa.RecordBatch.from_pylist(rows(2)), 7]).run(Sink.dataset(tmp_path / "out.parquet"))
    with pytest.raises(InputError, match="rows do not fit"):
        Stream([{"n": 1}, {"n": "x"}]).run(Sink.dataset(tmp_path / "out.parquet"))
    assert list(tmp_path.iterdir()) == []
