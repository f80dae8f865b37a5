from __future__ import annotations

from pathlib import Path

import pytest

import esker
from esker.core.event_log import EventLog, read_events, recent_logs
from esker.errors import InputFileError


def test_events_come_back_as_they_were_emitted(tmp_path: Path) -> None:
    path = tmp_path / "query.jsonl"
    log = EventLog(path)
    log.emit("operator", operator="scan", rows=3)
    log.close()
    opened, rows = read_events(path)
    assert opened["event"] == "log_opened"
    assert (rows["event"], rows["operator"], rows["rows"], rows["v"]) == ("operator", "scan", 3, 1)
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


def test_a_folder_gets_a_file_for_each_log_when_there_is_something_to_say(tmp_path: Path) -> None:
    logs = [EventLog(tmp_path, opening={"threads": 2}) for _ in range(3)]
    assert list(tmp_path.iterdir()) == []
    for number, log in enumerate(logs[:2]):
        log.emit("query_stopped", reason=str(number))
    for log in logs:
        log.close()
    found = recent_logs(tmp_path)
    assert len(found) == 2 and recent_logs(tmp_path, 1) == found[:1]
    opened, stopped = read_events(found[0])
    assert (opened["event"], opened["threads"], stopped["event"]) == ("log_opened", 2, "query_stopped")


def test_the_folder_that_the_environment_names_gets_a_log_of_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESKER_LOG_DIR", str(tmp_path / "logs"))
    rows = esker.from_arrow({"n": [1, 2, 3]})
    rows.explain()
    rows.count()
    esker.of([1, 2]).with_options(runtime="inline").count()
    rows.count(log=tmp_path / "own.jsonl")
    assert len(recent_logs(tmp_path / "logs")) == 2
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    assert read_events(tmp_path / "own.jsonl")[-1]["rows"] == 3


def test_a_folder_of_logs_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ESKER_LOG_DIR", str(tmp_path / "file" / "logs"))
    with pytest.raises(InputFileError, match="ESKER_LOG_DIR"):
        esker.from_arrow({"n": [1]}).count()
