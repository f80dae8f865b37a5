"""Bars follow the operators, and vanish."""

from __future__ import annotations

import io
import threading

from rich.console import Console

from esker.cli.progress import Bars


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
