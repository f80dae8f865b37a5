"""Demand flows upstream: a file far bigger than memory is never read ahead of the sink by more than the buffers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from esker import Sink, Stream
from tests.unit.stream.test_sources import descriptor_of

CHUNK = 1 << 20
GIGABYTES = 10 << 30


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """10 GB that take no room on the disk."""
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(GIGABYTES)
    return path


def read_bytes(path: Path) -> int:
    """How far the file has been read, as the system says."""
    return int(Path(f"/proc/self/fdinfo/{descriptor_of(path)}").read_text().split()[1])


def most_ahead(stream: Stream[Any], path: Path, reaches: int) -> int:
    """Take 40 chunks slowly; how many bytes were read beyond those taken, at most.

    Before each is let go, reading is given the time it needs to get as far ahead as it may.
    """
    taken = 0
    ahead = [0]

    async def slow(chunk: bytes) -> None:
        nonlocal taken
        for _ in range(2000):
            ahead.append(read_bytes(path) - taken)
            if ahead[-1] >= reaches:
                break
            await anyio.sleep(0.001)
        for _ in range(5):
            await anyio.sleep(0.001)
            ahead.append(read_bytes(path) - taken)
        taken += len(chunk)

    stream.take(40).run(Sink.foreach(slow))
    return max(ahead)


def test_without_buffers_only_the_chunk_in_the_sink_is_read(huge: Path) -> None:
    assert most_ahead(Stream.file(huge, chunk_bytes=CHUNK), huge, CHUNK) == CHUNK


def test_a_file_is_read_ahead_by_the_buffers_and_not_by_a_byte_more(huge: Path) -> None:
    stream = Stream.file(huge, chunk_bytes=CHUNK).buffer(4)
    assert most_ahead(stream, huge, 5 * CHUNK) == (1 + 4) * CHUNK
    stream = Stream.file(huge, chunk_bytes=CHUNK).buffer("3MiB").map_async(lambda chunk: chunk, workers=2)
    assert most_ahead(stream, huge, 6 * CHUNK) == (1 + 2 + 3) * CHUNK
    stream = Stream.file(huge, chunk_bytes=CHUNK).map_async(lambda chunk: chunk, workers=3, ordered=False).map(bytes)
    assert most_ahead(stream, huge, 4 * CHUNK) == (1 + 3) * CHUNK


def test_branches_and_merges_read_no_further_than_their_slowest(huge: Path) -> None:
    chunks = Stream.file(huge, chunk_bytes=CHUNK)
    both = chunks.broadcast(lambda s: s.filter(lambda chunk: False), lambda s: s.buffer(2))
    # In the sink, on the way out of the merge, in the buffer, and one on its way in.
    assert most_ahead(both, huge, 4 * CHUNK) <= (1 + 1 + 2 + 1) * CHUNK


@pytest.mark.slow
def test_all_of_a_huge_file_flows_through(huge: Path) -> None:
    stream = Stream.file(huge, chunk_bytes=4 * CHUNK).buffer("16MiB").map_async(len, workers=2)
    assert stream.run(Sink.fold(0, lambda total, size: total + size)) == GIGABYTES
