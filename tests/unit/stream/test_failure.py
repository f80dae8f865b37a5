"""After failures streams go on as they were told to, and otherwise fail with what was raised."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker import Backoff, Sink, Stream
from esker.errors import BufferOverflowError, OptionError, UserFunctionError
from esker.stream.supervisor import Decision
from esker.testing.virtual_time import run_in_virtual_time


def inverse(number: int) -> float:
    return 1 / number


def test_recover_ends_with_an_element_or_goes_on_with_a_stream() -> None:
    failing = Stream([1, 0, 2]).map(inverse)
    assert failing.recover(lambda error: type(error).__name__).collect() == [1, "ZeroDivisionError"]
    assert failing.recover(lambda error: Stream([7, 8])).collect() == [1, 7, 8]


def test_recover_leaves_other_failures_alone() -> None:
    with pytest.raises(UserFunctionError, match="ZeroDivisionError"):
        Stream([0]).map(inverse).recover(lambda error: 0, on=OSError).collect()
    full = Stream(range(9)).buffer(1, "fail").recover(lambda error: -1, on=BufferOverflowError)
    assert full.collect()[-1] == -1


def test_resume_leaves_out_what_fails() -> None:
    told: list[tuple[str, Any]] = []
    stream = Stream([1, 0, 2]).map(inverse)
    on_failure = lambda error, element: told.append((type(error).__name__, element))  # noqa: E731
    assert stream.supervise("resume", on_failure=on_failure).collect() == [1, 0.5]
    assert told == [("ZeroDivisionError", 0)]


@given(st.lists(st.one_of(st.integers(0, 9), st.just("x")), max_size=20))
def test_restart_forgets_what_a_scan_has_gathered_and_resume_keeps_it(elements: list[Any]) -> None:
    kept, forgotten = [], []
    total = since = 0
    for element in elements:
        if element == "x":
            since = 0
            continue
        total, since = total + element, since + element
        kept.append(total)
        forgotten.append(since)
    scanned = Stream(elements).scan(0, lambda a, b: a + b)
    assert scanned.supervise("resume").collect() == kept
    assert scanned.supervise("restart").collect() == forgotten


@pytest.mark.parametrize(
    "step",
    [
        lambda s: s.map(inverse),
        lambda s: s.filter(inverse),
        lambda s: s.foreach(inverse),
        lambda s: s.flat_map(lambda n: [inverse(n)]),
        lambda s: s.flat_map(lambda n: (inverse(m) for m in (1, n))),
        lambda s: s.take_while(inverse),
        lambda s: s.drop_while(lambda n: inverse(n) > 2),
        lambda s: s.distinct_until_changed(inverse),
        lambda s: s.map_async(inverse),
        lambda s: s.map_async(inverse, ordered=False),
        lambda s: s.throttle(1e9, cost=inverse),
        lambda s: s.partition(lambda n: int(inverse(n)) * 0, lambda branch: branch),
        lambda s: s.batch(5, inverse, lambda a, b: a),
    ],
)
def test_every_step_with_a_function_can_be_supervised(step: Any) -> None:
    with pytest.raises(UserFunctionError, match="ZeroDivisionError"):
        step(Stream([0, 1])).collect()
    assert len(step(Stream([0, 1])).supervise("resume").collect()) in (1, 2, 3)


def test_a_function_decides_by_the_error_and_steps_below_are_not_touched() -> None:
    def decide(error: Exception) -> str | Decision:
        return "resume" if isinstance(error, ZeroDivisionError) else Decision.STOP

    assert Stream([0, 1]).map(inverse).supervise(decide).collect() == [1]
    with pytest.raises(UserFunctionError, match="TypeError"):
        Stream([0, "x"]).map(inverse).supervise(decide).collect()  # type: ignore[arg-type]
    with pytest.raises(UserFunctionError, match="ZeroDivisionError"):
        Stream([0]).supervise("resume").map(inverse).collect()
    with pytest.raises(OptionError, match="no decision 'go on'"):
        Stream([0]).map(inverse).supervise(lambda error: "go on").collect()


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.buffer(5, weigh=inverse),
        lambda s: s.buffer(1, "drop_new", on_drop=inverse),
        lambda s: s.batch(5, str, lambda a, b: a, weigh=inverse),
        lambda s: s.map(inverse).supervise("stop").recover(lambda error: inverse(0)),
        lambda s: s.map(inverse).supervise(lambda error: inverse(0)),
        lambda s: s.map(inverse).supervise("resume", on_failure=lambda error, element: inverse(element)),
    ],
)
def test_functions_beside_the_way_of_elements_are_shown_by_their_line_and_always_fail(make: Any) -> None:
    with pytest.raises(UserFunctionError, match=r"division by zero \[ESK-603\]\n.*return 1 / number"):
        make(Stream([0, 0, 0])).supervise("resume").collect()


def test_the_first_supervisor_after_a_step_decides() -> None:
    assert Stream([0, 1]).map(inverse).supervise("resume").supervise("stop").collect() == [1]


def test_retry_opens_the_source_again_after_waits_that_grow() -> None:
    opened: list[float] = []

    class Flaky:
        async def __aiter__(self) -> AsyncIterator[int]:
            opened.append(anyio.current_time())
            yield len(opened)
            if len(opened) < 4:
                raise ConnectionError("lost")

    stream = Stream(Flaky()).map(str).retry(Backoff(attempts=4, first_seconds=1, factor=3, seconds_max=5))
    assert run_in_virtual_time(lambda: stream.run_async(Sink.collect())) == ["1", "2", "3", "4"]
    assert opened == [0, 1, 4, 9]


def test_retry_gives_up_with_the_last_failure_and_never_begins_for_other_kinds() -> None:
    attempts = itertools.count(1)

    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise ConnectionError(f"attempt {next(attempts)}")
            yield 0

    tried = Stream(Broken()).retry(Backoff(attempts=3, first_seconds=0))
    with pytest.raises(UserFunctionError, match="attempt 3"):
        tried.collect()
    with pytest.raises(UserFunctionError, match="attempt 4"):
        Stream(Broken()).retry(Backoff(attempts=3, first_seconds=0, on=ValueError)).collect()


def test_jitter_is_seeded_and_only_shortens() -> None:
    first, again, other = (list(Backoff(attempts=9, jitter=0.5, seed=seed).waits()) for seed in (1, 1, 2))
    plain = list(Backoff(attempts=9).waits())
    assert first == again != other
    assert all(0.5 * whole <= short <= whole for short, whole in zip(first, plain, strict=True))


@pytest.mark.parametrize("options", [{"attempts": 0}, {"first_seconds": -1}, {"factor": 0.5}, {"jitter": 2}])
def test_waits_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        Backoff(**options)
