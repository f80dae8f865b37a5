"""A cluster of real processes: what was put is there, answers are those of one process, a node may die."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import esker
from esker.bitmap import Bitmap, ranges
from esker.cli.main import main
from esker.clients import sqlite
from esker.cluster.layout import Layout
from esker.cluster.local import LocalCluster
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import AuthenticationError, InputError, WorkerLostError
from esker.runtime.flight import new_token

ROWS = 150_000


def vectors(count: int, seed: int) -> dict[int, Bitmap]:
    dice = np.random.default_rng(seed)
    return {number: Bitmap.from_positions(dice.integers(0, ROWS, 3000), ROWS) for number in range(count)}


def test_three_nodes_answer_as_one_process_does_and_one_may_be_killed(tmp_path: Path) -> None:
    known = vectors(12, seed=1)
    questions = [[(0, 3), (2, 9)], [(0, 11)], [(5, 5)], [(0, 1), (1, 2), (2, 3)]]
    with LocalCluster(tmp_path / "cluster") as local:
        local.up(nodes=3)
        with local.connect() as cluster:
            cluster.put_many(known)
            expected = [ranges(known, one).rows() for one in questions]
            assert cluster.query_many(questions) == expected
            local.signal("node-1", signal.SIGKILL)
            # Others answer at once; a put waits until the dead node is off the ring, and is done then.
            assert cluster.query_many(questions) == expected
            known |= {3: Bitmap.from_positions([1, 70_000], ROWS), 12: Bitmap.from_positions([149_999], ROWS)}
            cluster.put_many({3: known[3], 12: known[12]})
            assert cluster.query("R:[2,12]&[3,3]") == ranges(known, [(2, 12), (3, 3)]).rows()
            assert cluster.count([(12, 12)]) == 1
            status = cluster.status()
            assert status["members"] == [0, 2] and not status["lost"] and not status["undecided"]
            assert all(node["in_doubt"] == [] for node in status["nodes"])
            with pytest.raises(InputError, match="no index 'other'; there is: vectors"):
                cluster.query("R:[0,1]", index="other")
        with pytest.raises(AuthenticationError):
            LocalCluster.connect(local, token=new_token()).status()
        words = [sys.executable, "-m", "esker.cli.main", "cluster", "status", str(local.folder), "--json"]
        printed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        assert json.loads(printed)["members"] == [0, 2]
    assert local.running() == {}


def test_sqlite_polars_and_duckdb_are_clients_of_a_cluster(tmp_path: Path) -> None:
    people = pa.table(
        {"age": [20, 76, None, 42, 20] * 40_000, "city": ["Tacoma", "Spokane", "Seattle", None, "Spokane"] * 40_000}
    ).append_column("line", pa.array(range(200_000)))
    with LocalCluster(tmp_path / "cluster") as local:
        local.up(nodes=2)
        url = f"{local.address}/people?token_file={local.token_file}"
        with local.connect() as cluster:
            cluster.build(people, ["age", "city"], index="people")
            assert cluster.count("age < 50 AND NOT city = 'Tacoma'", index="people") == 40_000
            # Of this no vector knows: the rows are looked at.
            assert cluster.query("age = 42 AND line < 10", index="people").to_numpy().tolist() == [3, 8]
            # Built anew while others ask, it is the new one for all.
            cluster.build(people.slice(0, 150_000), ["age", "city"], index="people", block_rows=40_000)
            assert cluster.count("city IS NULL OR age IS NULL", index="people") == 60_000
        connection = apsw.Connection(":memory:")
        sqlite.register(connection, "people", url)
        asked = "SELECT line FROM people WHERE age > 50 AND city = 'Spokane' LIMIT 3"
        assert connection.execute(asked).fetchall() == [(1,), (6,), (11,)]
        found = (
            esker.scan_polars(url).filter((pl.col("age") == 42) & (pl.col("line") > 149_990)).select("line").collect()
        )
        assert found["line"].to_list() == [149_993, 149_998]
        with duckdb.connect() as duck:
            duck.register("people", esker.as_arrow_dataset(url))
            assert duck.execute("SELECT count(*), min(line) FROM people WHERE city IS NULL").fetchall() == [(30_000, 3)]
        assert esker.read(url).filter("line = 77").to_arrow().to_pylist() == [
            {"age": None, "city": "Seattle", "line": 77}
        ]


def test_blocks_are_divided_and_joined_while_they_are_asked_and_written(tmp_path: Path) -> None:
    known = vectors(6, seed=2)
    question = [(0, 3), (2, 5)]
    with LocalCluster(tmp_path / "cluster") as local:
        local.up(nodes=4, split_bytes="4KiB")
        with local.connect() as cluster, local.connect() as other:
            cluster.create("hot", ROWS, placement="dynamic", block_rows=1 << 17)
            cluster.put_many(known, index="hot")
            other.put_many({0: known[0]}, index="hot")
            assert len(cluster.layout("hot").blocks.parts(0)) == 2
            killed, number = False, 0
            deadline = SYSTEM_CLOCK.seconds() + 120
            while len(blocks := cluster.blocks("hot")) < 6:
                assert SYSTEM_CLOCK.seconds() < deadline, cluster.status()
                number += 1
                known[number % 6] = vectors(1, seed=number + 10)[0]
                # Each client learns by itself that blocks became others.
                (cluster, other)[number % 2].put_many({number % 6: known[number % 6]}, index="hot")
                assert other.query(question, index="hot") == ranges(known, question).rows()
                assert [start for start, _ in blocks] == [0, *(stop for _, stop in blocks[:-1])]
                assert blocks[-1][1] == ROWS
                if len(blocks) > 2 and not killed:
                    local.signal("node-3", signal.SIGKILL)
                    killed = True
            assert all(start % 8192 == 0 for start, _ in blocks)
            # Without rows they are small, and joined again.
            for number in range(6):
                cluster.put(number, Bitmap.from_positions([number, 140_000], ROWS), index="hot")
            deadline = SYSTEM_CLOCK.seconds() + 120
            while len(cluster.blocks("hot")) > 3:
                assert SYSTEM_CLOCK.seconds() < deadline, cluster.status()
                assert other.count([(0, 2)], index="hot") == 4
                SYSTEM_CLOCK.sleep(0.05)
            assert other.query("R:[0,2]", index="hot").to_numpy().tolist() == [0, 1, 2, 140_000]
            counts = cluster.coordinator_status()["counts"]
            assert counts["splits"] >= 4 and counts["merges"] >= 3
            assert cluster.indexes()[0]["blocks"] <= 3


def test_an_index_with_rows_is_partitioned_dynamically(tmp_path: Path) -> None:
    people = pa.table({"age": [20, 76, None, 42, 20] * 20_000}).append_column("line", pa.array(range(100_000)))
    with LocalCluster(tmp_path / "cluster") as local:
        local.up(nodes=3, split_bytes="64KiB")
        with local.connect() as cluster:
            cluster.build(people, ["age"], index="people", placement="dynamic")
            deadline = SYSTEM_CLOCK.seconds() + 120
            while len(cluster.blocks("people")) < 4:
                assert SYSTEM_CLOCK.seconds() < deadline, cluster.status()
                assert cluster.count("age < 50", index="people") == 60_000
            found = cluster.find("age = 42 AND line > 99990", index="people")
            assert found.to_pydict() == {"age": [42, 42], "line": [99_993, 99_998]}
            assert cluster.find(None, ["line"], index="people").column("line").to_pylist() == list(range(100_000))
            cluster.build(people.slice(0, 10), ["age"], index="people", placement="dynamic")
            assert cluster.count("age = 20", index="people") == 4


def test_when_a_process_does_not_start_those_that_were_started_with_it_are_ended(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "cluster") as local:
        local.folder.mkdir()
        # Where its folder should be is a file.
        (local.folder / "node-1").touch()
        with pytest.raises(
            WorkerLostError, match=r"^node-1 did not start: .*ended again.*: coordinator, node-0, node-2"
        ):
            local.up(nodes=3)
        assert not (local.folder / "cluster.json").exists() and not _running_in(local.folder)
        (local.folder / "node-1").unlink()
        local.up(nodes=2)
        running = local.running()
        # What ran before goes on.
        (local.folder / "node-3").touch()
        with pytest.raises(WorkerLostError, match="^node-3 did not start: .*ended again.*: node-2"):
            local.up(nodes=4)
        assert local.running() == local.processes() == running
        assert len(_running_in(local.folder)) == 3


def _running_in(folder: Path) -> list[int]:
    """The processes that have something in a folder among their words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(bytes(folder) + b"/") for word in words):
            found.append(int(path.parent.name))
    return found


def test_a_person_drops_an_index_from_the_command_line(tmp_path: Path) -> None:
    with LocalCluster(tmp_path / "cluster") as local:
        local.up(nodes=2)
        with local.connect() as cluster:
            cluster.build({"age": [20, 76, 42]}, ["age"], index="people")
            cluster.build({"age": [20]}, ["age"], index="kept")

        def command(*words: str) -> subprocess.CompletedProcess[str]:
            whole = [sys.executable, "-m", "esker.cli.main", "cluster", "drop", *words]
            return subprocess.run(whole, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)

        would = command(str(local.folder), "people", "--dry-run", "--json")
        assert json.loads(would.stdout) == {"would_drop": "people", "rows": 3}
        done = command(local.address, "people", "--token-file", str(local.token_file), "--yes")
        assert (done.returncode, done.stdout) == (0, "dropped people, 3 rows\n")
        again = command(str(local.folder), "people")
        assert again.returncode == 2
        assert "index 'people' of the cluster was dropped; there is: kept [ESK-111]" in again.stderr


@pytest.mark.parametrize(("answer", "code"), [("\n", 130), ("y\n", 0)])
def test_a_person_is_asked_before_an_index_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, code: int
) -> None:
    dropped: list[str] = []

    class Opened:
        def __enter__(self) -> Opened:
            return self

        def __exit__(self, *_: object) -> None:
            return

        def layout(self, index: str) -> Layout:
            return Layout.new(index, "row_block", 1234, 100)

        def drop(self, index: str) -> None:
            dropped.append(index)

    monkeypatch.setattr("esker.cli.cluster._opened", lambda *_: Opened())
    monkeypatch.setattr("sys.stdin", Typed(answer))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["cluster", "drop", str(tmp_path), "people"]) == code
    assert "dropping index people of 1,234 rows, for good: go on? [y/N]" in capsys.readouterr().err
    assert dropped == (["people"] if code == 0 else [])


class Typed(io.StringIO):
    """What a person types at a terminal."""

    def isatty(self) -> bool:
        return True
