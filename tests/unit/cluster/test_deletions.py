"""Rows that were deleted are seen by nobody, whoever deletes beside whom and however blocks are divided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

import esker
from esker.bitmap import Bitmap
from esker.cluster import Cluster, connect
from esker.cluster.coordinator_server import CoordinatorServer
from esker.cluster.node_server import NodeServer
from esker.cluster.reshapes import Bounds
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import UnknownIndexError
from esker.runtime.flight import Security, ServerAddress

HERE = ServerAddress("127.0.0.1:0")
ROWS = 40_000
TABLE = pa.table({"age": [n * 7919 % 90 for n in range(ROWS)], "line": list(range(ROWS))})
AGES = np.array(TABLE["age"])


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("deletions")
    server = CoordinatorServer(
        folder / "c", HERE, Security(), tick_seconds=0.1, bounds=Bounds(split_bytes=96 << 10, merge_part=0.0)
    )
    nodes = [
        NodeServer(folder / f"{number}", HERE, server.address, Security(), number=number, tick_seconds=0.1)
        for number in range(3)
    ]
    try:
        with connect(server.address) as cluster:
            deadline = SYSTEM_CLOCK.seconds() + 120
            while len(cluster.coordinator_status()["members"]) < 3:
                assert SYSTEM_CLOCK.seconds() < deadline
                SYSTEM_CLOCK.sleep(0.05)
        yield server.address
    finally:
        for one in (*nodes, server):
            one.stop()


def lines(cluster: Cluster, index: str, predicate: str | None = None) -> list[int]:
    found: list[int] = cluster.find(predicate, ["line"], index=index)["line"].to_pylist()
    return found


@pytest.mark.parametrize("placement", ["row_block", "dynamic"])
def test_deleted_rows_are_in_no_answer(address: str, placement: str) -> None:
    index = f"people-{placement}"
    with connect(address) as cluster, connect(address) as other:
        cluster.build(TABLE, ["age"], index=index, placement=placement, block_rows=8192)
        # This one knows the index from before, and of no deletion.
        assert other.count("age < 30", index=index) == int((AGES < 30).sum())
        there = np.ones(ROWS, bool)
        # What vectors say, what rows say, both, a range of vectors, nothing, and what is gone already.
        ids = np.arange(ROWS)
        for question, rows in [
            ("age < 10", AGES < 10),
            ("line >= 39000", ids >= 39_000),
            ("age = 50 AND line < 20000", (AGES == 50) & (ids < 20_000)),
            ([(60, 61)], (AGES == 60) | (AGES == 61)),
            ("age = 1000", np.zeros(ROWS, bool)),
            ("age < 10", AGES < 10),
        ]:
            assert cluster.delete(question, index=index) == int((there & rows).sum())
            there &= ~rows
            for one in (cluster, other):
                assert one.count_many(["age < 30", "line < 5000", "age >= 0 OR age IS NULL"], index=index) == [
                    int((there & (AGES < 30)).sum()), int(there[:5000].sum()), int(there.sum()),
                ]  # fmt: skip
                assert one.query("age = 50", index=index).to_numpy().tolist() == ids[there & (AGES == 50)].tolist()
        assert lines(other, index) == ids[there].tolist()
        assert lines(other, index, "age = 60 OR age = 20") == ids[there & np.isin(AGES, [20, 60])].tolist()
        url = f"{address}/{index}"
        assert esker.read(url).filter("line < 100").to_arrow().num_rows == int(there[:100].sum())
        assert esker.read(url).count() == int(there.sum())
        with flight.FlightClient(address) as client:
            asked = flight.Ticket(json.dumps({"index": index, "count": True}).encode())
            assert client.do_get(asked).read_all().to_pydict() == {"count": [int(there.sum())]}
            listed = {info.descriptor.path[0].decode(): info.total_records for info in client.list_flights()}
            assert listed[index] == int(there.sum())
        # An index that is built anew has all its rows.
        cluster.build(TABLE, ["age"], index=index, placement=placement)
        assert [one.count(None, index=index) for one in (cluster, other)] == [ROWS, ROWS]


def test_blocks_that_are_divided_take_their_deletions_with_them(address: str) -> None:
    with connect(address) as cluster:
        cluster.create("hot", ROWS, placement="dynamic", block_rows=ROWS)
        dice = np.random.default_rng(3)
        known = {n: Bitmap.from_positions(dice.integers(0, ROWS, ROWS // 4), ROWS) for n in range(4)}
        cluster.put_many(known, index="hot")
        expected = set(known[1].rows().to_numpy().tolist()) - set(known[0].rows().to_numpy().tolist())
        assert cluster.delete([(0, 0)], index="hot") == len(known[0].rows())
        deadline = SYSTEM_CLOCK.seconds() + 120
        number = 4
        while len(cluster.blocks("hot")) < 3:
            assert SYSTEM_CLOCK.seconds() < deadline
            cluster.put(number, Bitmap.from_positions(dice.integers(0, ROWS, ROWS // 4), ROWS), index="hot")
            number += 1
            assert set(cluster.query([(1, 1)], index="hot").to_numpy().tolist()) == expected
        assert set(cluster.query([(1, 1)], index="hot").to_numpy().tolist()) == expected
        assert cluster.count([(0, 0)], index="hot") == 0


def test_who_deletes_at_the_same_time_loses_nothing(address: str) -> None:
    with connect(address) as cluster:
        cluster.build(TABLE, ["age"], index="crowd", block_rows=8192)

        def delete(age: int) -> int:
            with connect(address) as mine:
                return mine.delete(f"age = {age}", index="crowd")

        with ThreadPoolExecutor(8) as pool:
            deleted = list(pool.map(delete, range(40)))
        assert deleted == [int((age == AGES).sum()) for age in range(40)]
        assert lines(cluster, "crowd") == np.arange(ROWS)[AGES >= 40].tolist()


def test_rows_are_deleted_from_an_index_whose_vectors_are_placed_one_by_one(address: str) -> None:
    with connect(address) as cluster, connect(address) as other:
        cluster.build(TABLE.slice(0, 1000), ["age"], index="columns", placement="vector")
        ages = AGES[:1000]
        assert other.count_many([None, "age < 40"], index="columns") == [1000, int((ages < 40).sum())]
        for age in range(12):
            assert cluster.delete(f"age = {age}", index="columns") == int((age == ages).sum())
            left = age < ages
            assert other.count_many([None, "age < 40"], index="columns") == [
                int(left.sum()), int((left & (ages < 40)).sum()),
            ]  # fmt: skip
        assert (
            other.query("age < 15", index="columns").to_numpy().tolist()
            == np.flatnonzero((ages >= 12) & (ages < 15)).tolist()
        )


def test_vectors_that_are_put_are_deleted_from_where_they_are_placed_one_by_one(address: str) -> None:
    one, two = Bitmap.from_positions([1, 5, 7], 10), Bitmap.from_positions([2, 7], 10)
    with connect(address) as cluster, connect(address) as other:
        cluster.create("single", 10, placement="vector")
        cluster.put_many({1: one, 2: two}, index="single")
        assert other.query("R:[1,2]", index="single").to_numpy().tolist() == [1, 2, 5, 7]
        assert cluster.delete([(2, 2)], index="single") == 2
        for at in (cluster, other):
            assert at.query("R:[1,2]", index="single").to_numpy().tolist() == [1, 5]
            assert at.count_many(["R:[1,1]&[2,2]", "R:[1,1]", None], index="single") == [0, 2, 8]
        assert cluster.delete([(2, 2)], index="single") == 0
        # A deleted row stays deleted, whatever is put there.
        cluster.put(2, Bitmap.from_positions([2, 3], 10), index="single")
        assert other.query("R:[2,2]", index="single").to_numpy().tolist() == [3]
        cluster.drop("single")
        with pytest.raises(UnknownIndexError, match="'single' of the cluster was dropped"):
            other.count(None, index="single")
