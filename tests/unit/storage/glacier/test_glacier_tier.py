"""The glacier tier against ministack: asked for once, never read while cold, and its price told beforehand."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

import esker
from esker.core.extent import ByteRange, Extent
from esker.errors import NotThawedError, OptionError, TierError
from esker.storage import RecallState, open_tier, wait_for
from esker.storage.prices import restore_price, speeds, storage_classes
from esker.storage.s3.archive import Cold, Restored, Restoring, Warm
from esker.storage.tiers.glacier import GlacierTier
from tests.servers import Ministack, QuickClock, ministack, recall

_NUMBERS = count()
DAY = 86_400.0


@pytest.fixture(scope="module")
def server() -> Iterator[Ministack]:
    yield ministack()
    ministack().put_clock_ahead(0)


@pytest.fixture
def place() -> str:
    return f"cold/{next(_NUMBERS)}"


def opened(server: Ministack, place: str, **options: object) -> GlacierTier:
    tier = open_tier(server.uri(place, **options))
    assert isinstance(tier, GlacierTier)
    return tier


def written(tier: GlacierTier, number: int, size: int = 100) -> list[Extent]:
    return [
        Extent(stored.key, 0, 1, stored.bytes, stored.checksum or "")
        for stored in (tier.write(f"part-{name}", bytes([name]) * size) for name in range(number))
    ]


def restores(server: Ministack, place: str) -> list[int]:
    return [status for method, path, status in server.requests(place) if method == "POST" and "?restore" in path]


def gets(server: Ministack, place: str) -> list[int]:
    return [status for method, path, status in server.requests(place) if method == "GET" and "?" not in path]


def test_an_object_is_cold_then_restoring_then_restored(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    (extent,) = written(tier, 1)
    assert tier.archive_state("part-0") == Cold("GLACIER")
    assert tier.state(extent) is RecallState.COLD
    assert tier.request([extent]) == [5 * 3600.0]
    assert tier.archive_state("part-0") == Restoring("GLACIER")
    assert tier.state(extent) is RecallState.RECALLING
    recall(tier)
    found = tier.archive_state("part-0")
    assert isinstance(found, Restored) and found.until > QuickClock().wall_seconds() + 6 * DAY
    assert tier.state(extent) is RecallState.READY
    assert bytes(tier.read("part-0", [ByteRange(0, 100)])[0]) == bytes(100)


def test_an_object_that_is_not_restored_is_never_asked_for_its_bytes(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    extents = written(tier, 2)
    with pytest.raises(NotThawedError, match="'part-0'.*was not restored") as caught:
        tier.read("part-0", [ByteRange(0, 1)])
    assert caught.value.ready_seconds is None and caught.value.temporary
    tier.request(extents)
    with pytest.raises(NotThawedError, match="is being restored"):
        tier.read("part-1", [ByteRange(0, 1)])
    assert gets(server, place) == []


def test_each_object_is_restored_once_however_often_it_is_asked_for(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    extents = written(tier, 5)
    touched = extents[1:4]
    tier.request(touched)
    tier.request(touched)
    # Another process, that knows nothing of the first.
    opened(server, place).request(touched)
    recall(opened(server, place), [extent.key for extent in touched])
    opened(server, place).request(touched)
    assert restores(server, place) == [202, 202, 202]
    assert [tier.state(extent) for extent in extents] == [
        RecallState.COLD,
        *[RecallState.READY] * 3,
        RecallState.COLD,
    ]


def test_a_race_for_the_same_object_is_no_error(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    (extent,) = written(tier, 1)
    tier.request([extent])
    tier._restore("part-0")
    assert restores(server, place) == [202, 409]


def test_a_killed_run_goes_on_where_it_was(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    extents = written(tier, 6)
    code = f"""
import os, signal
from esker.core.extent import Extent
from esker.storage import open_tier
tier = open_tier({tier.uri!r})
restore, asked = tier._restore, []
def die_after_three(key):
    restore(key)
    asked.append(key)
    if len(asked) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
tier._restore = die_after_three
for number in range(6):
    tier.request([Extent(f"part-{{number}}", 0, 1, 100, "")])
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(restores(server, place)) == 3
    assert {extent.key for extent in wait_for(tier, extents, clock=QuickClock())} == {f"part-{n}" for n in range(6)}
    assert restores(server, place) == [202] * 6


def test_an_expired_copy_is_cold_again_and_said_to_be(server: Ministack, place: str) -> None:
    clock = QuickClock()
    tier = GlacierTier.open(f"//{place}", _options(server, place, days=1), clock=clock)
    (extent,) = written(tier, 1)
    recall(tier)
    assert bytes(tier.read("part-0", [ByteRange(0, 1)])[0]) == b"\0"
    server.put_clock_ahead(3 * DAY)
    try:
        # Our clock does not know: the store's word counts, and the next look finds it cold.
        with pytest.raises(NotThawedError):
            tier.read("part-0", [ByteRange(0, 1)])
        with pytest.raises(NotThawedError, match="was not restored"):
            tier.read("part-0", [ByteRange(0, 1)])
        assert tier.state(extent) is RecallState.COLD
        assert gets(server, place) == [206, 403]
    finally:
        server.put_clock_ahead(0)


def test_a_copy_that_is_about_to_expire_is_kept_longer_while_it_is_read(server: Ministack, place: str) -> None:
    class Late(QuickClock):
        ahead = 0.0

        def wall_seconds(self) -> float:
            return super().wall_seconds() + self.ahead

    clock = Late()
    tier = GlacierTier.open(f"//{place}", _options(server, place, days=2), clock=clock)
    written(tier, 1)
    recall(tier)
    found = tier.archive_state("part-0")
    assert isinstance(found, Restored)
    clock.ahead = found.until - clock.wall_seconds() - 3600
    server.put_clock_ahead(clock.ahead)
    try:
        assert bytes(tier.read("part-0", [ByteRange(0, 1)])[0]) == b"\0"
        again = tier.archive_state("part-0")
        assert isinstance(again, Restored) and again.until >= found.until + 2 * DAY
        assert restores(server, place) == [202, 200]
        tier.read("part-0", [ByteRange(0, 1)])
        assert len(restores(server, place)) == 2
    finally:
        server.put_clock_ahead(0)


def test_one_that_is_never_ready_ends_at_the_deadline_with_what_is_missing(server: Ministack, place: str) -> None:
    class Frozen(QuickClock):
        def sleep(self, seconds: float) -> None:
            self.slept += seconds

    clock = Frozen()
    tier = GlacierTier.open(f"//{place}", _options(server, place), clock=clock)
    extents = written(tier, 3)
    polls: list[tuple[int, int]] = []
    tier.archive_state = lambda key: Restoring("GLACIER")  # type: ignore[method-assign]
    with pytest.raises(NotThawedError, match=r"3 of 3 extents.*'part-0'.*run the same again") as caught:
        for _ in wait_for(tier, extents, deadline=4 * 3600, clock=clock, on_poll=lambda *done: polls.append(done)):
            pass
    assert caught.value.temporary
    assert clock.slept == pytest.approx(4 * 3600, rel=0.01)
    # A minute, then less and less often, a quarter of an hour at most.
    assert 16 <= len(polls) <= 24
    assert set(polls) == {(0, 3)}


def test_a_deadline_that_no_restore_can_meet_asks_for_nothing(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    extents = written(tier, 2)
    with pytest.raises(NotThawedError, match="nothing was asked for"):
        tier.request(extents, deadline=3600)
    assert restores(server, place) == []
    opened(server, place, speed="expedited").request(extents, deadline=3600)
    assert restores(server, place) == [202, 202]


def test_the_price_is_told_before_and_only_for_what_is_cold(server: Ministack, place: str) -> None:
    tier = opened(server, place, **{"class": "DEEP_ARCHIVE", "speed": "bulk", "days": 3})
    extents = written(tier, 4, size=1000)
    listed = restore_price("DEEP_ARCHIVE", "bulk")
    price = tier.price(extents)
    reading = tier.estimate([])
    assert reading.requests == 0
    gets_money = 4 * tier.device.money_per_request
    assert price.money == pytest.approx(listed.money(4000, 4, 3) + gets_money)
    assert price.seconds >= 48 * 3600
    assert (price.bytes, price.requests) == (4000, 8)
    assert restores(server, place) == []
    before = tier.counted
    tier.request(extents[:1])
    assert tier.counted.since(before).money == pytest.approx(listed.money(1000, 1, 3))
    assert tier.price(extents).money == pytest.approx(listed.money(3000, 3, 3) + gets_money)
    recall(tier)
    after = tier.price(extents)
    assert after.money == pytest.approx(gets_money) and after.seconds < 10
    assert len(restores(server, place)) == 4


def test_an_object_of_a_warm_class_is_read_at_once(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    server.client().put_object(
        Bucket="cold", Key=f"{place.partition('/')[2]}/warm", Body=b"warm", StorageClass="STANDARD_IA"
    )
    assert tier.archive_state("warm") == Warm("STANDARD_IA")
    assert bytes(tier.read("warm", [ByteRange(0, 4)])[0]) == b"warm"
    assert tier.request([Extent("warm", 0, 1, 4, "")]) == [0.0]
    assert restores(server, place) == []


@pytest.mark.parametrize("size", [6 << 20])
def test_big_objects_are_archived_in_parts(server: Ministack, place: str, size: int) -> None:
    tier = opened(server, place)
    tier._single_bytes, tier._part_bytes = 1 << 20, 5 << 20
    content = bytes(range(256)) * (size // 256)
    assert tier.write("big", content).bytes == size
    assert tier.archive_state("big") == Cold("GLACIER")
    recall(tier)
    assert bytes(tier.read("big", [ByteRange(0, size)])[0]) == content


def test_a_missing_object_is_named(server: Ministack, place: str) -> None:
    tier = opened(server, place)
    for act in (lambda: tier.state(Extent("none", 0, 1, 1, "")), lambda: tier._restore("none")):
        with pytest.raises(TierError, match="no object 'none'"):
            act()


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("glacier://bucket?class=STANDARD", "GLACIER, DEEP_ARCHIVE"),
        ("glacier://bucket?class=DEEP_ARCHIVE&speed=expedited", "standard, bulk"),
        ("glacier://bucket?speed=fast", "expedited, standard, bulk"),
        ("glacier://bucket?days=0", "days"),
    ],
)
def test_an_option_that_is_not_offered_is_refused(uri: str, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        open_tier(uri)


def test_every_price_has_a_date_and_a_source() -> None:
    assert storage_classes() == ("GLACIER", "DEEP_ARCHIVE")
    for storage_class in storage_classes():
        for speed in speeds(storage_class):
            price = restore_price(storage_class, speed)
            assert price.date[:2] == "20" and price.source
            assert 0 < price.seconds_min <= price.seconds_max


def test_a_frozen_data_set_is_found_once_its_extents_are_restored(
    server: Ministack, place: str, tmp_path: Path
) -> None:
    table = pa.table({"key": [n // 10 for n in range(100)], "text": [f"row {n}" for n in range(100)]})
    esker.freeze(table, tmp_path / "a.esker", keys="key", index=["key"], tier=server.uri(place), extent_rows=10)
    tier = opened(server, place)
    recall(tier, [stored.key for stored in tier.list() if "00003" in stored.key])
    assert restores(server, place) == [202]
    found = esker.find(tmp_path / "a.esker", "key = 3").to_arrow()
    assert found["text"].to_pylist() == [f"row {n}" for n in range(30, 40)]
    with pytest.raises(NotThawedError, match="nothing was asked for"):
        esker.find(tmp_path / "a.esker", "key = 4", deadline="1h").to_arrow()
    assert restores(server, place) == [202]


def _options(server: Ministack, place: str, **options: object) -> dict[str, str]:
    text = server.uri(place, **options).partition("?")[2]
    return dict(word.split("=", 1) for word in text.split("&"))
