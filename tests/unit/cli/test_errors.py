"""What is wrong is said in a line, with an exit code that scripts can tell apart."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from tests.unit.cli.command import Run, one_line

from esker import errors
from esker.cli.outcome import exit_code_of, message_of


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("find", "missing.parquet", "a > 1"), "missing.parquet"),
        (("find", "{flights}", "mont = 6"), "did you mean 'month'"),
        (("find", "{flights}", "month = 6", "--columns", "orign"), "did you mean 'origin'"),
        (("find", "{flights}", "month = 6", "--memory", "lots"), "memory='lots' is not a size"),
        (("find", "{flights}", "month = 6", "--max-cost", "seconds"), "write name=value"),
        (("find", "{flights}", "month = 6", "--max-cost", "hours=1"), "max_cost has no 'hours'"),
        (("find", "{flights}", "month = 6", "--format", "xml"), "csv, jsonl, arrow"),
        (("find", "{flights}", "month = 6", "--output", "late.txt"), "late.txt"),
        (("find", "{flights}", "month = 6", "--output", "no/late.csv"), "there is no folder no"),
        (("find", "{flights}", "month = 6", "--output", "{flights}"), "exists already"),
        (("find", "{flights}"), "missing argument 'PREDICATE'"),
        (("find", "{flights}", "month = 6", "--thread", "2"), "no such option: --thread"),
        (("join", "{flights}", "{flights}"), "--on"),
        (("join", "{flights}", "{flights}", "--on", "id=nope"), "no column 'nope'"),
        (("join", "{flights}", "{flights}", "--on", "id", "--how", "sideways"), "inner, left"),
        (("join", "{flights}", "{flights}", "--on", "id", "--algorithm", "magic"), "magic"),
        (("shuffle", "{flights}", "--output", "by"), "--by"),
        (("shuffle", "{flights}", "--by", "id", "--partitions", "0", "--output", "by"), "partitions=0"),
        (("explain", "{flights}", "--on", "id"), "--join"),
        (("freeze", "{flights}", "new.esker"), "--key"),
        (("freeze", "{flights}", "new.esker", "--index", "delay:bins=a"), "delay:bins=0,15,60"),
        (("freeze", "{flights}", "new.esker", "--index", "delay:magic"), "magic"),
        (("freeze", "{flights}", "no/new.esker", "--key", "id"), "no"),
        (("freeze", "{flights}", "new.esker", "--key", "id", "--tier", "floppy:/a"), "floppy"),
        (("nonsense",), "no such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    run: Run, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    ended = run(*(word.format(flights=flights) for word in arguments))
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert said in ended.err
    assert one_line(ended.err)
    assert sorted(tmp_path.iterdir()) == before


def test_a_predicate_error_points_at_the_character(run: Run, flights: Path) -> None:
    ended = run("find", flights, "month = 6 AND AND delay > 5")
    message, predicate, caret = ended.err.rstrip("\n").splitlines()
    assert ended.code == 2
    assert message.startswith("error: ")
    assert predicate[caret.index("^") :].startswith("AND delay")


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"not a parquet file", "noise.parquet"), (b"a,b\n1,2\n3\n", "ragged.csv"), (b"", "empty.csv")],
)
def test_a_damaged_input_is_named_without_a_traceback(run: Run, tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    ended = run("find", tmp_path / name, "a = 1", "--output", tmp_path / "out.csv")
    assert ended.code == 2
    assert name in ended.err
    assert "Traceback" not in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_a_limit_on_cost_is_a_resource_error(run: Run, flights: Path, tmp_path: Path) -> None:
    run("freeze", flights, tmp_path / "f.esker", "--index", "month")
    ended = run("find", tmp_path / "f.esker", "month = 6", "--max-cost", "bytes=1")
    assert ended.code == 1
    assert "nothing was read" in ended.err
    assert one_line(ended.err)


def test_a_limit_on_spill_is_named_when_it_is_reached(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("k,v\n" + "".join(f"{row % 97},{row:040}\n" for row in range(400_000)))
    ended = run(
        "shuffle", source, "--by", "k", "--output", tmp_path / "by", "--memory", "16MiB", "--spill-limit", "64KiB"
    )
    assert ended.code == 1
    assert "spill_limit=64KiB" in ended.err
    assert one_line(ended.err)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_debug_adds_the_traceback(run: Run) -> None:
    ended = run("find", "missing.parquet", "a > 1", "--debug")
    assert ended.code == 2
    assert "Traceback" in ended.err
    assert ended.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UnknownColumnError("c"), 2),
        (errors.OutputExistsError("t"), 2),
        (errors.CatalogCorruptError("c"), 1),
        (errors.MemoryBudgetExceededError("m"), 1),
        (errors.SpillError("s"), 1),
        (errors.UserFunctionError("u"), 1),
        (errors.MissingExtraError("d"), 1),
        (errors.CancelledError("stopped"), 130),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (PermissionError(13, "Permission denied", "rows.parquet"), 1),
        (MemoryError(), 1),
        (RuntimeError("bug"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_error_has_its_exit_code_and_words(error: BaseException, code: int) -> None:
    assert exit_code_of(error) == code
    assert message_of(error)


def test_a_bug_of_ours_asks_to_be_reported(run: Run, flights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("not sealed")

    monkeypatch.setattr("esker.read", broken, raising=False)
    ended = run("find", flights, "month = 6")
    assert ended.code == 1
    assert "internal error: AssertionError: not sealed" in ended.err
    assert one_line(ended.err)


def test_a_reader_that_goes_away_ends_the_command_quietly(
    run: Run, flights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        stdout = io.TextIOWrapper(pipe, write_through=True)
        monkeypatch.setattr("sys.stdout", stdout)
        ended = run("find", flights, "month > 0", "--quiet")
        monkeypatch.undo()
        stdout.detach()
    assert (ended.code, ended.err) == (141, "")
