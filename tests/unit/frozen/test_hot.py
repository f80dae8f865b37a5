from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.errors import CancelledError, MemoryBudgetExceededError, UnknownColumnError
from esker.frozen import FrozenCatalog, append, hot
from esker.frozen import hot_writer as writer
from esker.storage.tiers.disk import DiskTier
from tests.unit.frozen.tools import context, frozen, hot_table

ROWS = 200
NUMBERS = pa.table(
    {"a": range(ROWS), "b": [f"row {row}" if row % 7 else None for row in range(ROWS)], "c": [0.5] * ROWS}
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Three key files, of groups of 16 rows: two of one write, one of an append."""
    folder = tmp_path_factory.mktemp("hot")
    tier = DiskTier(folder / "tier")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "_GROUP_ROWS", 16)
        patch.setattr(writer, "_PART_BYTES", 1_200)
        frozen(NUMBERS.slice(0, 150), folder / "n.esker", ["b", "a"], tier)
        with context() as query:
            append(folder / "n.esker", iter(NUMBERS.slice(150).to_batches()), context=query, tier=tier)
    with FrozenCatalog.open(folder / "n.esker", tier=tier) as opened:
        assert len(opened.parts) > 2
        yield opened


@settings(max_examples=60, deadline=None)
@given(rows=st.sets(st.integers(0, ROWS + 20), max_size=40), columns=st.sampled_from([["a"], ["b", "a"], ["a", "b"]]))
def test_wanted_rows_come_with_their_ids_in_order(catalog, rows, columns):
    ids, found = hot_table(catalog, columns, RowSet.of(list(rows)))
    wanted = sorted(row for row in rows if row < ROWS)
    assert ids == wanted
    assert found.to_pydict() == NUMBERS.select(columns).take(pa.array(wanted, pa.int64())).to_pydict()


def test_all_rows_come_in_batches_no_bigger_than_asked(catalog):
    with QueryContext(batch_rows=5) as query:
        found = list(catalog.read_hot(["a"], query))
    assert max(part.batch.num_rows for part in found) == 5
    assert [value for part in found for value in part.batch["a"].to_pylist()] == list(range(ROWS))
    assert [int(row) for part in found for row in part.row_ids] == list(range(ROWS))


def test_only_row_groups_with_wanted_rows_are_read(catalog, monkeypatch):
    read = []
    plain = hot._read_group
    monkeypatch.setattr(hot, "_read_group", lambda *args: read.append(args[2]) or plain(*args))
    assert hot_table(catalog, ["a"], RowSet.of([17, 18, 140]))[0] == [17, 18, 140]
    assert read == [16, next(first for first in range(140, 0, -1) if first in _group_starts(catalog))]


def _group_starts(catalog):
    starts = []
    for part in catalog.parts:
        with hot.open_part(catalog.folder, part) as file:
            first_row = part.first_row
            for group in range(file.metadata.num_row_groups):
                starts.append(first_row)
                first_row += file.metadata.row_group(group).num_rows
    return starts


def test_a_column_that_is_not_hot_is_named(catalog):
    with context() as query, pytest.raises(UnknownColumnError, match="no column 'c' in the hot columns of n"):
        catalog.read_hot(["c"], query)


def test_rows_can_be_counted_without_columns(catalog):
    with context() as query:
        assert sum(len(part.row_ids) for part in catalog.read_hot([], query)) == ROWS
        assert sum(part.batch.num_rows for part in catalog.read_hot([], query, RowSet.of([3, 190]))) == 2


def test_reading_stops_when_cancelled_and_stays_within_the_budget(catalog):
    with QueryContext(batch_rows=5) as query:
        batches = catalog.read_hot(["a"], query)
        next(batches)
        query.cancellation.cancel()
        with pytest.raises(CancelledError):
            next(batches)
    with QueryContext(budget=MemoryBudget("16MiB")) as query, query.budget.reserve("other", 16 << 20):
        with pytest.raises(MemoryBudgetExceededError, match="read keys"):
            next(catalog.read_hot(["a"], query))


def test_names_with_dots_are_ordinary_names():
    with tempfile.TemporaryDirectory() as folder:
        table = pa.table({"a": [1, 2], "a.b": [3, 4], "a.b.c": [5, 6]})
        frozen(table, Path(folder, "x.esker"), table.column_names)
        with FrozenCatalog.open(Path(folder, "x.esker")) as opened:
            for name in table.column_names:
                assert hot_table(opened, [name])[1].to_pydict() == {name: table[name].to_pylist()}
