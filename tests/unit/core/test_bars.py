"""Bars follow the operators, and vanish."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

import esker
from esker.core.bars import LINE_SECONDS, Bars, Line


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_operator_has_a_bar_with_its_amount() -> None:
    console = terminal()
    bars = Bars(console)
    bars.advance("read", 2048, 4096, "bytes")
    bars.advance("join", 1200, None, "rows")
    bars.close()
    assert "2.0 KiB of 4.0 KiB" in shown(console)
    assert "1,200 rows" in shown(console)


def test_closing_shows_the_cursor_again_and_a_later_query_gets_new_bars() -> None:
    console = terminal()
    bars = Bars(console)
    for operator in ("first", "second"):
        bars.advance(operator, 1, 2, "rows")
        bars.close()
        assert shown(console).rindex("\x1b[?25h") > shown(console).rindex("\x1b[?25l")
    assert "second" in shown(console)
    bars.close()


def test_threads_may_advance_together() -> None:
    bars = Bars(terminal())
    threads = [
        threading.Thread(target=lambda name=name: [bars.advance(name, n, 50, "rows") for n in range(50)])
        for name in ("a", "b", "c")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bars._bars is not None
    assert [task.completed for task in bars._bars.tasks] == [49, 49, 49]
    bars.close()


def test_a_real_run_shows_its_operators_spill_and_memory() -> None:
    console = terminal()
    bars = Bars(console)
    rows = esker.from_arrow({"k": [n % 997 for n in range(60_000)], "note": [f"{n:0500d}" for n in range(60_000)]})
    for _ in rows.shuffle("k", 16).execute(memory="32MiB", progress=bars):
        pass
    bars.close()
    text = shown(console)
    for words in ("shuffle", "scan arrow", "60,000 rows", "spilled", "memory", "of 32.0 MiB", "on disk"):
        assert words in text, words


def test_a_restore_has_a_bar() -> None:
    console = terminal()
    bars = Bars(console)
    bars.watch({"event": "recall", "extents": ["a", "b"], "extent_bytes": [1024, 1024]})
    bars.watch({"event": "recall_waiting", "ready": 1, "total": 2})
    bars.close()
    assert "1 of 2 restored" in shown(console)


def test_names_from_data_are_no_markup_and_control_no_terminal() -> None:
    console = terminal()
    bars = Bars(console)
    bars.advance("sort [bold]x[/nothing]\x1b[2J", 1, 2, "columns")
    bars.close()
    assert "[bold]x[/nothing]" in shown(console) and "\x1b[2J" not in shown(console)


def test_where_no_one_looks_a_long_run_ends_with_one_line_and_a_short_one_with_none() -> None:
    out = io.StringIO()
    line = Line(out)
    for seconds in (LINE_SECONDS / 2, 90.0):
        line.watch({"event": "operator", "seconds": 0.1, "step": 1, "rows": 7})
        line.watch({"event": "operator", "seconds": 0.2, "step": 0, "rows": 1200})
        memory = {"held_bytes": 0, "peak_held_bytes": 1 << 20, "budget_bytes": 1 << 26, "spilled_bytes": 4096}
        line.watch({"event": "memory", "seconds": seconds, **memory})
        line.close()
    assert out.getvalue() == "1,200 rows in 90.0 s, at most 1.0 MiB of 64.0 MiB memory, spilled 4.0 KiB\n"


def test_progress_from_python_is_silent_in_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    rows = esker.from_arrow({"n": [1, 2, 3]})
    assert rows.count(progress=True) == 3
    assert esker.of([1, 2]).with_options(runtime="inline", progress=True).count() == 2
    assert capfd.readouterr() == ("", "")
