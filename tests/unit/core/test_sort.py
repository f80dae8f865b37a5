from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.seeded import generator
from esker.core.sort import require_sortable, sort_batches
from esker.core.spill import SpillFolder
from esker.errors import MemoryBudgetExceededError, SpillError, UnsupportedTypeError
from esker.testing import TYPES, streams
from tests.unit.frozen.tools import same

# Types that DuckDB takes from Arrow and orders as we do.
ORDERED = [
    type_
    for type_ in TYPES
    if not (pa.types.is_float16(type_) or pa.types.is_decimal256(type_) or pa.types.is_duration(type_))
    and type_ not in (pa.date64(), pa.time64("ns"), pa.time32("s"), pa.binary(3), pa.large_binary())
]


def ordered(batches, by, schema, run_bytes, descending=(), **options):
    with QueryContext(budget=MemoryBudget("16MiB"), **options) as context:
        found = list(sort_batches(iter(batches), by, schema, context, descending=descending, run_bytes=run_bytes))
        assert context.budget.held_bytes == 0
        assert not list(context.spill.path.glob("sort-*")), "runs are removed once merged"
        return pa.Table.from_batches(found, schema)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    stream=streams(ORDERED, rows_max=12, columns_max=2, batches_max=6),
    run_bytes=st.sampled_from([1, 40, 200, None]),
    data=st.data(),
)
def test_rows_come_as_duckdb_orders_them_and_equal_rows_as_they_came(stream, run_bytes, data):
    schema, batches = stream
    by = data.draw(st.permutations(schema.names).map(lambda names: names[: max(1, len(names) - 1)]))
    descending = data.draw(st.lists(st.booleans(), min_size=len(by), max_size=len(by)))
    table = pa.Table.from_batches(batches, schema)
    numbered = table.append_column("came", pa.array(range(len(table)), pa.int64()))
    found = ordered(numbered.to_batches(), by, numbered.schema, run_bytes, descending)
    words = [f"{name} {'DESC' if down else 'ASC'} NULLS LAST" for name, down in zip(by, descending, strict=True)]
    keys = ", ".join([*words, "came"])
    expected = duckdb.sql(f"SELECT came FROM numbered ORDER BY {keys}").to_arrow_table()
    assert found["came"].to_pylist() == expected["came"].to_pylist()
    assert same(found, numbered.take(found["came"]))


@pytest.mark.parametrize("values", ["random", "sorted", "reversed", "equal"])
def test_many_runs_are_merged_in_several_passes(values):
    chance = generator(3)
    keys = {
        "random": chance.integers(0, 5_000, 3_000),
        "sorted": range(3_000),
        "reversed": range(3_000, 0, -1),
        "equal": [7] * 3_000,
    }[values]
    table = pa.table({"key": list(keys), "came": range(3_000)})
    # 48 kB in runs of 1 kB: 48 runs, more than are merged at once.
    found = ordered(table.to_batches(max_chunksize=100), ["key"], table.schema, 1_000)
    assert found.equals(table.sort_by([("key", "ascending"), ("came", "ascending")]))


def test_half_floats_are_sorted_with_nan_after_numbers():
    import numpy as np

    table = pa.table({"half": pa.array([np.float16(x) for x in (2, float("nan"), -1)] + [None], pa.float16())})
    assert (
        str(ordered(table.to_batches(), ["half"], table.schema, None)["half"].to_pylist()) == "[-1.0, 2.0, nan, None]"
    )


def test_a_spill_limit_is_kept():
    table = pa.table({"key": range(50_000)})
    with pytest.raises(SpillError, match="sorting spills more than"):
        ordered(table.to_batches(1000), ["key"], table.schema, 10_000, spill=SpillFolder(limit="64KiB"))


def test_a_budget_that_is_taken_is_not_overdrawn():
    table = pa.table({"key": range(2_000_000)})
    with QueryContext(budget=MemoryBudget("16MiB")) as context, context.budget.reserve("other", 15 << 20):
        with pytest.raises(MemoryBudgetExceededError, match="sort needs"):
            list(sort_batches(iter(table.to_batches()), ["key"], table.schema, context))


def test_a_column_that_has_no_order_is_named():
    with pytest.raises(UnsupportedTypeError, match="order_by='tags'"):
        require_sortable(["tags"], pa.schema([("tags", pa.list_(pa.int8()))]))
