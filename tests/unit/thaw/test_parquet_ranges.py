"""Merging ranges, and files with holes."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.extent import ByteRange
from esker.errors import TierError
from esker.thaw.parquet_ranges import Fetched, PrefetchedFile, Spans

ranges = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 30)).map(lambda pair: ByteRange(pair[0], sum(pair))))


@given(parts=ranges, gap=st.integers(0, 20))
def test_merged_ranges_hold_all_bytes_and_lie_further_apart_than_the_gap(parts: list[ByteRange], gap: int) -> None:
    merged = Spans.of_ranges(parts).merged(gap)
    held = {byte for part in merged for byte in range(part.start, part.stop)}
    wanted = {byte for part in parts for byte in range(part.start, part.stop)}
    assert wanted <= held
    assert all(after.start - before.stop > gap for before, after in pairwise(merged))
    # Nothing is read but what is wanted and gaps between two wanted bytes.
    assert all(part.start in wanted and part.stop - 1 in wanted for part in merged)
    if gap == 0:
        assert held == wanted


def test_an_empty_range_reads_nothing() -> None:
    assert Spans.of_ranges([ByteRange(5, 5)]).merged(10) == []
    assert Spans.of_ranges([ByteRange(0, 1), ByteRange(2, 2)]).merged(1) == [ByteRange(0, 1)]


@given(data=st.binary(min_size=1, max_size=60), start=st.integers(0, 60), length=st.integers(0, 60))
def test_a_file_gives_what_was_fetched_and_nothing_else(data: bytes, start: int, length: int) -> None:
    middle = len(data) // 2
    parts = [Fetched(middle, data[middle:]), Fetched(0, data[: middle // 2])]
    file = PrefetchedFile("key", len(data), parts)
    start = min(start, len(data))
    stop = min(start + length, len(data))
    file.seek(start)
    if start == stop or stop <= middle // 2 or start >= middle:
        assert bytes(file.read(length)) == data[start:stop]
        assert file.tell() == stop
    else:
        with pytest.raises(TierError, match="'key' were not in the plan"):
            file.read(length)


def test_an_empty_part_hides_no_other() -> None:
    assert bytes(PrefetchedFile("key", 1, [Fetched(0, b"x"), Fetched(0, b"")]).read(1)) == b"x"


def test_a_file_seeks_from_all_three_places() -> None:
    file = PrefetchedFile("key", 10, [Fetched(0, b"0123456789")])
    assert (file.seek(4), file.seek(2, io.SEEK_CUR), file.seek(-1, io.SEEK_END)) == (4, 6, 9)
    assert bytes(file.read(-1)) == b"9"
