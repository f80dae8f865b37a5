"""Streams are read by loops of every kind, one element for each question, and end with the loop."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from esker import Sink, Stream
from esker.errors import StreamError, UserFunctionError
from tests.unit.stream.test_sources import open_files


def test_a_plain_loop_asks_for_one_element_at_a_time() -> None:
    asked: list[int] = []
    for number in Stream(asked.append(n) or n for n in itertools.count()):
        assert asked == list(range(number + 1))
        if number == 3:
            break
    assert asked == [0, 1, 2, 3]


def test_an_asynchronous_loop_asks_for_one_element_at_a_time() -> None:
    async def main() -> list[int]:
        asked: list[int] = []
        async for number in Stream(asked.append(n) or n for n in itertools.count()):
            await asyncio.sleep(0)
            assert asked == list(range(number + 1))
            if number == 3:
                break
        async with Stream(asked.append(n) or n for n in (7, 8, 9)).open() as elements:
            assert await anext(elements) == 7
        return asked

    assert asyncio.run(main()) == [0, 1, 2, 3, 7]


def test_both_loops_end_and_fail_as_the_stream_does() -> None:
    async def read(stream: Stream[int]) -> list[int]:
        return [number async for number in stream]

    assert list(Stream([1, 2])) == asyncio.run(read(Stream([1, 2]))) == [1, 2]
    failing = Stream([2, 0]).map(lambda n: 2 // n).buffer(4)
    seen: list[int] = []
    with pytest.raises(UserFunctionError):
        seen.extend(failing)
    assert seen == [1]
    with pytest.raises(UserFunctionError):
        asyncio.run(read(failing))


def test_leaving_a_loop_closes_the_files(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(100))
    chunks = Stream.file(path, chunk_bytes=1).buffer(2)

    async def left() -> None:
        async for _ in chunks:
            assert open_files(path) == 1
            break
        gc.collect()
        while open_files(path):  # within the test's time limit
            await asyncio.sleep(0.001)

    async def cancelled() -> None:
        async def read() -> None:
            async for _ in chunks.map_async(lambda chunk: anyio.sleep_forever()):
                raise AssertionError("nothing comes")

        task = asyncio.create_task(read())
        while not open_files(path):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert open_files(path) == 0

    asyncio.run(left())
    asyncio.run(cancelled())
    reading = iter(chunks)
    next(reading)
    assert open_files(path) == 1
    reading.close()  # type: ignore[attr-defined]
    assert open_files(path) == 0


def test_a_thread_with_an_event_loop_is_not_blocked_but_told_what_to_write() -> None:
    async def main() -> int:
        with pytest.raises(StreamError, match="await stream.run_async"):
            Stream([1]).collect()
        with pytest.raises(StreamError, match="async for element in stream"):
            next(iter(Stream([1])))
        return await Stream([1]).run_async(Sink.count())

    assert asyncio.run(main()) == 1


def test_asynchronous_sources_and_sinks_share_the_loop_of_the_caller() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()

        async def loops() -> AsyncIterator[bool]:
            yield asyncio.get_running_loop() is loop

        return (await Stream(loops()).run_async(Sink.collect())) == [True]

    assert asyncio.run(main())


INTERRUPTED = """
import itertools, sys
from esker import Sink, Stream
def told(n):
    if n == 1000:
        print("at work", flush=True)
    return b"x" * 1000
try:
    Stream(itertools.count()).map(told).run(Sink.file(sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_a_stream_that_never_waits_and_leaves_no_file(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []
