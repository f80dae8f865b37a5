"""The cache of fetched bytes: bounded, checked, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.extent import ByteRange, Extent
from esker.errors import OutputFileError
from esker.thaw.fetch_cache import FetchCache

DATA = bytes(range(256)) * 8
EXTENT = Extent("part-0", 0, 10, len(DATA), "crc32:00000000")

ranges = st.tuples(st.integers(0, 2000), st.integers(1, 48)).map(lambda part: ByteRange(part[0], part[0] + part[1]))


def kept(cache: FetchCache, *parts: ByteRange, extent: Extent = EXTENT) -> None:
    for part in parts:
        cache.keep(extent, part, DATA[part.start : part.stop])


@given(parts=st.lists(ranges, max_size=8), asked=ranges, cut=st.integers(0, 60))
def test_what_is_found_is_what_was_kept_whatever_a_kill_cut_off(
    tmp_path_factory: pytest.TempPathFactory, parts: list[ByteRange], asked: ByteRange, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    with FetchCache(folder, "memory:a", 1 << 20) as cache:
        kept(cache, *parts)
    for path in folder.iterdir():
        with path.open("r+b") as file:
            file.truncate(max(path.stat().st_size - cut, 0))
    with FetchCache(folder, "memory:a", 1 << 20) as cache:
        found = cache.find(EXTENT, asked)
        inside = any(part.start <= asked.start and asked.stop <= part.stop for part in parts)
        assert found in (None, DATA[asked.start : asked.stop])
        assert (found is not None) == inside or cut
        kept(cache, asked)
        assert cache.find(EXTENT, asked) == DATA[asked.start : asked.stop]


@given(place=st.integers(0, 1 << 20), value=st.integers(1, 255))
def test_a_changed_byte_is_found_out(tmp_path_factory: pytest.TempPathFactory, place: int, value: int) -> None:
    folder = tmp_path_factory.mktemp("cache")
    parts = [ByteRange(0, 10), ByteRange(20, 60), ByteRange(100, 101)]
    with FetchCache(folder, "memory:a", 1 << 20) as cache:
        kept(cache, *parts)
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= value
    path.write_bytes(content)
    with FetchCache(folder, "memory:a", 1 << 20) as cache:
        for part in parts:
            assert cache.find(EXTENT, part) in (None, DATA[part.start : part.stop])


def test_another_object_or_tier_is_not_taken_for_this_one(tmp_path: Path) -> None:
    part = ByteRange(5, 9)
    with FetchCache(tmp_path, "memory:a", 1 << 20) as cache:
        kept(cache, part)
        assert cache.find(Extent("part-0", 0, 10, len(DATA), "crc32:00000001"), part) is None
        assert cache.find(Extent("part-1", 0, 10, len(DATA), "crc32:00000000"), part) is None
    with FetchCache(tmp_path, "memory:b", 1 << 20) as cache:
        assert cache.find(EXTENT, part) is None


def test_a_full_cache_drops_what_was_not_used_longest_and_never_outgrows_its_limit(tmp_path: Path) -> None:
    extents = [Extent(f"part-{number}", 0, 10, len(DATA), "crc32:00000000") for number in range(6)]
    for extent in extents:
        with FetchCache(tmp_path, "memory:a", 2000) as cache:
            kept(cache, ByteRange(0, 700), extent=extent)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2000
    with FetchCache(tmp_path, "memory:a", 2000) as cache:
        there = [cache.has(extent, ByteRange(0, 700)) for extent in extents]
        assert there == [False, False, False, False, True, True]
        # What this run uses stays, and what does not fit beside it is not kept.
        kept(cache, ByteRange(0, 700), extent=extents[5])
        kept(cache, ByteRange(0, 2000), extent=extents[0])
        assert not cache.has(extents[0], ByteRange(0, 2000))
        assert cache.has(extents[5], ByteRange(0, 700))


def test_a_file_that_another_run_writes_is_read_and_left_alone(tmp_path: Path) -> None:
    one, other = ByteRange(0, 10), ByteRange(10, 20)
    with FetchCache(tmp_path, "memory:a", 1 << 20) as first, FetchCache(tmp_path, "memory:a", 1 << 20) as second:
        kept(first, one)
        kept(second, other)
        assert second.find(EXTENT, one) == DATA[:10]
        assert second.find(EXTENT, other) is None
    with FetchCache(tmp_path, "memory:a", 1 << 20) as cache:
        assert cache.has(EXTENT, one) and not cache.has(EXTENT, other)


def test_a_cache_of_many_objects_keeps_few_files_open(tmp_path: Path) -> None:
    extents = [Extent(f"part-{number}", 0, 10, len(DATA), "crc32:00000000") for number in range(100)]
    with FetchCache(tmp_path, "memory:a", 1 << 20) as cache:
        for extent in extents:
            kept(cache, ByteRange(0, 4), extent=extent)
        assert len(cache._files) <= 32
        assert all(cache.find(extent, ByteRange(0, 4)) == DATA[:4] for extent in extents)
        assert not cache.has(Extent("part-100", 0, 10, len(DATA), "crc32:00000000"), ByteRange(0, 4))
        assert len([*tmp_path.iterdir()]) == 100, "asking makes no files"


def test_a_place_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFileError, match="file"):
        FetchCache(tmp_path / "file", "memory:a", 1)
