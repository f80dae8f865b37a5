from __future__ import annotations

import gc

import pytest

from esker.core.cancellation import Cancellation
from esker.errors import CancelledError


def test_a_query_that_ends_does_not_cancel_its_session() -> None:
    session = Cancellation()
    first, second = session.child(), session.child()
    first.cancel("the query ended")
    session.check()
    second.check()
    session.cancel("Ctrl-C")
    with pytest.raises(CancelledError, match="Ctrl-C"):
        second.check()


def test_a_child_of_a_cancelled_session_starts_cancelled() -> None:
    session = Cancellation()
    session.cancel("Ctrl-C")
    with pytest.raises(CancelledError, match="Ctrl-C"):
        session.child().check()


def test_ended_queries_leave_nothing_behind_in_the_session() -> None:
    session = Cancellation()
    for _ in range(100):
        session.child().cancel("the query ended")
    gc.collect()
    assert session._callbacks == []


def test_callbacks_run_once_and_late_ones_at_once() -> None:
    token, calls = Cancellation(), []
    token.on_cancel(lambda: calls.append("early"))
    token.cancel()
    token.cancel()
    token.on_cancel(lambda: calls.append("late"))
    assert calls == ["early", "late"]
