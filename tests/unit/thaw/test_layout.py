"""Rows to row groups and column chunks; footers are not trusted."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.row_set import RowSet
from esker.errors import CatalogCorruptError, UnknownColumnError
from esker.thaw.layout import Layout, PayloadExtent
from tests.unit.thaw.tools import memory_tier, stored, wide_table


@given(wanted=st.lists(st.integers(0, 120)), group_rows=st.integers(1, 40), first_row=st.integers(0, 50))
def test_the_groups_of_some_rows_are_those_that_hold_one(wanted: list[int], group_rows: int, first_row: int) -> None:
    source = stored(pa.table({"a": range(53)}), memory_tier(), extent_rows=53, group_rows=group_rows)[0]
    layout = Layout(PayloadExtent(replace(source.extent, first_row=first_row), source.footer))
    expected = sorted({(row - first_row) // group_rows for row in wanted if first_row <= row < first_row + 53})
    assert list(layout.groups(RowSet.of(wanted))) == expected


def test_a_column_s_chunks_are_all_its_leaves_in_the_order_they_lie() -> None:
    layout = Layout(stored(wide_table(30), memory_tier(), extent_rows=30, group_rows=10)[0])
    assert [len(layout.chunks(1, [name])) for name in ("key", "list", "pair")] == [1, 1, 2]
    chunks = layout.chunks(2, ["pair", "key"])
    assert [chunk.range for chunk in chunks] == sorted(chunk.range for chunk in chunks)
    assert layout.chunks(0, ["key"])[0].range.start == 4


def test_a_path_has_the_leaves_below_it_and_no_others() -> None:
    pairs = [{"x": 1, "y": {"z": 2}}]
    table = pa.table({"ab": [1], "a": pairs, "a.x.w": [3], "b.a": [4], "list": [pairs]})
    layout = Layout(stored(table, memory_tier(), extent_rows=1, group_rows=1)[0])
    paths = [layout.footer.schema.column(leaf).path for leaf in range(layout.footer.num_columns)]
    for path in ["a", "a.x", "a.y", "a.y.z", "ab", "b.a", "b", "a.x.w", "list", "list.list.element.x"]:
        below = [leaf for leaf, one in enumerate(paths) if one == path or one.startswith(f"{path}.")]
        assert layout.leaves(path) == below != []
    with pytest.raises(UnknownColumnError):
        layout.leaves("a.")


def test_an_unknown_column_is_named() -> None:
    layout = Layout(stored(wide_table(3), memory_tier(), extent_rows=3, group_rows=3)[0])
    with pytest.raises(UnknownColumnError, match="did you mean 'text'"):
        layout.chunks(0, ["texts"])


def footer(**column: Any) -> Any:
    """A footer of one row group and one column, whose figures are as told."""
    chunk = {
        "data_page_offset": 4,
        "dictionary_page_offset": None,
        "total_compressed_size": 50,
        "total_uncompressed_size": 80,
        "path_in_schema": "a",
    } | column
    group = SimpleNamespace(num_rows=column.get("group_rows", 10), column=lambda _: SimpleNamespace(**chunk))
    return SimpleNamespace(
        num_rows=column.get("num_rows", 10),
        num_row_groups=1,
        num_columns=1,
        row_group=lambda _: group,
        schema=SimpleNamespace(column=lambda _: SimpleNamespace(path="a")),
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"num_rows": 11},
        {"group_rows": 9},
        {"group_rows": -10},
        {"data_page_offset": 3},
        {"data_page_offset": 60},
        {"dictionary_page_offset": -7},
        {"total_compressed_size": -1},
        {"total_compressed_size": 1 << 40},
        {"total_uncompressed_size": -1},
    ],
)
def test_a_damaged_footer_is_named_before_its_figures_are_used(damage: dict[str, int]) -> None:
    source = stored(pa.table({"a": range(10)}), memory_tier(), extent_rows=10, group_rows=10)[0]
    extent = replace(source.extent, bytes=100)
    whole = Layout(PayloadExtent(extent, footer()))
    assert list(whole.groups(RowSet.of([3]))) == [0] and whole.chunks(0, ["a"])[0].range.stop == 54
    damaged = Layout(PayloadExtent(extent, footer(**damage)))
    with pytest.raises(CatalogCorruptError, match=r"footer of extent 'part-0"):
        damaged.groups(RowSet.of([3]))
        damaged.chunks(0, ["a"])
