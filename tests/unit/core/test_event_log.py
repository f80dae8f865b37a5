from __future__ import annotations

from pathlib import Path

import pytest

from esker.core.event_log import EventLog, read_events
from esker.errors import InputFileError


def test_events_come_back_as_they_were_emitted(tmp_path: Path) -> None:
    path = tmp_path / "query.jsonl"
    log = EventLog(path)
    log.emit("operator_rows", operator="scan", rows=3)
    log.close()
    opened, rows = read_events(path)
    assert opened["event"] == "log_opened"
    assert (rows["event"], rows["operator"], rows["rows"], rows["v"]) == ("operator_rows", "scan", 3, 1)
    assert rows["seconds"] >= opened["seconds"]


def test_a_torn_last_line_is_dropped_and_a_torn_middle_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "query.jsonl"
    path.write_text('{"v":1,"seconds":0,"event":"a"}\n{"v":1,"sec')
    assert [event["event"] for event in read_events(path)] == ["a"]
    path.write_text('{"v":1,"sec\n{"v":1,"seconds":0,"event":"a"}\n')
    with pytest.raises(InputFileError, match=r"query.jsonl:1"):
        read_events(path)


def test_a_log_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "query.jsonl"
    path.write_text('{"v":99,"event":"a"}\n')
    with pytest.raises(InputFileError, match="schema 99"):
        read_events(path)


def test_a_log_that_cannot_be_written_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="nowhere"):
        EventLog(tmp_path / "nowhere" / "query.jsonl")


def test_version_1_is_read_as_it_was_written() -> None:
    golden = Path(__file__).parents[2] / "golden" / "event-log-1.jsonl"
    events = read_events(golden)
    assert [event["event"] for event in events] == ["log_opened", "extent_read", "query_done"]
    assert events[2]["plan"] == {"operator": "find", "rows": 3}
