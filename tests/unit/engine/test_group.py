from __future__ import annotations

import math

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from esker.engine.group import group_codes, groups, largest_group


def key(value: object) -> object:
    return "NaN" if isinstance(value, float) and math.isnan(value) else (0.0 if value == 0.0 else value)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.sampled_from(["", "a", "a long string beyond twelve bytes"])),
            st.one_of(st.none(), st.sampled_from([0.0, -0.0, math.nan, 1.5])),
        ),
        max_size=40,
    )
)
def test_groups_are_those_of_a_python_dictionary_in_the_same_order(rows: list[tuple[str | None, float | None]]) -> None:
    table = pa.table(
        {
            "s": pa.array([row[0] for row in rows], pa.string()),
            "f": pa.array([row[1] for row in rows], pa.float64()),
            "row": pa.array(range(len(rows)), pa.int64()),
        }
    )
    expected: dict[object, list[int]] = {}
    for number, (text, real) in enumerate(rows):
        expected.setdefault((text, key(real) if real is not None else None), []).append(number)
    assert [group["row"].to_pylist() for group in groups(table, ["s", "f"])] == list(expected.values())
    codes, count = group_codes(table, ["s", "f"])
    assert count == len(expected)
    assert len(codes) == len(rows)


def test_half_floats_group_like_other_floats() -> None:
    table = pa.table({"h": pa.array([0.0, -0.0, 1.0, None], pa.float16())})
    assert [group.num_rows for group in groups(table, ["h"])] == [2, 1, 1]


def test_the_largest_group_is_named() -> None:
    table = pa.table({"a": ["x", "y", "y"], "b": [1, 2, 2]})
    assert largest_group(table, ["a"]) == ("y", 2)
    assert largest_group(table, ["a", "b"]) == (("y", 2), 2)
    assert largest_group(table.slice(0, 0), ["a"]) == (None, 0)
