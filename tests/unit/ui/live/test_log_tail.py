"""Reading a log while it is written: nothing is lost, nothing is believed, nothing is waited for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ui.live.every_event import every_event, write_log

from esker.core.event_log import read_events
from esker.ui.live import log_tail
from esker.ui.live.log_tail import LogTail, last_event


def all_of(tail: LogTail) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    while records := tail.read():
        found += records
    return found


def test_a_whole_log_is_read_as_read_events_reads_it(tmp_path: Path) -> None:
    path = write_log(tmp_path / "q.jsonl", every_event())
    assert all_of(LogTail(path)) == read_events(path)


@given(cuts=st.lists(st.integers(0, 4000), max_size=8))
def test_events_come_whole_wherever_the_writer_was_when_one_looked(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / "q.jsonl"
    written = "".join(
        json.dumps({"v": 1, "event": "é", "seconds": n}, ensure_ascii=False) + "\n" for n in range(80)
    ).encode()
    path.touch()
    tail, found, done = LogTail(path), [], 0
    for stop in [*sorted(cuts), len(written)]:
        with path.open("ab") as file:
            file.write(written[done : max(stop, done)])
        done = max(stop, done)
        found += [record["seconds"] for record in all_of(tail)]
    assert found == list(range(80))
    assert tail.problem is None


def test_a_line_that_is_not_finished_is_kept_until_it_is(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"v":1,"event":"a"}\n{"v":1,"ev')
    tail = LogTail(path)
    assert [record["event"] for record in all_of(tail)] == ["a"]
    with path.open("a") as file:
        file.write('ent":"b"}\n')
    assert [record["event"] for record in all_of(tail)] == ["b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "not a JSON line"),
        (b"[1, 2]", "not a JSON object"),
        (b'{"v": 2, "event": "a"}', "event schema 2, this Esker reads 1"),
        (b'{"v": 1, "event": "\xff"}', "not UTF-8"),
        (b'{"v": 1, "seconds": NaN}', "not a JSON line"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"v": 1, "n": ' + b"9" * 5000 + b"}", "not a JSON line"),
    ],
)
def test_a_bad_line_ends_the_reading_and_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b'{"v":1,"event":"a"}\n' + line + b'\n{"v":1,"event":"b"}\n')
    tail = LogTail(path)
    assert [record["event"] for record in all_of(tail)] == ["a"]
    assert tail.problem == f"q.jsonl, line 2: {reason}; what comes after is not shown"


def test_a_line_without_an_end_is_not_kept_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "LINE_BYTES_MAX", 1000)
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"x" * 5000)
    tail = LogTail(path)
    assert all_of(tail) == []
    assert tail.problem is not None
    assert "longer than" in tail.problem


def test_a_log_above_the_limit_is_shown_in_part_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "STEP_BYTES", 1000)
    path = write_log(tmp_path / "q.jsonl", [{"v": 1, "event": "a", "seconds": n} for n in range(1000)])
    tail = LogTail(path, limit_bytes=5000)
    assert 100 < len(all_of(tail)) < 250
    assert tail.problem is not None
    assert "larger than 4.9 KiB" in tail.problem


def test_a_log_that_was_replaced_or_cut_is_read_from_its_start(tmp_path: Path) -> None:
    path = write_log(tmp_path / "q.jsonl", [{"v": 1, "event": "a"}] * 3)
    tail = LogTail(path)
    all_of(tail)
    path.write_text('{"v":1,"event":"b"}\n')
    assert ([record["event"] for record in all_of(tail)], tail.generation) == (["b"], 1)
    write_log(tmp_path / "new.jsonl", [{"v": 1, "event": "c"}]).replace(path)
    assert ([record["event"] for record in all_of(tail)], tail.generation) == (["c"], 2)


def test_a_pipe_in_the_place_of_a_log_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "q.jsonl")
    tail = LogTail(tmp_path / "q.jsonl")
    assert tail.read() == []
    assert tail.problem == "q.jsonl is no file"


def test_a_log_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "q.jsonl")
    assert tail.read() == []
    assert tail.problem == "cannot read q.jsonl: No such file or directory"


def test_the_last_event_of_a_file_is_found_from_its_end(tmp_path: Path) -> None:
    path = write_log(tmp_path / "q.jsonl", every_event())
    assert last_event(path) == "query_done"
    with path.open("a") as file:
        file.write('{"v":1,"event":"torn')
    assert last_event(path) == "query_done"
    path.write_bytes(b"\x00\n")
    assert last_event(path) == ""
