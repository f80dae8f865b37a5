"""Every join algorithm gives the rows that SQL gives, in its promised order, within the budget."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import duckdb
import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from esker.core.context import QueryContext
from esker.core.memory import MemoryBudget
from esker.core.row_set import RowSet
from esker.core.spill import SpillFolder
from esker.errors import SpillError
from esker.expression import bind, parse
from esker.join import JOIN_KINDS, JoinInput, JoinLimits, TapeRows, plan_join
from esker.join.algorithms import ALGORITHMS
from esker.storage import Tier, open_tier
from esker.testing.stores import CountingStore

ORDERED = ("asj", "in_memory")
# Those that take limits of memory and disk, as source 003 has them.
LIMITED = ("ctt_gh", "cdt_gh", "nested_loop", "sort_merge")
MOMENT = dt.datetime(2013, 1, 1, 12, tzinfo=dt.UTC)
EARLIEST = dt.datetime.min.replace(tzinfo=dt.UTC)
# A few values of each type a key may have, so that generated keys meet; the first is drawn most.
KEYS: dict[pa.DataType, list[Any]] = {
    pa.bool_(): [True, False],
    pa.int8(): [1, -1, 127, -128],
    pa.uint64(): [1, 0, 2**64 - 1, 2**63],
    pa.int64(): [1, -1, 2**63 - 1, -(2**63)],
    pa.float32(): [1.5, 0.0, -0.0, math.nan, math.inf],
    pa.float64(): [1.5, 0.0, -0.0, math.nan, -math.inf],
    pa.string(): ["", "JFK", "a string that is longer than twelve bytes", "žluťoučký"],
    pa.large_string(): ["", "JFK", "a string that is longer than twelve bytes"],
    pa.binary(): [b"", b"\x00", b"\x00\x00"],
    pa.binary(3): [b"abc", b"\x00\x00\x00"],
    pa.decimal128(12, 2): [Decimal("1.50"), Decimal("-1.50"), Decimal("0.00")],
    pa.decimal256(60, 5): [Decimal("1.5").quantize(Decimal("0.00001")), Decimal("0.00001")],
    pa.date32(): [dt.date(2013, 1, 1), dt.date(1, 1, 1)],
    pa.timestamp("us", "UTC"): [MOMENT, EARLIEST],
    pa.timestamp("s"): [MOMENT.replace(tzinfo=None), EARLIEST.replace(tzinfo=None)],
    pa.time64("us"): [dt.time(12, 30), dt.time(0)],
    pa.duration("ms"): [dt.timedelta(seconds=1), dt.timedelta(0)],
}


@st.composite
def table_pairs(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    types = draw(st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=2))

    def side(name: str) -> pa.Table:
        rows = draw(st.integers(0, 12))
        columns: dict[str, Any] = {
            f"k{number}": pa.array(
                draw(st.lists(st.none() | st.sampled_from(KEYS[type_]), min_size=rows, max_size=rows)), type_
            )
            for number, type_ in enumerate(types)
        }
        columns[name] = pa.array(range(rows), pa.int64())
        columns["shared"] = pa.array([None if row % 3 == 2 else f"{name}{row}" for row in range(rows)], pa.string())
        columns[f"{name}_list"] = pa.array([[row] for row in range(rows)], pa.list_(pa.int64()))
        return pa.table(columns)

    return side("l"), side("r")


def comparable(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def joined_in_python(left: pa.Table, right: pa.Table, keys: list[str], how: str) -> list[list[Any]]:
    """The rows of a join by nested loop, in left order, then right, unmatched right rows last."""

    def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return all(one[key] is not None and comparable(one[key]) == comparable(other[key]) for key in keys)

    lefts, rights = left.to_pylist(), right.to_pylist()
    rest = [name for name in right.column_names if name not in keys]
    rows: list[list[Any]] = []
    for one in lefts:
        partners = [other for other in rights if equal(one, other)]
        if how in ("semi", "anti"):
            rows += [list(one.values())] * (bool(partners) == (how == "semi"))
            continue
        rows += [[*one.values(), *(other[name] for name in rest)] for other in partners]
        if not partners and how in ("left", "full"):
            rows.append([*one.values(), *(None for _ in rest)])
    if how in ("right", "full"):
        alone = [other for other in rights if not any(equal(one, other) for one in lefts)]
        rows += [
            [*(other[name] if name in keys else None for name in left.column_names), *(other[name] for name in rest)]
            for other in alone
        ]
    return rows


def run_join(
    left: JoinInput,
    right: JoinInput,
    keys: list[str],
    how: str,
    algorithm: str,
    memory: str = "64MiB",
    events: list[Any] | None = None,
    limits: JoinLimits | None = None,
) -> pa.Table:
    with QueryContext(budget=MemoryBudget(memory)) as context:
        if events is not None:
            context.log.listen(events.append)
        on = [(key, key) for key in keys]
        plan = plan_join(left, right, on, how, algorithm=algorithm, limits=limits, context=context)
        batches = []
        for batch in plan.run(context):
            batch.validate(full=True)
            assert batch.num_rows, "an empty batch came out"
            assert batch.schema.equals(plan.schema)
            batches.append(batch)
        assert context.budget.held_bytes == 0, context.budget.holders()
        assert context.budget.peak_bytes <= context.budget.total_bytes
    return pa.Table.from_batches(batches, plan.schema)


def whole(table: pa.Table, hot: list[str] | None = None, **options: Any) -> JoinInput:
    store = CountingStore(table, hot if hot is not None else table.column_names, **options)
    return JoinInput(store, None, tuple(table.column_names))


@contextmanager
def sides(algorithm: str, left: pa.Table, right: pa.Table, **options: Any) -> Iterator[tuple[JoinInput, JoinInput]]:
    """Both tables where the algorithm takes them from: on tape, for the one that needs a tape."""
    if algorithm != "ctt_gh":
        yield whole(left, **options), whole(right, **options)
        return
    with tempfile.TemporaryDirectory() as folder:
        tier = open_tier(f"tape:{folder}?device=exabyte-220l")
        yield on_tape(tier, "left", left), on_tape(tier, "right", right)
        assert not [*tier.list("esker-scratch/")], "partitions were left on tape"


def on_tape(tier: Tier, name: str, table: pa.Table, rows: int = 1000) -> JoinInput:
    batches = table.to_batches(max_chunksize=rows) or [pa.RecordBatch.from_pylist([], table.schema)]
    return JoinInput(TapeRows.write(tier, name, batches), None, tuple(table.column_names))


@pytest.mark.parametrize("how", JOIN_KINDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=15, deadline=None)
@given(tables=table_pairs())
def test_rows_are_those_of_a_nested_loop(algorithm: str, how: str, tables: tuple[pa.Table, pa.Table]) -> None:
    left, right = tables
    if algorithm == "hash":  # pages hold no lists
        left, right = left.drop(["l_list"]), right.drop(["r_list"])
    keys = [name for name in left.column_names if name.startswith("k")]
    expected = joined_in_python(left, right, keys, how)
    with sides(algorithm, left, right, batch_rows=3) as inputs:
        joined = run_join(*inputs, keys, how, algorithm)
    found = [list(row.values()) for row in joined.to_pylist()]
    if algorithm in ORDERED:
        assert list(map(repr, found)) == list(map(repr, expected))
    else:
        assert sorted(map(repr, found)) == sorted(map(repr, expected))


@pytest.mark.parametrize("how", JOIN_KINDS)
@pytest.mark.parametrize("algorithm", LIMITED)
@settings(max_examples=15, deadline=None)
@given(tables=table_pairs())
def test_limits_smaller_than_the_inputs_change_no_row(
    algorithm: str, how: str, tables: tuple[pa.Table, pa.Table]
) -> None:
    left, right = tables
    keys = [name for name in left.column_names if name.startswith("k")]
    expected = joined_in_python(left, right, keys, how)
    # A partition of a few rows; a disk of some partitions, except where rows have to fit it.
    limits = JoinLimits(memory_bytes=200, disk_bytes=400 if algorithm == "ctt_gh" else 1 << 20, buffer_bytes=64)
    with sides(algorithm, left, right, batch_rows=3) as inputs:
        joined = run_join(*inputs, keys, how, algorithm, limits=limits)
    found = [list(row.values()) for row in joined.to_pylist()]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@pytest.mark.parametrize("how", JOIN_KINDS)
@pytest.mark.parametrize("disk_bytes", [100, 800, 1 << 20])
@settings(max_examples=10, deadline=None)
@given(tables=table_pairs())
def test_keys_separated_on_tape_or_disk_and_any_number_of_passes_change_no_row(
    disk_bytes: int, how: str, tables: tuple[pa.Table, pa.Table]
) -> None:
    left, right = tables
    keys = [name for name in left.column_names if name.startswith("k")]
    expected = joined_in_python(left, right, keys, how)
    limits = JoinLimits(memory_bytes=100, disk_bytes=disk_bytes, even_passes=disk_bytes == 100)
    with sides("ctt_gh", left, right) as inputs:
        joined = run_join(*inputs, keys, how, "asj", limits=limits)
    found = [list(row.values()) for row in joined.to_pylist()]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@pytest.mark.parametrize("how", ["inner", "full", "semi"])
@pytest.mark.parametrize("share", [0.03, 0.1, 3.0])
def test_separation_in_many_passes_gives_the_rows_of_duckdb(
    how: str, share: float, big_tables: tuple[pa.Table, pa.Table]
) -> None:
    left, right = (table.slice(0, 20_000) for table in big_tables)
    limits = JoinLimits(right.nbytes // 20, int(right.nbytes * share))
    events: list[Any] = []
    with sides("ctt_gh", left, right) as inputs:
        joined = run_join(*inputs, ["k"], how, "asj", "32MiB", events, limits)
    assert in_row_order(joined).equals(in_duckdb(left, right, how).cast(joined.schema))
    account = events[-1]["account"]
    assert list(account["phases"]) == ["separate", "join", "materialise"]
    if how == "inner":
        # Pairs with text of some hundred bytes, against what the disk holds of them beside the pairs themselves.
        passes = account["counts"]["passes"]
        assert passes == 1 if share > 1 else passes > 1, account
    if share == 0.03:  # keys did not fit the disk: they were divided on tape, in several scans
        assert account["counts"]["scans of the build side"] > 1, account


@pytest.mark.parametrize("how", JOIN_KINDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_found_rows_and_filters_narrow_both_sides_before_matching(algorithm: str, how: str) -> None:
    left = pa.table({"k": [1, 2, 3, 4, 5, 6], "a": [10, 20, 30, 40, 50, 60]})
    right = pa.table({"k": [2, 3, 4, 6, 7, None], "b": ["x", "y", "x", "y", "y", "y"]})
    found = RowSet.of([0, 1, 2, 3])  # keys 1 to 4
    with sides(algorithm, left, right) as (one, other):
        inputs = (
            JoinInput(one.store, found, ("k",), bind(parse("a > 10"), left.schema)),
            JoinInput(other.store, None, ("k", "b"), bind(parse("b = 'y'"), right.schema)),
        )
        joined = run_join(*inputs, ["k"], how, algorithm)
    kept_left, kept_right = left.take([1, 2, 3]).select(["k"]), right.take([1, 3, 4, 5])
    expected = joined_in_python(kept_left, kept_right, ["k"], how)
    assert sorted(map(repr, (list(row.values()) for row in joined.to_pylist()))) == sorted(map(repr, expected))


def big_table(rows: int, name: str, keys: np.ndarray[Any, Any], seed: int) -> pa.Table:
    nulls = np.random.default_rng(seed).random(rows) < 0.05
    text = np.char.add(np.char.mod(f"{name}%d", np.arange(rows)), "-" * 90)
    return pa.table({"k": pa.array(keys, mask=nulls), name: np.arange(rows), f"{name}_text": pa.array(text)})


def in_duckdb(left: pa.Table, right: pa.Table, how: str) -> pa.Table:
    connection = duckdb.connect()
    connection.register("l_table", left)
    connection.register("r_table", right)
    if how in ("semi", "anti"):
        sql = f"SELECT l_table.* FROM l_table {how} JOIN r_table USING (k) ORDER BY l"
    else:
        sql = f"""SELECT coalesce(l_table.k, r_table.k) AS k, l, l_text, r, r_text
            FROM l_table {how} JOIN r_table ON l_table.k = r_table.k ORDER BY l NULLS LAST, r"""
    return connection.sql(sql).to_arrow_table()


def in_row_order(joined: pa.Table) -> pa.Table:
    return joined.sort_by([(name, "ascending") for name in ("l", "r") if name in joined.column_names])


@pytest.fixture(scope="module")
def big_tables() -> tuple[pa.Table, pa.Table]:
    random = np.random.default_rng(7)
    left, right = 150_000, 130_000
    return (
        big_table(left, "l", random.integers(0, left, left), 1),
        big_table(right, "r", random.integers(0, left, right), 2),
    )


@pytest.mark.parametrize("how", ["inner", "full", "semi"])
@pytest.mark.parametrize("algorithm", LIMITED)
def test_inputs_larger_than_the_limits_give_the_rows_of_duckdb(
    algorithm: str, how: str, big_tables: tuple[pa.Table, pa.Table]
) -> None:
    left, right = (table.slice(0, 40_000) for table in big_tables)
    # Eight blocks of memory a side; a disk of half the build side, except where rows have to fit it.
    disk_bytes = right.nbytes // 2 if algorithm == "ctt_gh" else 3 * (left.nbytes + right.nbytes) // 2
    limits = JoinLimits(right.nbytes // 8, disk_bytes, buffer_bytes=64 << 10)
    events: list[Any] = []
    with sides(algorithm, left, right) as inputs:
        joined = run_join(*inputs, ["k"], how, algorithm, "32MiB", events, limits)
    expected = in_duckdb(left, right, how).cast(joined.schema)
    assert in_row_order(joined).equals(expected)
    counts = events[-1]["account"]["counts"]
    if algorithm == "ctt_gh" and how != "semi":  # of which only keys are read
        assert counts["scans of the build side"] == 3, counts  # what is cut off the end of two scans needs a third
        assert counts["chunks of the probe side"] == 3, counts


@pytest.mark.parametrize("how", ["inner", "full", "anti"])
@pytest.mark.parametrize("algorithm", ["asj", "hash"])
def test_inputs_larger_than_the_budget_give_the_rows_of_duckdb(
    algorithm: str, how: str, big_tables: tuple[pa.Table, pa.Table]
) -> None:
    left, right = big_tables
    assert left.nbytes + right.nbytes > 24 << 20
    events: list[Any] = []
    inputs = whole(left, ["k"], batch_rows=20_000), whole(right, ["k"], batch_rows=20_000)
    joined = run_join(*inputs, ["k"], how, algorithm, "16MiB", events)
    assert "join_divided" in {event["event"] for event in events}
    expected = in_duckdb(left, right, how).cast(joined.schema)
    assert (joined if algorithm == "asj" else in_row_order(joined)).equals(expected)


@pytest.mark.parametrize("how", ["inner", "full", "semi", "anti"])
@pytest.mark.parametrize("algorithm", ["asj", "hash"])
def test_a_key_larger_than_the_budget_is_joined_block_by_block(algorithm: str, how: str) -> None:
    right_rows = 120_000
    left_keys = np.concatenate([np.full(2, 7), np.arange(20)])
    right_keys = np.where(np.arange(right_rows) % 10 == 0, np.arange(right_rows), 7)
    left, right = big_table(22, "l", left_keys, 3), big_table(right_rows, "r", right_keys, 4)
    inputs = whole(left, ["k"]), whole(right, ["k"], batch_rows=20_000)
    events: list[Any] = []
    joined = run_join(*inputs, ["k"], how, algorithm, "16MiB", events)
    if algorithm == "hash" and how in ("inner", "full"):  # keys alone would fit
        assert "join_part_in_blocks" in {event["event"] for event in events}
    expected = in_duckdb(left, right, how).cast(joined.schema)
    assert (joined if algorithm == "asj" else in_row_order(joined)).equals(expected)


@pytest.mark.parametrize("how", ["left", "semi", "anti"])
@pytest.mark.parametrize("algorithm", ["asj", "hash"])
def test_keys_alone_that_outgrow_the_budget_are_joined_block_by_block(algorithm: str, how: str) -> None:
    left = pa.table({"k": [7, 8, None], "l": [0, 1, 2]})
    right = pa.table({"k": np.full(400_000, 7)})
    events: list[Any] = []
    joined = run_join(whole(left), whole(right, batch_rows=50_000), ["k"], how, algorithm, "16MiB", events)
    assert "join_part_in_blocks" in {event["event"] for event in events}
    counts = {"left": [400_000, 1, 1], "semi": [1, 0, 0], "anti": [0, 1, 1]}[how]
    assert [joined["l"].to_pylist().count(row) for row in range(3)] == counts


def test_a_build_side_that_proves_too_large_goes_through_the_shuffle() -> None:
    rows = 60_000
    left = pa.table({"k": np.arange(rows), "l": np.arange(rows)})
    # The store's prices say 10 bytes a value, so planning thinks the text is small.
    right = pa.table({"k": np.arange(rows), "r": np.arange(rows), "text": ["x" * 300] * rows})
    events: list[Any] = []
    joined = run_join(whole(left), whole(right), ["k"], "inner", "in_memory", "16MiB", events)
    assert "join_fell_back" in {event["event"] for event in events}
    assert sorted(joined["r"].to_pylist()) == list(range(rows))
    assert joined["l"].equals(joined["r"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_join_gives_the_same_batches_twice(algorithm: str, big_tables: tuple[pa.Table, pa.Table]) -> None:
    left, right = (table.slice(0, 30_000) for table in big_tables)
    with sides(algorithm, left, right) as inputs:
        first, second = (run_join(*inputs, ["k"], "full", algorithm) for _ in range(2))
    assert first.equals(second)
    assert [chunk.num_rows for chunk in first.to_batches()] == [chunk.num_rows for chunk in second.to_batches()]


@pytest.mark.parametrize("algorithm", ["asj", "hash"])
def test_a_join_that_is_left_early_frees_memory_and_spill(
    algorithm: str, big_tables: tuple[pa.Table, pa.Table]
) -> None:
    left, right = big_tables
    with QueryContext(budget=MemoryBudget("16MiB")) as context:
        inputs = whole(left, ["k"], batch_rows=20_000), whole(right, ["k"], batch_rows=20_000)
        plan = plan_join(*inputs, [("k", "k")], "full", algorithm=algorithm, context=context)
        rows = plan.run(context)
        assert isinstance(rows, Iterator)
        next(rows)
        rows.close()  # type: ignore[attr-defined]  # a generator, as every iterator of a plan
        assert context.budget.held_bytes == 0, context.budget.holders()
        assert not [path for path in context.spill.path.iterdir() if path.name.startswith(("join", "null"))]
        folder = context.spill.path
    assert not folder.exists()


@pytest.mark.parametrize("algorithm", ["asj", "hash"])
def test_a_cap_on_spill_is_kept_and_named(algorithm: str, big_tables: tuple[pa.Table, pa.Table]) -> None:
    left, right = big_tables
    with QueryContext(budget=MemoryBudget("16MiB"), spill=SpillFolder(limit="2MiB")) as context:
        inputs = whole(left, ["k"], batch_rows=20_000), whole(right, ["k"], batch_rows=20_000)
        plan = plan_join(*inputs, [("k", "k")], "full", algorithm=algorithm, context=context)
        with pytest.raises(SpillError, match="would pass spill_limit=2MiB"):
            list(plan.run(context))
        assert context.budget.held_bytes == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_estimates_name_what_is_read_and_read_nothing(algorithm: str) -> None:
    tables = pa.table({"k": [1, 2], "l": [1, 2]}), pa.table({"k": [2], "r": [1]})
    with sides(algorithm, *tables) as inputs, QueryContext() as context:
        before = [input_.store.tier.counted for input_ in inputs if isinstance(input_.store, TapeRows)]
        plan = plan_join(*inputs, [("k", "k")], "inner", algorithm="hash", context=context)
        estimate = plan.estimates[algorithm]
        assert estimate.supported
        assert estimate.detail
        assert estimate.seconds >= estimate.cost.seconds
        for side in inputs:
            if isinstance(side.store, CountingStore):
                assert not side.store.scanned
                assert not side.store.fetched
        assert before == [input_.store.tier.counted for input_ in inputs if isinstance(input_.store, TapeRows)]
