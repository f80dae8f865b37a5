"""Thaws that run together: fewer mounts, each byte once, the same rows."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from esker.core.extent import ByteRange
from esker.core.row_set import RowSet
from esker.errors import TierError
from esker.storage import ReadRequest, Tier, open_tier
from esker.storage.tiers.memory import MemoryTier
from esker.thaw import PayloadExtent, plan_thaw, run
from esker.thaw.shared_reads import SharedReads
from tests.unit.thaw.tools import collected, small_context, stored, wide_table

TABLE = wide_table(400)
COLUMNS = ["text", "key"]
# Every query wants rows of every cartridge.
QUERIES = [RowSet.of(range(first, 400, 40)) for first in (0, 5, 9, 21)]


def library(folder: Path) -> tuple[str, list[PayloadExtent]]:
    tier = open_tier(f"tape:{folder}?device=lto9-hh&cartridge=8KiB&drives=1")
    return tier.uri, stored(TABLE, tier, extent_rows=50, group_rows=25)


def asked(tier: Tier, extents: list[PayloadExtent], rows: RowSet) -> tuple[list[int], pa.Table]:
    # A window is an extent or two: each query comes back for every cartridge.
    plan = plan_thaw(extents, tier, rows, COLUMNS, schema=TABLE.schema, read_ahead_bytes=1000)
    assert len(plan.windows) > 3
    with small_context() as context:
        return collected(run(plan, context), plan.schema)


def together(tier: Tier, extents: list[PayloadExtent]) -> list[tuple[list[int], pa.Table]]:
    found: dict[int, tuple[list[int], pa.Table]] = {}
    begin = threading.Barrier(len(QUERIES))

    def query(number: int) -> None:
        with SharedReads.of(tier).running():
            # All have begun before the first one reads.
            begin.wait()
            found[number] = asked(tier, extents, QUERIES[number])

    threads = [threading.Thread(target=query, args=(number,)) for number in range(len(QUERIES))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(QUERIES))]


def test_queries_together_mount_less_than_one_after_the_other_and_give_the_same_rows(tmp_path: Path) -> None:
    uri, extents = library(tmp_path)
    alone_tier, shared_tier = open_tier(uri), open_tier(uri)
    alone = [asked(alone_tier, extents, rows) for rows in QUERIES]
    SharedReads.of(shared_tier)._gather_seconds = 60.0
    shared = together(shared_tier, extents)
    assert shared == alone
    assert [ids for ids, _ in shared] == [rows.to_numpy().tolist() for rows in QUERIES]
    assert shared_tier.counted.mounts <= alone_tier.counted.mounts / 2
    assert shared_tier.counted.seconds < alone_tier.counted.seconds / 2


class Noting(MemoryTier):
    """A tier that notes what it is asked for, and may fail."""

    fails = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: list[ReadRequest] = []

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        if self.fails:
            raise TierError("the arm is stuck")
        for request, data in super().fetch(requests):
            self.asked.append(request)
            yield request, data


def fetched_together(shared: SharedReads, asks: list[list[ReadRequest]]) -> list[object]:
    """Fetch in a thread each; what came, or the error."""
    found: dict[int, object] = {}
    begin = threading.Barrier(len(asks))

    def fetch(number: int) -> None:
        with shared.running():
            begin.wait()
            try:
                found[number] = [(request, bytes(data)) for request, data in shared.fetch(asks[number])]
            except TierError as error:
                found[number] = error.message

    threads = [threading.Thread(target=fetch, args=(number,)) for number in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[number] for number in range(len(asks))]


def test_a_byte_that_several_want_is_read_once() -> None:
    tier = Noting("shared-once")
    content = bytes(range(100))
    tier.write("a", content)
    tier.write("b", content)
    asks = [
        [ReadRequest("a", ByteRange(0, 40)), ReadRequest("b", ByteRange(5, 6))],
        [ReadRequest("a", ByteRange(30, 60))],
        [ReadRequest("a", ByteRange(60, 70)), ReadRequest("a", ByteRange(0, 40))],
    ]
    found = fetched_together(SharedReads(tier, gather_seconds=60.0), asks)
    assert found == [[(one, content[one.range.start : one.range.stop]) for one in ask] for ask in asks]
    assert sorted(tier.asked) == [
        ReadRequest("a", ByteRange(0, 60)),
        ReadRequest("a", ByteRange(60, 70)),
        ReadRequest("b", ByteRange(5, 6)),
    ]


def test_what_the_tier_raises_is_raised_in_every_thaw_that_waits_and_the_next_one_goes_on() -> None:
    tier = Noting("shared-fails")
    tier.write("a", bytes(100))
    shared = SharedReads(tier, gather_seconds=60.0)
    asks = [[ReadRequest("a", ByteRange(number, 50))] for number in range(3)]
    tier.fails = True
    assert fetched_together(shared, asks) == ["the arm is stuck"] * 3
    tier.fails = False
    assert len(fetched_together(shared, asks)) == 3


def test_a_thaw_that_does_other_things_holds_nobody_up_for_long() -> None:
    tier = Noting("shared-busy")
    tier.write("a", bytes(100))
    shared = SharedReads(tier, gather_seconds=0.01)
    busy, done = threading.Event(), threading.Event()

    def idle() -> None:
        with shared.running():
            busy.set()
            done.wait(60)

    thread = threading.Thread(target=idle)
    thread.start()
    busy.wait(60)
    with shared.running(), shared.running():
        assert len(shared.fetch([ReadRequest("a", ByteRange(0, 5))])) == 1
    assert shared.rounds == 1
    done.set()
    thread.join()
