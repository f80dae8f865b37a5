"""`esker run`: scripts run as Python runs them, with options for their queries."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from tests.unit.cli.command import Run, one_line

from esker.core.defaults import filled
from esker.core.event_log import read_events, recent_logs


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return tmp_path / "report.py"


def test_a_script_has_its_arguments_its_folder_and_its_name(run: Run, script: Path) -> None:
    (script.parent / "beside_it.py").write_text("WORD = 'found'\n")
    script.write_text("import sys, beside_it\nprint(__name__, sys.argv[1:], beside_it.WORD)\n")
    before = sys.argv, sys.path.copy()
    ended = run("run", "--quiet", script, "--memory", "x", "--help")
    assert (ended.code, ended.out, ended.err) == (0, "__main__ ['--memory', 'x', '--help'] found\n", "")
    assert (sys.argv, sys.path) == before


def test_options_hold_for_queries_that_do_not_say_otherwise(run: Run, script: Path, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    script.write_text(
        "import esker\n"
        "rows = esker.from_arrow({'n': range(5000)})\n"
        "rows.count()\n"
        "rows.with_options(memory='32MiB').count()\n"
        "esker.of([1, 2]).with_options(runtime='inline').count()\n"
    )
    assert run("run", "--memory", "64MiB", "--threads", 1, "--log", logs, script).code == 0
    opened = [read_events(path)[0] for path in sorted(recent_logs(logs))]
    assert [event["budget_bytes"] >> 20 for event in opened] == [64, 32, 64]
    assert [event["threads"] for event in opened] == [1, 1, 1]
    from esker.collection.options import DEFAULT_OPTIONS

    assert filled(DEFAULT_OPTIONS) is DEFAULT_OPTIONS, "nothing holds after the script"


def test_each_query_says_what_it_found_unless_it_is_to_be_quiet(run: Run, script: Path) -> None:
    script.write_text("import esker\nesker.from_arrow({'n': range(5000)}).filter('n >= 0').count()\n")
    assert "finding: the filter" in run("run", script).err
    assert run("run", "--quiet", script).err == ""


@pytest.mark.parametrize(("end", "code"), [("sys.exit(7)", 7), ("sys.exit()", 0), ("sys.exit('no')", 1), ("1 / 0", 1)])
def test_it_ends_as_the_script_does(run: Run, script: Path, end: str, code: int) -> None:
    script.write_text(f"import sys\n{end}\n")
    ended = run("run", script)
    assert ended.code == code
    if end == "1 / 0":
        assert f'File "{script}", line 2' in ended.err and "cli/run.py" not in ended.err


def test_an_error_of_esker_is_told_with_the_line_of_the_script(run: Run, script: Path) -> None:
    script.write_text("import esker\n\nesker.from_arrow({'n': [1]}).select(['m'])\n")
    ended = run("run", script)
    assert ended.code == 1 and one_line(ended.err)
    assert ended.err.startswith(f"{script}:3: error: no column 'm'")


def test_ctrl_c_ends_a_script_as_it_ends_python(run: Run, script: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    script.write_text(f"import os, signal\nos.kill({os.getpid()}, signal.SIGINT)\nwhile True: pass\n")
    ended = run("run", script)
    assert (ended.code, ended.err) == (130, "stopped: Ctrl-C\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_ends_a_script_in_order(run: Run, script: Path, tmp_path: Path) -> None:
    script.write_text(
        f"import os, signal\ntry:\n    os.kill({os.getpid()}, signal.SIGTERM)\n    while True: pass\n"
        f"finally:\n    import pathlib; pathlib.Path({str(tmp_path / 'cleaned')!r}).touch()\n"
    )
    assert run("run", script).code == 143
    assert (tmp_path / "cleaned").exists()


def test_what_is_no_script_is_a_wrong_call(run: Run, script: Path) -> None:
    assert run("run", script).code == 2
    script.write_text("def f(:\n")
    ended = run("run", script)
    assert ended.code == 2 and f"{script}:1: invalid syntax" in ended.err
    script.write_text("raise SystemExit(9)\n")
    assert run("run", "--dry-run", script).code == 0
    assert run("run", "--json", script).code == 2
