"""The cache: the same bytes, fewer requests, never more than it may hold."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.extent import ByteRange
from esker.errors import TierError
from esker.storage import ReadRequest, open_tier
from esker.storage.wrappers.cached import CachedTier

_NUMBERS = count()
DATA = bytes(range(256)) * 2

ranges = st.tuples(st.integers(0, len(DATA)), st.integers(0, len(DATA))).map(lambda pair: ByteRange(*sorted(pair)))


def cached(**options: int) -> CachedTier:
    inner = open_tier(f"memory:cached-{next(_NUMBERS)}")
    inner.write("a", DATA)
    inner.write("b", DATA[::-1])
    return CachedTier(inner, **options)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), ranges), max_size=15),
    st.integers(1, 64),
    st.integers(0, 600),
    st.integers(0, 3),
)
def test_reads_are_right_and_cost_what_was_estimated(
    asked: list[tuple[str, ByteRange]], block_bytes: int, cache_bytes: int, prefetch: int
) -> None:
    tier = cached(block_bytes=block_bytes, cache_bytes=cache_bytes, prefetch_blocks=prefetch)
    for key, part in asked:
        estimated, before = tier.estimate([ReadRequest(key, part)]), tier.counted
        content = DATA if key == "a" else DATA[::-1]
        assert bytes(tier.read(key, [part])[0]) == content[part.start : part.stop]
        counted = tier.counted.since(before)
        assert (counted.bytes, counted.requests) == (estimated.bytes, estimated.requests)
        assert sum(map(len, tier._blocks.values())) == tier._held_bytes <= cache_bytes


def test_what_was_read_is_not_read_again_and_the_next_block_is_there() -> None:
    tier = cached(block_bytes=16, prefetch_blocks=2)
    tier.read("a", [ByteRange(0, 16)])
    before = tier.counted
    assert bytes(tier.read("a", [ByteRange(5, 48)])[0]) == DATA[5:48]
    assert tier.counted == before


def test_the_least_lately_used_leaves_first() -> None:
    tier = cached(block_bytes=16, cache_bytes=32)
    for start in (0, 16, 0, 32):
        tier.read("a", [ByteRange(start, start + 16)])
    before = tier.counted.requests
    tier.read("a", [ByteRange(0, 16)])
    assert tier.counted.requests == before
    tier.read("a", [ByteRange(16, 32)])
    assert tier.counted.requests == before + 1


def test_a_deleted_object_is_forgotten() -> None:
    tier = cached()
    tier.read("a", [ByteRange(0, 16)])
    tier.delete("a")
    with pytest.raises(TierError, match="'a'"):
        tier.read("a", [ByteRange(0, 16)])


def test_a_range_outside_is_refused_in_the_words_of_the_tier() -> None:
    with pytest.raises(TierError, match="512 bytes"):
        cached().read("a", [ByteRange(0, 513)])
