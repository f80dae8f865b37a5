from __future__ import annotations

import pyarrow as pa
import pytest

from esker.errors import SchemaMismatchError, UnsupportedTypeError
from esker.join.key_types import cast_key, common_key_type

MEETING = [
    (pa.int8(), pa.int64(), pa.int64()),
    (pa.uint8(), pa.int16(), pa.int16()),
    (pa.uint32(), pa.int32(), pa.int64()),
    (pa.uint64(), pa.int8(), pa.decimal128(20, 0)),
    (pa.int32(), pa.float32(), pa.float64()),
    (pa.int64(), pa.float64(), pa.float64()),
    (pa.float16(), pa.float32(), pa.float64()),
    (pa.int16(), pa.decimal128(5, 2), pa.decimal128(7, 2)),
    (pa.uint64(), pa.decimal128(38, 20), pa.decimal256(40, 20)),
    (pa.decimal128(10, 2), pa.decimal128(10, 5), pa.decimal128(13, 5)),
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.string_view(), pa.string(), pa.large_string()),
    (pa.binary(3), pa.binary(), pa.large_binary()),
    (pa.date32(), pa.date64(), pa.date64()),
    (pa.time32("s"), pa.time64("us"), pa.time64("us")),
    (pa.timestamp("s", "UTC"), pa.timestamp("ns", "Europe/Paris"), pa.timestamp("ns", "UTC")),
    (pa.duration("ms"), pa.duration("s"), pa.duration("ms")),
    (pa.null(), pa.string(), pa.string()),
    (pa.bool_(), pa.bool_(), pa.bool_()),
]
APART = [
    (pa.int64(), pa.string()),
    (pa.bool_(), pa.int8()),
    (pa.decimal128(5, 2), pa.float64()),
    (pa.date32(), pa.timestamp("s")),
    (pa.timestamp("s"), pa.timestamp("s", "UTC")),
    (pa.binary(3), pa.binary(4)),
    (pa.string(), pa.binary()),
    (pa.time32("s"), pa.duration("s")),
    (pa.decimal256(76, 0), pa.decimal128(38, 38)),
]


def of_types(left: pa.DataType, right: pa.DataType) -> pa.DataType:
    return common_key_type(pa.field("a", left), pa.field("b", right))


@pytest.mark.parametrize(("left", "right", "common"), MEETING, ids=str)
def test_types_that_can_meet_do_so_without_loss(left: pa.DataType, right: pa.DataType, common: pa.DataType) -> None:
    assert of_types(left, right) == common
    other = of_types(right, left)
    assert other == common or (pa.types.is_timestamp(common) and other.unit == common.unit)


@pytest.mark.parametrize(("left", "right"), APART, ids=str)
def test_types_that_cannot_meet_are_both_named(left: pa.DataType, right: pa.DataType) -> None:
    for one, other in ((left, right), (right, left)):
        with pytest.raises(SchemaMismatchError) as raised:
            of_types(one, other)
        for word in ("'a'", "'b'", str(one), str(other)):
            assert word in str(raised.value)


def test_a_nested_key_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedTypeError, match="column 'a' has type list<item: int8>"):
        of_types(pa.list_(pa.int8()), pa.int8())


def test_an_integer_that_no_double_holds_is_an_error_and_not_a_false_match() -> None:
    assert cast_key(pa.array([2**53]), pa.float64(), "k").to_pylist() == [2.0**53]
    with pytest.raises(SchemaMismatchError, match="key column 'k'"):
        cast_key(pa.array([2**53 + 1]), pa.float64(), "k")
