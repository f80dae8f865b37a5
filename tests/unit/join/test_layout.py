from __future__ import annotations

import pyarrow as pa
import pytest

from esker.errors import OptionError, SchemaMismatchError, UnknownColumnError
from esker.join.layout import RESERVED, join_schema, plan_layout

LEFT = pa.schema({"k": pa.int32(), "a": pa.string(), "both": pa.bool_()})
RIGHT = pa.schema({"key": pa.int64(), "b": pa.list_(pa.int8()), "both": pa.float32()})
ON = [("k", "key")]


def test_the_left_columns_come_first_and_a_clash_gets_the_suffix() -> None:
    assert join_schema(LEFT, RIGHT, ON, "inner").names == ["k", "a", "both", "b", "both_right"]
    assert join_schema(LEFT, RIGHT, ON, "left", ".r").names == ["k", "a", "both", "b", "both.r"]


@pytest.mark.parametrize("how", ["semi", "anti"])
def test_semi_and_anti_have_the_left_columns_alone(how: str) -> None:
    assert join_schema(LEFT, RIGHT, ON, how).equals(LEFT)


@pytest.mark.parametrize(("how", "type_"), [("inner", pa.int32()), ("left", pa.int32()), ("full", pa.int64())])
def test_a_key_has_the_common_type_only_where_right_keys_come_out(how: str, type_: pa.DataType) -> None:
    assert join_schema(LEFT, RIGHT, ON, how).field("k").type == type_


def test_columns_that_may_lack_a_partner_are_nullable() -> None:
    left = pa.schema([pa.field("k", pa.int8(), nullable=False), pa.field("a", pa.int8(), nullable=False)])
    right = pa.schema([pa.field("k", pa.int8(), nullable=False), pa.field("b", pa.int8(), nullable=False)])
    nullable = {
        how: [field.nullable for field in join_schema(left, right, [("k", "k")], how)]
        for how in ("inner", "left", "right", "full")
    }
    assert nullable == {
        "inner": [False, False, False],
        "left": [False, False, True],
        "right": [True, True, False],
        "full": [True, True, True],
    }


def test_views_and_dictionaries_come_out_plain() -> None:
    left = pa.schema({"k": pa.string_view(), "a": pa.dictionary(pa.int8(), pa.string())})
    assert join_schema(left, left, [("k", "k")], "full").types == [pa.string(), pa.string(), pa.string()]


def test_only_wanted_columns_are_read_and_come_out() -> None:
    layout = plan_layout(LEFT, RIGHT, ON, "full", "_right", ["k"], ["b"])
    assert layout.schema.names == ["k", "b"]
    assert (layout.left_columns, layout.right_columns) == (("k",), ("key", "b"))


def test_faults_are_named() -> None:
    with pytest.raises(SchemaMismatchError, match="two columns of the join would be called 'a_right'"):
        join_schema(
            pa.schema({"k": pa.int8(), "a": pa.int8(), "a_right": pa.int8()}),
            pa.schema({"k": pa.int8(), "a": pa.int8()}),
            [("k", "k")],
            "inner",
        )
    with pytest.raises(SchemaMismatchError, match="reserved"):
        join_schema(pa.schema({"k": pa.int8(), f"{RESERVED}x": pa.int8()}), RIGHT, ON, "inner")
    with pytest.raises(UnknownColumnError, match="no column 'kee' in the right input; did you mean 'key'"):
        join_schema(LEFT, RIGHT, [("k", "kee")], "inner")
    with pytest.raises(OptionError, match="how='outer'"):
        join_schema(LEFT, RIGHT, ON, "outer")
    with pytest.raises(OptionError, match="at least one pair"):
        join_schema(LEFT, RIGHT, [], "inner")
    with pytest.raises(OptionError, match="no columns"):
        plan_layout(LEFT, RIGHT, ON, "inner", "_right", [], [])
