"""Sources read what is there, when it is asked for, and close what they opened."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import esker
from esker import Sink, Stream
from esker.errors import InputError, InputFileError, UserFunctionError


def open_files(path: Path) -> int:
    """How many descriptors of this process are open on `path`."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += descriptor.readlink() == path
        except FileNotFoundError:
            continue
    return found


@given(st.binary(max_size=200), st.integers(1, 50))
def test_the_chunks_of_a_file_are_the_file(tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int) -> None:
    path = tmp_path_factory.mktemp("file") / "data"
    path.write_bytes(data)
    chunks = Stream.file(path, chunk_bytes=size).collect()
    assert b"".join(chunks) == data
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert open_files(path) == 0


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    lines = [f"line {n} " + "é" * (n % 50) for n in range(20_000)]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert Stream.lines(path).collect() == lines


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="missing: No such file"):
        Stream.file(tmp_path / "missing").collect()
    with pytest.raises(InputFileError, match="it is a folder"):
        Stream.file(tmp_path).collect()


def test_a_file_is_closed_however_the_stream_ends(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(1000))
    chunks = Stream.file(path, chunk_bytes=10)
    assert len(chunks.take(3).collect()) == 3
    assert open_files(path) == 0
    with pytest.raises(UserFunctionError):
        chunks.map_async(lambda chunk: 1 // 0, workers=3).collect()
    assert open_files(path) == 0
    for _ in chunks.buffer(4):
        assert open_files(path) == 1
        break
    assert open_files(path) == 0


def test_cancelling_closes_the_files_of_every_step(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(bytes(1000))

    async def main() -> None:
        at_work = anyio.Event()

        async def wait(_: object) -> None:
            at_work.set()
            await anyio.sleep_forever()

        first, second, third = (Stream.file(path, chunk_bytes=10) for path in paths)
        stream = first.buffer(3).zip(second.merge(third)).map_async(wait, workers=2)
        async with anyio.create_task_group() as group:
            group.start_soon(stream.run_async, Sink.file(tmp_path / "out"))
            await at_work.wait()
            while [open_files(path) for path in paths] != [1, 1, 1]:  # within the test's time limit
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()

    anyio.run(main)
    assert [open_files(path) for path in paths] == [0, 0, 0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_generators_are_closed_when_the_stream_ends_early() -> None:
    closed: list[str] = []

    def plain() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.append("plain")

    async def asynchronous() -> AsyncIterator[int]:
        try:
            for number in range(9):
                yield number
        finally:
            closed.append("asynchronous")

    assert Stream(plain()).take(1).collect() == Stream(asynchronous()).take(1).collect() == [0]
    assert Stream(plain(), blocking=True).take(1).collect() == [0]
    assert closed == ["plain", "asynchronous", "plain"]


def test_a_blocking_iterable_is_read_by_another_thread() -> None:
    def threads() -> Iterator[int]:
        for _ in range(3):
            yield threading.get_ident()

    assert threading.get_ident() not in Stream(threads(), blocking=True).collect()
    assert Stream(threads()).collect() == [threading.get_ident()] * 3


def test_an_iterable_that_fails_is_shown_with_its_own_line_and_the_number_of_the_element() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    for blocking in (False, True):
        with pytest.raises(UserFunctionError, match="element 1 of generator") as caught:
            Stream(failing(), blocking=blocking).collect()
        assert 'raise ValueError("broken")' in str(caught.value).splitlines()[1]


def test_what_is_appended_is_followed_through_rotation_and_cuts(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")

    async def main() -> list[str]:
        seen: list[str] = []
        async with Stream.tail(path, poll_seconds=0.001).open() as lines:
            asking = asyncio.ensure_future(anext(lines))
            # The end is looked for by the first question; what comes after that is new.
            while not open_files(path) or os.fstat(descriptor_of(path)).st_size != position(path):
                await anyio.sleep(0.001)
            with path.open("a") as file:
                file.write("new\nhalf")
            seen.append(await asking)
            with path.open("a") as file:
                file.write(" a line\n")
            path.rename(tmp_path / "log.1")
            path.write_text("rotated\n")
            seen += [await anext(lines), await anext(lines)]
            path.write_text("cut\n")
            seen.append(await anext(lines))
        return seen

    assert anyio.run(main) == ["new", "half a line", "rotated", "cut"]
    assert open_files(path) == 0


def descriptor_of(path: Path) -> int:
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if descriptor.readlink() == path:
                return int(descriptor.name)
        except FileNotFoundError:
            continue
    raise AssertionError(f"{path} is not open")


def position(path: Path) -> int:
    return int(Path(f"/proc/self/fdinfo/{descriptor_of(path)}").read_text().split()[1])


def test_tail_from_the_start_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntwo\n")
    assert Stream.tail(path, from_start=True).take(2).collect() == ["one", "two"]


def serve(listener: socket.socket, data: bytes, sent: list[int] | None = None) -> threading.Thread:
    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            for begin in range(0, len(data), 1 << 16):
                connection.sendall(data[begin : begin + (1 << 16)])
                if sent is not None:
                    sent.append(begin)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def test_a_socket_gives_what_arrives(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serve(listener, data)
        assert b"".join(Stream.socket("127.0.0.1", listener.getsockname()[1]).collect()) == data
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        serve(listener, b"one\ntwo\n")
        assert Stream.socket(str(tmp_path / "s")).split_lines().collect() == ["one", "two"]


def test_a_socket_is_closed_early_and_refusals_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        accepted: list[bytes] = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"x")
                accepted.append(connection.recv(1))

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert Stream.socket("127.0.0.1", port).take(1).collect() == [b"x"]
        thread.join(timeout=60)
        assert accepted == [b""]
    with socket.socket() as bound:
        # Nobody listens there, and nobody else can meanwhile.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot connect to 127.0.0.1:{port}"):
            Stream.socket("127.0.0.1", port).collect()


def test_queues_of_threads_and_of_asyncio_are_read_until_their_end() -> None:
    end = object()
    waiting: queue.Queue[object] = queue.Queue(maxsize=2)
    thread = threading.Thread(target=lambda: [waiting.put(n) for n in (1, None, 3, end)], daemon=True)
    thread.start()
    assert Stream.queue(waiting, end=end).collect() == [1, None, 3]

    async def main() -> list[object]:
        inside: asyncio.Queue[object] = asyncio.Queue()
        for element in (1, 2, None):
            inside.put_nowait(element)
        return await Stream.queue(inside).run_async(Sink.collect())

    assert asyncio.run(main()) == [1, 2]


def test_waiting_at_an_empty_queue_can_be_cancelled() -> None:
    async def main() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await Stream.queue(queue.Queue()).run_async(Sink.ignore())
        return scope.cancelled_caught

    assert anyio.run(main)


def test_the_batches_of_a_dataset_are_read_when_they_are_asked_for() -> None:
    table = pa.table({"n": range(1000)})
    batches = Stream.dataset(esker.from_arrow(table).filter("n >= 500")).collect()
    assert pa.Table.from_batches(batches)["n"].to_pylist() == list(range(500, 1000))
