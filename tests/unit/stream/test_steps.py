"""Steps that take one element after the other do what their plain Python counterparts do."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker import Stream
from esker.errors import InputError, OptionError, UserFunctionError

NUMBERS = st.lists(st.integers(-5, 5), max_size=30)


def odd(number: int) -> bool:
    return number % 2 == 1


@given(NUMBERS, st.integers(0, 8))
def test_narrow_steps_are_those_of_itertools(numbers: list[int], count: int) -> None:
    stream = Stream(numbers)
    assert stream.map(str).collect() == [*map(str, numbers)]
    assert stream.filter(odd).collect() == [*filter(odd, numbers)]
    assert stream.flat_map(range).collect() == [*itertools.chain.from_iterable(map(range, numbers))]
    assert stream.scan(0, lambda a, b: a + b).collect() == [*itertools.accumulate(numbers)]
    assert stream.take(count).collect() == numbers[:count]
    assert stream.drop(count).collect() == numbers[count:]
    assert stream.take_while(odd).collect() == [*itertools.takewhile(odd, numbers)]
    assert stream.drop_while(odd).collect() == [*itertools.dropwhile(odd, numbers)]
    assert stream.enumerate(3).collect() == [*enumerate(numbers, 3)]
    assert stream.distinct_until_changed().collect() == [key for key, _ in itertools.groupby(numbers)]


@given(NUMBERS, st.integers(1, 5), st.integers(1, 5))
def test_groups_and_windows_cut_the_elements_as_slices_do(numbers: list[int], count: int, step: int) -> None:
    starts = range(0, len(numbers), count)
    assert Stream(numbers).group(count).collect() == [numbers[n : n + count] for n in starts]
    windows = []
    for begin in range(0, len(numbers), step):
        windows.append(tuple(numbers[begin : begin + count]))
        if begin + count >= len(numbers):
            break
    assert Stream(numbers).sliding(count, step).collect() == windows


@given(st.text(st.sampled_from("ab\n\r\u2028é"), max_size=40), st.integers(1, 7))
def test_lines_are_the_same_however_the_bytes_are_cut(text: str, cut: int) -> None:
    data = text.encode()
    pieces = [data[n : n + cut] for n in range(0, len(data), cut)]
    lines = [line.removesuffix(b"\r").decode() for line in data.split(b"\n")]
    if not data.rpartition(b"\n")[2]:
        lines.pop()
    assert Stream(pieces).split_lines().collect() == lines


def test_a_line_longer_than_its_limit_is_refused_before_it_is_held() -> None:
    read = []
    endless = (read.append(n) or b"x" * 100 for n in itertools.count())
    with pytest.raises(InputError, match="line 1 is longer than line_bytes_max=1,000"):
        Stream(endless).split_lines(line_bytes_max=1000).collect()
    assert len(read) == 11


def test_bytes_that_are_no_text_are_named_by_their_line() -> None:
    with pytest.raises(InputError, match="line 2 is no utf-8"):
        Stream([b"one\n\xff\n"]).split_lines().collect()


def test_take_asks_for_no_element_more() -> None:
    asked: list[int] = []
    assert Stream(asked.append(n) or n for n in itertools.count()).take(2).collect() == [0, 1]
    assert asked == [0, 1]


def test_a_flow_is_any_function_between_streams() -> None:
    def doubled(stream: Stream[int]) -> Stream[int]:
        return stream.map(lambda number: 2 * number)

    assert Stream([1, 2]).via(doubled).via(doubled).collect() == [4, 8]


def test_a_stream_runs_as_often_as_its_source_can() -> None:
    stream = Stream([1, 2]).map(str)
    assert stream.collect() == stream.collect() == ["1", "2"]
    once = Stream(iter([1, 2]))
    assert (once.collect(), once.collect()) == ([1, 2], [])


def test_a_step_changes_no_stream_it_is_made_of() -> None:
    stream = Stream([1])
    stream.map(str)
    assert stream.collect() == [1]


def test_flat_map_takes_streams_and_asynchronous_generators() -> None:
    async def twice(number: int) -> Any:
        yield number
        yield number

    assert Stream([1, 2]).flat_map(twice).collect() == [1, 1, 2, 2]
    assert Stream([1, 2]).flat_map(lambda n: Stream(range(n)).map(str)).collect() == ["0", "0", "1"]


def divide(number: int) -> float:
    return 1 / number


@pytest.mark.parametrize("operator", ["map", "filter", "take_while", "drop_while", "foreach", "flat_map"])
def test_a_failing_function_is_shown_by_its_own_line_first(operator: str) -> None:
    with pytest.raises(UserFunctionError) as caught:
        getattr(Stream([0]), operator)(divide).collect()
    first, second, last = str(caught.value).splitlines()
    assert first == "ZeroDivisionError: division by zero [ESK-603]"
    assert second.endswith("return 1 / number")
    assert last == f"  in divide, called by {operator} on element 0"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_stop_iteration_of_a_function_fails_and_cuts_nothing_off() -> None:
    with pytest.raises(UserFunctionError, match="StopIteration"):
        Stream([1, 2]).map(lambda n: next(iter(()))).collect()
    with pytest.raises(UserFunctionError, match="StopIteration"):
        Stream([1, 2]).flat_map(lambda n: (next(iter(())) for _ in range(2))).collect()


@pytest.mark.parametrize(
    "make",
    [
        lambda s: s.group(0),
        lambda s: s.sliding(0),
        lambda s: s.sliding(1, 0),
        lambda s: s.take(-1),
        lambda s: s.map_async(str, workers=0),
        lambda s: s.buffer(0),
        lambda s: s.buffer(1, "drop"),
        lambda s: s.throttle(0),
        lambda s: s.throttle(1, mode="ask"),
        lambda s: s.timeout(0),
        lambda s: s.group_within(1, 0),
        lambda s: s.supervise("go on"),
        lambda s: Stream(7),
    ],
)
def test_options_out_of_range_are_refused_before_anything_runs(make: Any) -> None:
    with pytest.raises(OptionError):
        make(Stream([1]))
