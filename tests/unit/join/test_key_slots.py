from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.join.key_slots import KeySlots

SLOTS = 64
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NUMBERS = {
    pa.int8(): st.integers(-128, 127),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.date32(): st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    pa.timestamp("us", tz="UTC"): st.integers(-(10**15), 10**15).map(lambda us: EPOCH + dt.timedelta(microseconds=us)),
    pa.string(): st.text(max_size=3),
    pa.float64(): st.floats(allow_nan=True),
}


@st.composite
def batches_of_keys(draw: st.DrawFn) -> tuple[pa.DataType, list[list[Any]]]:
    """Batches of keys of one type, all near to one another or some far away, with nulls."""
    type_ = draw(st.sampled_from(list(NUMBERS)))
    far = NUMBERS[type_]
    near = far
    if pa.types.is_integer(type_):
        first = draw(far)
        most = 2 ** (type_.bit_width - (not str(type_).startswith("u"))) - 1
        near = st.integers(min(first, most - SLOTS), min(first, most - SLOTS) + SLOTS - 1)
    batches = draw(st.lists(st.lists(st.none() | near, max_size=20), max_size=4))
    if draw(st.booleans()):
        batches += draw(st.lists(st.lists(st.none() | far, max_size=5), max_size=2))
    return type_, batches


@given(batches_of_keys(), st.data())
def test_no_key_that_was_added_is_ever_denied(keys: tuple[pa.DataType, list[list[Any]]], data: st.DataObject) -> None:
    type_, batches = keys
    slots = KeySlots([type_], SLOTS)
    for batch in batches:
        slots.add([pa.array(batch, type_)])
    known = [key for batch in batches for key in batch if key is not None]
    others = data.draw(st.lists(NUMBERS[type_], max_size=20))
    if known:
        assert slots.may_hold([pa.array(known, type_)]).all()
    assert len(slots.may_hold([pa.array([*others, None], type_)])) == len(others) + 1


@given(st.integers(-(2**63), 2**63 - SLOTS), st.lists(st.integers(0, SLOTS - 1), min_size=1), st.integers(-200, 200))
def test_numbers_that_lie_together_are_told_exactly(first: int, places: list[int], away: int) -> None:
    slots = KeySlots([pa.int64()], SLOTS)
    for place in places:
        slots.add([pa.array([first + place], pa.int64())])
    asked = min(max(first + away, -(2**63)), 2**63 - 1)
    assert slots.may_hold([pa.array([asked], pa.int64())]).tolist() == [asked - first in places]
    assert slots.worth_testing, "even when all slots are taken: keys outside are told apart"


@given(st.sampled_from(list(NUMBERS)), st.data())
def test_without_keys_nothing_is_there(type_: pa.DataType, data: st.DataObject) -> None:
    slots = KeySlots([type_], SLOTS)
    slots.add([pa.array([], type_)])
    assert not slots.may_hold([pa.array([data.draw(NUMBERS[type_])], type_)]).any()


@pytest.mark.parametrize("far", [SLOTS, -SLOTS, 2**62, -(2**62)])
def test_a_key_far_away_turns_values_into_hashes(far: int) -> None:
    slots = KeySlots([pa.int64()], SLOTS)
    slots.add([pa.array([100, 101, 163])])
    slots.add([pa.array([100 + far])])
    assert slots.may_hold([pa.array([100, 101, 163, 100 + far])]).all()
    assert not slots.may_hold([pa.array(range(1_000, 1_100))]).all()
    slots.add([pa.array(range(10_000))])
    assert not slots.worth_testing


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 90), max_size=5), min_size=1, max_size=4))
def test_slots_that_were_packed_and_merged_know_the_keys_of_all(parts: list[list[int]]) -> None:
    whole = KeySlots([pa.int64()], SLOTS)
    for part in parts:
        one = KeySlots([pa.int64()], SLOTS)
        one.add([pa.array(part, pa.int64())])
        whole.merge(pickle.loads(pickle.dumps(one.packed())).slots())
    every = [key for part in parts for key in part]
    direct = KeySlots([pa.int64()], SLOTS)
    direct.add([pa.array(every, pa.int64())])
    asked = [pa.array([*every, *range(-5, 95)], pa.int64())]
    assert whole.may_hold(asked)[: len(every)].all()
    assert whole.may_hold(asked).tolist() == direct.may_hold(asked).tolist()


def test_slots_of_texts_are_merged() -> None:
    parts = [KeySlots([pa.string(), pa.int8()], 1 << 10) for _ in range(2)]
    parts[0].add([pa.array(["a", "b"]), pa.array([1, 2], pa.int8())])
    parts[1].add([pa.array(["c", None]), pa.array([3, 4], pa.int8())])
    parts[0].merge(parts[1].packed().slots())
    asked = [pa.array(["a", "b", "c", "a"]), pa.array([1, 2, 3, 2], pa.int8())]
    assert parts[0].may_hold(asked)[:3].all()
    assert not parts[0].may_hold(asked)[3]
