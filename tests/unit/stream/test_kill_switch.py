"""A kill switch ends streams from any thread, in good order or at once."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import anyio
import pytest

from esker import KillSwitch, Sink, Stream
from esker.errors import CancelledError
from tests.unit.stream.test_sources import open_files


def test_what_is_under_way_arrives_after_a_shutdown(tmp_path: Path) -> None:
    switch = KillSwitch()
    written = (
        Stream(itertools.count())
        .kill_switch(switch)
        .buffer(4)
        .foreach(lambda n: switch.shutdown() if n == 10 else None)
        .map(lambda n: f"{n}\n")
        .run(Sink.file(tmp_path / "out"))
    )
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines == [str(n) for n in range(len(lines))]
    assert 11 <= len(lines) <= 16
    assert written == (tmp_path / "out").stat().st_size


def test_an_abort_fails_the_stream_and_leaves_no_file(tmp_path: Path) -> None:
    switch = KillSwitch()
    stream = Stream(itertools.count()).kill_switch(switch).foreach(lambda n: n == 9 and switch.abort("enough"))
    with pytest.raises(CancelledError, match="stopped: enough"):
        stream.map(str).run(Sink.file(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="mine"):
        other = KillSwitch()
        other.abort(ValueError("mine"))
        Stream([1]).kill_switch(other).collect()


def test_a_wait_is_ended_from_another_thread_and_its_source_closed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\n")
    switch = KillSwitch()
    waiting = threading.Event()

    def throw() -> None:
        waiting.wait(timeout=60)
        switch.shutdown()

    thread = threading.Thread(target=throw, daemon=True)
    thread.start()
    # An hour between looks: only the switch can end this.
    stream = Stream.tail(path, from_start=True, poll_seconds=3600).kill_switch(switch)
    assert stream.foreach(lambda line: waiting.set()).collect() == ["one"]
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert open_files(path) == 0


def test_one_switch_ends_several_streams_and_those_that_begin_later() -> None:
    switch = KillSwitch()

    async def main() -> list[int]:
        counts: list[int] = []

        async def run() -> None:
            counts.append(await Stream.ticks(3600).kill_switch(switch).run_async(Sink.count()))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(run)
            await anyio.wait_all_tasks_blocked()
            switch.shutdown()
        return counts

    assert anyio.run(main) == [1, 1, 1]
    assert switch.thrown
    assert Stream([1]).kill_switch(switch).collect() == []


def test_the_first_throw_counts_and_one_after_the_end_does_nothing() -> None:
    switch = KillSwitch()
    assert Stream([1]).kill_switch(switch).collect() == [1]
    switch.shutdown()
    switch.abort()
    assert Stream([1]).kill_switch(switch).collect() == []
