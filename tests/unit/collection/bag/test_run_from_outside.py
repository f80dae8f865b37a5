"""What a run is told from outside: to stop, words for its tasks, and which errors a collection has."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import esker
from esker.core.cancellation import Cancellation
from esker.engine.bag.task_state import current_task
from esker.errors import CancelledError, InputError, NestedCollectionError


def _sleep(n: int) -> int:
    time.sleep(100)
    return n


@pytest.mark.parametrize("action", ["count", "collect", "take"])
def test_a_cancelled_run_ends_while_its_functions_sleep(action: str) -> None:
    token = Cancellation()
    bag = esker.range(4).map(_sleep).with_options(cancellation=token, workers=2)
    timer = threading.Timer(0.3, token.cancel, ["enough"])
    timer.start()
    with pytest.raises(CancelledError, match="enough"):
        bag.take(2) if action == "take" else getattr(bag, action)()
    timer.join()
    assert esker.range(4).with_options(workers=2).count() == 4


def test_a_reader_that_waits_for_a_stream_is_woken_too() -> None:
    token = Cancellation()
    numbers = iter(esker.range(4).map(_sleep).with_options(cancellation=token, workers=2))
    timer = threading.Timer(0.3, token.cancel, ["enough"])
    timer.start()
    with pytest.raises(CancelledError, match="enough"):
        next(numbers)
    timer.join()


def test_a_token_that_is_cancelled_beforehand_stops_at_once() -> None:
    token = Cancellation()
    token.cancel("too late")
    with pytest.raises(CancelledError, match="too late"):
        esker.range(4).map(_sleep).with_options(cancellation=token).count()


@pytest.mark.parametrize("runtime", ["processes", "threads", "inline"])
def test_tasks_are_told_the_properties_of_their_run(runtime: str) -> None:
    def colour(_: int) -> Any:
        task = current_task()
        return task.properties["colour"] if task is not None else None

    bag = esker.range(3, partitions=3).map(colour).with_options(runtime=runtime)
    assert bag.with_options(task_properties={"colour": "blue"}).collect() == ["blue"] * 3
    assert bag.with_options(task_properties={"colour": "red"}).run(list) == [["red"]] * 3


def test_partitions_are_put_together_each_to_each_and_there_are_as_many() -> None:
    left, right = esker.of("abcd", partitions=2), esker.of([1, 2, 3], partitions=2)
    both = left.union_partitions(right, left)
    assert both.glom().collect() == [["a", "b", 1, "a", "b"], ["c", "d", 2, 3, "c", "d"]]
    with pytest.raises(InputError, match="partitions"):
        left.union_partitions(esker.of([1], partitions=3))


def test_a_collection_may_have_an_error_of_its_own_for_nested_use() -> None:
    class SessionError(NestedCollectionError):
        pass

    class Session:
        collection_kind = "Session"
        nested_error = SessionError

    session = Session()
    with pytest.raises(SessionError, match="uses 'session', which is a Session"):
        esker.range(3).map(lambda n: (n, session))


def test_a_command_may_have_an_environment_of_its_own_alone() -> None:
    bag = esker.of([1], partitions=1)
    assert bag.pipe("/usr/bin/env", {"ONLY": "this"}, inherit=False).collect() == ["ONLY=this"]
    assert bag.pipe("/usr/bin/env", inherit=False).collect() == []
    assert "ONLY=this" in bag.pipe("/usr/bin/env", {"ONLY": "this"}).collect()
    assert len(bag.pipe("/usr/bin/env", {"ONLY": "this"}).collect()) > 1
