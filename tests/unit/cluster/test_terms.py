"""Predicates become terms that say of the rows what evaluating them says."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.cluster.building import _bitmaps
from esker.cluster.layout import IndexedColumn, Layout, array_bytes, array_of
from esker.cluster.terms import Asked, terms_of
from esker.errors import CatalogCorruptError, InputError, OptionError
from esker.expression import evaluate, read_predicate
from esker.index.slots import FIRST_SLOT, ValueSlots

ROWS = pa.table(
    {
        "n": pa.array([1, None, 3, 3, 7, -2, None, 1], pa.int32()),
        "f": pa.array([0.5, float("nan"), None, -1.0, 0.5, float("inf"), 2.0, float("nan")]),
        "s": pa.array(["a", "b", None, "ab", "a", "", "b", "ab"]),
        "line": pa.array(range(8)),
    }
)
INDEXED = ("n", "f", "s")


def made() -> tuple[Layout, dict[int, set[int]]]:
    """A layout, and the rows of each vector."""
    columns: list[IndexedColumn] = []
    rows: dict[int, set[int]] = {}
    first = 0
    for name in INDEXED:
        values = ROWS[name].combine_chunks()
        slots = ValueSlots(name, values.type, None)
        assigned = slots.assign(values)
        place = {slot: number for number, slot in enumerate(slots.order())}
        column = IndexedColumn(name, first, slots.labels()[FIRST_SLOT:])
        for row, slot in enumerate(assigned.tolist()):
            rows.setdefault(first + place[slot], set()).add(row)
        columns.append(column)
        first += column.slot_count
    return Layout.new("x", "row_block", len(ROWS), 64, columns, ROWS.schema, 8), rows


LAYOUT, VECTORS = made()


def answered(asked: Asked) -> set[int]:
    if asked.never:
        return set()
    found = set(range(len(ROWS)))
    for term in asked.terms:
        found &= {row for first, last in term for one in range(first, last + 1) for row in VECTORS.get(one, set())}
    return found


LEAVES = st.one_of(
    st.builds("n {} {}".format, st.sampled_from(["=", "<>", "<", ">="]), st.integers(-3, 8)),
    st.builds("f {} {}".format, st.sampled_from(["=", "<", ">"]), st.sampled_from(["0.5", "-1", "1e9"])),
    st.builds("s {} '{}'".format, st.sampled_from(["=", "<=", "LIKE"]), st.sampled_from(["a", "b", "a%", ""])),
    st.sampled_from(
        ["n IS NULL", "s IS NOT NULL", "n IN (1, 7)", "TRUE", "FALSE", "line < 5", "n < f", "n IN (3, NULL)"]
    ),
)
PREDICATES = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.builds("({} AND {})".format, below, below),
        st.builds("({} OR {})".format, below, below),
        below.map("(NOT {})".format),
    ),
    max_leaves=8,
)


@given(text=PREDICATES)
def test_terms_and_what_is_left_give_the_rows_of_the_predicate(text: str) -> None:
    predicate = read_predicate(text, ROWS.schema)
    asked = terms_of(predicate, LAYOUT)
    found = answered(asked)
    mask = evaluate(predicate, ROWS.to_batches()[0]).fill_null(False).to_pylist()
    wanted = {row for row, flag in enumerate(mask) if flag}
    if asked.residual is None:
        assert found == wanted
    else:
        assert found >= wanted
        left = evaluate(asked.residual, ROWS.to_batches()[0]).fill_null(False).to_pylist()
        assert {row for row in found if left[row]} == wanted


def test_numbers_of_values_are_those_of_the_embedded_index() -> None:
    # n has 4 values: v0 to v3 are -2, 1, 3, 7; f has 4 without NaN: v4 to v7.
    asked = terms_of(read_predicate("R:[1,2]&[4,6]", ROWS.schema), LAYOUT)
    assert answered(asked) == {0, 3}
    with pytest.raises(InputError, match="v0 to v11"):
        terms_of(read_predicate("R:[3,12]", ROWS.schema), LAYOUT)


def test_a_predicate_of_many_ors_is_left_to_the_rows() -> None:
    text = " OR ".join(f"(n = {n} AND s = 'a' AND f < {n})" for n in range(5))
    asked = terms_of(read_predicate(text, ROWS.schema), LAYOUT)
    assert asked.residual is not None and asked.terms == ()


def test_a_layout_is_read_back_or_refused() -> None:
    values = {write.vector: write.value for write in LAYOUT.writes()}
    again = Layout.read(values)
    assert again == LAYOUT or [c.values for c in again.columns] == [c.values for c in LAYOUT.columns]
    assert (again.name, again.generation, again.units, again.schema) == (
        "x", LAYOUT.generation, LAYOUT.units, LAYOUT.schema,
    )  # fmt: skip
    for damage in ({}, values | {-1: b"{}"}, values | {-1: b"\xff"}, values | {-3: b"no array"}, values | {-2: b""}):
        with pytest.raises(CatalogCorruptError):
            Layout.read(damage)
    with pytest.raises((ValueError, pa.ArrowException)):
        array_of(array_bytes(pa.array([1]))[:-30])


@pytest.mark.parametrize("name", ["", "a/b", "@a", "a?b", "x" * 201, "a\nb"])
def test_names_that_would_be_taken_for_something_else_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match="no name for an index"):
        Layout.new(name, "row_block", 1, 1)


def test_bitmaps_of_slots_are_those_that_occur() -> None:
    slots: Sequence[int] = [3, 0, 3, 5]
    import numpy as np

    found = {slot: bitmap.to_numpy().tolist() for slot, bitmap in _bitmaps(np.array(slots, np.int32), 4)}
    assert found == {0: [1], 3: [0, 2], 5: [3]}
