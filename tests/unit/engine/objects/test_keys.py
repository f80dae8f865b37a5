"""Keys: plain forms, equality and hashes that do not depend on the process."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import os
import subprocess
import sys
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import esker
from esker.engine.objects.keys import plain_key, stable_hash
from esker.errors import KeyTypeError

numbers = st.one_of(
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
    st.fractions(),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.integers(-3, 3),
    st.complex_numbers(allow_nan=False),
)
keys = st.recursive(
    st.one_of(
        numbers,
        st.none(),
        st.text(st.characters()),
        st.binary(),
        st.dates(),
        st.datetimes(),
        st.datetimes(timezones=st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=5))])),
        st.timedeltas(),
        st.uuids(),
    ),
    lambda inner: st.one_of(st.tuples(inner), st.tuples(inner, inner), st.frozensets(inner, max_size=3)),
    max_leaves=6,
)


NAIVE = datetime.datetime.fromisoformat("2020-01-01")


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    floor: int = 0
    note: str = dataclasses.field(default="", compare=False)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Cased(str):
    """A text that compares without case: not like str."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.lower() == other.lower()

    def __hash__(self) -> int:
        return hash(self.lower())


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class WithKey(Named):
    def __esker_key__(self) -> str:
        return self.name


@given(keys, keys)
def test_plain_keys_are_equal_where_keys_are_equal(left: Any, right: Any) -> None:
    assert (plain_key(left) == plain_key(right)) == (left == right)
    if left == right:
        assert stable_hash(left) == stable_hash(right)


@given(numbers, numbers)
def test_numbers_of_any_kind_are_equal_where_python_says_so(left: Any, right: Any) -> None:
    assert (plain_key(left) == plain_key(right)) == (left == right)
    if left == right:
        assert stable_hash(left) == stable_hash(right)


@given(st.integers())
def test_integers_hash_as_in_python(number: int) -> None:
    assert stable_hash(number) == hash(number)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1.0, Decimal("1.00")),
        (0.5, Fraction(1, 2)),
        (-0.0, 0),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.str_("a"), "a"),
        (np.bool_(True), 1),
        (float("nan"), np.float64("nan")),
        (Decimal("NaN"), float("nan")),
        (Point(1, 2), (1, 2.0)),
        (Level.LOW, 1),
        (frozenset({1, "a", 2.0}), frozenset({True, 2, "a"})),
        (frozenset({-1, -2.0}), frozenset({-2, -1.0})),
        (Place("hall", note="x"), Place("hall", note="y")),
        (range(0, 3, 2), range(0, 4, 2)),
        (2**70, Decimal(2**70)),
        (WithKey("a"), WithKey("a")),
    ],
)
def test_equal_keys_of_different_kinds_are_one_key(left: Any, right: Any) -> None:
    assert plain_key(left) == plain_key(right)
    assert stable_hash(left) == stable_hash(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1", 1),
        (b"a", "a"),
        (Colour.RED, Colour.BLUE),
        (Colour.RED, 1),
        (Place("hall"), ("hall", 0)),
        ((1, (2,)), (1, 2)),
        (0.1, Fraction(1, 10)),
        (NAIVE, NAIVE.replace(tzinfo=datetime.UTC)),
        (NAIVE.date(), NAIVE),
        (int, float),
        (PurePosixPath("a"), "a"),
    ],
)
def test_keys_that_differ_stay_apart(left: Any, right: Any) -> None:
    assert plain_key(left) != plain_key(right)


@pytest.mark.parametrize(
    "key",
    [
        [1],
        {"a": 1},
        {1},
        bytearray(b"a"),
        np.array([1]),
        (1, [2]),
        Named("a"),
        Cased("a"),
        object(),
        np.datetime64("2020"),
    ],
)
def test_what_can_change_or_hashes_by_process_is_no_key(key: Any) -> None:
    with pytest.raises(KeyTypeError, match="cannot be a key"):
        stable_hash(key)


def test_hashes_do_not_depend_on_the_process() -> None:
    program = (
        "import datetime, uuid; from esker.engine.objects import stable_hash;"
        "print([stable_hash(key) for key in ('Oslo', b'x', ('a', (1, None)), frozenset('abc'),"
        " datetime.date(2020, 1, 2), datetime.timedelta(1), uuid.UUID(int=5), 'ä\\ud800', 0.1, 2**80)])"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(esker.__file__).parent.parent)}
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_message_of_a_bad_key_shows_it_shortened() -> None:
    with pytest.raises(KeyTypeError) as caught:
        stable_hash(["x" * 1000])
    assert len(str(caught.value)) < 250


def test_uuids_and_texts_do_not_meet() -> None:
    number = uuid.UUID(int=7)
    assert plain_key(number) != plain_key(str(number))
