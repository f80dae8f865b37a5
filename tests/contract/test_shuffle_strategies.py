"""What every shuffle strategy owes, parametrised from the family's table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.core.spill import SpillFolder
from esker.errors import OptionError
from esker.kernel import _kernel
from esker.shuffle.border import to_schema
from esker.shuffle.partition_function import partition_ids
from esker.shuffle.strategies import STRATEGIES
from esker.shuffle.strategy import OPTIMISATIONS, ShuffleTask
from esker.testing import FIXED_WIDTH, TYPES, VIEWS, streams

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))
DRAWN = (*TYPES, *VIEWS, pa.binary(0))
ALL = (*DRAWN, pa.null(), pa.month_day_nano_interval())


def shuffled(
    strategy: str, schema: pa.Schema, pushes: Sequence[Sequence[pa.RecordBatch]], count: int, **options: object
) -> list[pa.Table]:
    """The partitions, after each batch was validated."""
    given_options = {"memory_bytes": 64 << 20, "keys": (0,), **options}
    threads = given_options.get("thread_count", 1)
    given_options.setdefault("ordered", STRATEGIES[strategy].ordered or threads == 1)
    found = STRATEGIES[strategy](ShuffleTask(schema=schema, partition_count=count, **given_options))  # type: ignore[arg-type]
    try:
        for batches in pushes:
            found.push(batches)
        found.finish()
        tables = []
        for partition in range(count):
            batches = list(found.partition(partition))
            for batch in batches:
                batch.validate(full=True)
            tables.append(pa.Table.from_batches([to_schema(batch, schema) for batch in batches], schema))
        assert [table.num_rows for table in tables] == found.partition_rows()
        return tables
    finally:
        found.close()


def expected(
    schema: pa.Schema, batches: Sequence[pa.RecordBatch], count: int, keys: Sequence[int] = (0,), **options: object
) -> list[list[dict[str, object]]]:
    """Plain Python: each row into the list of its partition."""
    out: list[list[dict[str, object]]] = [[] for _ in range(count)]
    for batch in batches:
        ids = partition_ids(batch, [schema.names[key] for key in keys], count, **options)  # type: ignore[arg-type]
        for partition, row in zip(ids.tolist(), rows_of(pa.Table.from_batches([batch], schema)), strict=True):
            out[partition].append(row)
    return out


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    """Rows as things that compare: NaN equals NaN, and -0.0 is not 0.0."""
    columns = []
    for column in table.columns:
        if pa.types.is_floating(column.type):
            columns.append([None if value is None else np.float64(value).tobytes() for value in column.to_pylist()])
        elif pa.types.is_temporal(column.type) and not pa.types.is_interval(column.type):
            # Python's own times end sooner than Arrow's.
            columns.append(column.cast(pa.int64() if column.type.bit_width == 64 else pa.int32()).to_pylist())
        else:
            columns.append(column.to_pylist())
    return [dict(enumerate(row)) for row in zip(*columns, strict=True)]


def split(batches: list[pa.RecordBatch], pushes: int) -> list[list[pa.RecordBatch]]:
    return [batches[number::pushes] for number in range(pushes)] if pushes > 1 else [batches]


@every_strategy
@given(data=streams(DRAWN), count=st.integers(1, 40), threads=st.integers(1, 3), keys=st.integers(1, 3))
def test_every_row_arrives_once_in_order_where_the_hash_puts_it(strategy, data, count, threads, keys):
    schema, batches = data
    used = tuple(range(min(keys, len(schema))))
    if not STRATEGIES[strategy].ordered:
        threads = 1
    tables = shuffled(strategy, schema, [batches], count, thread_count=threads, keys=used)
    assert [rows_of(table) for table in tables] == expected(schema, batches, count, used)


@pytest.mark.parametrize("strategy", list(STRATEGIES))
@given(data=streams(DRAWN), count=st.integers(1, 40), threads=st.integers(2, 4))
def test_every_row_arrives_once_in_whatever_order_with_several_threads(strategy, data, count, threads):
    schema, batches = data
    tables = shuffled(strategy, schema, [batches, batches], count, thread_count=threads, ordered=False)
    for table, want in zip(tables, expected(schema, [*batches, *batches], count), strict=True):
        assert Counter(map(repr, rows_of(table))) == Counter(map(repr, want))


PAIRS = [(strategy, pages) for strategy, pages, _ in _kernel.Shuffle.combinations()]
FIXED_ONLY = ("chunked",)


@pytest.mark.parametrize(("strategy", "pages"), [pair for pair in PAIRS if pair[1] not in FIXED_ONLY])
@given(data=streams(DRAWN), threads=st.integers(1, 3))
def test_every_page_manager_that_goes_with_a_strategy_loses_no_row(strategy, pages, data, threads):
    schema, batches = data
    tables = shuffled(strategy, schema, [batches], 7, thread_count=threads, ordered=False, pages=pages)
    for table, want in zip(tables, expected(schema, batches, 7), strict=True):
        assert Counter(map(repr, rows_of(table))) == Counter(map(repr, want))


@given(data=streams(FIXED_WIDTH), threads=st.integers(1, 3))
def test_chunked_claims_lose_no_row_and_refuse_strings(data, threads):
    schema, batches = data
    options = {"thread_count": threads, "ordered": False, "pages": "chunked"}
    tables = shuffled("software_managed_buffers", schema, [batches], 7, **options)
    for table, want in zip(tables, expected(schema, batches, 7), strict=True):
        assert Counter(map(repr, rows_of(table))) == Counter(map(repr, want))
    with pytest.raises(OptionError, match="fixed width only"):
        shuffled("software_managed_buffers", pa.schema([("s", pa.string())]), [], 7, **options)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if not STRATEGIES[name].ordered])
def test_a_strategy_without_order_says_so_where_order_is_asked_for(strategy):
    batch = pa.record_batch({"k": [1]})
    with pytest.raises(OptionError, match="order of arrival"):
        shuffled(strategy, batch.schema, [[batch]], 4, thread_count=2, ordered=True)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if STRATEGIES[name].spills])
@pytest.mark.parametrize("off", OPTIMISATIONS)
def test_turning_an_optimisation_off_changes_no_row(strategy, off):
    table = pa.table({"k": np.arange(20_000) % 911, "s": [f"value {n % 77} of some length" for n in range(20_000)]})
    options = {"function": "modulo", "optimisations": {off: False}}
    found = shuffled(strategy, table.schema, [table.to_batches()], 64, **options)
    want = shuffled("sort_first", table.schema, [table.to_batches()], 64, function="modulo")
    assert all(left.equals(right) for left, right in zip(found, want, strict=True))


def test_an_unknown_optimisation_and_page_manager_are_named():
    batch = pa.record_batch({"k": [1]})
    with pytest.raises(OptionError, match="no optimisation 'luck'"):
        shuffled("hybrid", batch.schema, [[batch]], 4, optimisations={"luck": False})
    with pytest.raises(OptionError, match="'hybrid' does not go with page manager 'lock_free'; there is: hybrid"):
        shuffled("hybrid", batch.schema, [[batch]], 4, pages="lock_free")


@every_strategy
def test_columns_that_only_say_the_partition_are_not_kept(strategy):
    batch = pa.record_batch({"n": pa.array([1, 2, 3]), "to": pa.array([2, 0, 2], pa.int32())})
    task = ShuffleTask(batch.schema, (1,), 3, 64 << 20, function="id", key_only_columns=1)
    found = STRATEGIES[strategy](task)
    found.push([batch])
    found.finish()
    parts = [[row for part in found.partition(number) for row in part.to_pylist()] for number in range(3)]
    found.close()
    assert parts == [[{"n": 2}], [], [{"n": 1}, {"n": 3}]]


@every_strategy
@pytest.mark.parametrize("type_", ALL, ids=str)
def test_every_type_passes_with_nulls_and_as_a_key(strategy, type_):
    values = pa.array([None, None], type_)
    if type_ in FIXED_WIDTH and not pa.types.is_boolean(type_):
        values = pa.concat_arrays([values, pa.Array.from_buffers(type_, 2, [None, pa.py_buffer(b"\0" * 64)])])
    batch = pa.record_batch([values, pa.array(range(len(values)))], ["k", "n"])
    tables = shuffled(strategy, batch.schema, [[batch]], 3)
    assert sorted(pa.concat_tables(tables)["n"].to_pylist()) == list(range(len(values)))
    assert [rows_of(table) for table in tables] == expected(batch.schema, [batch], 3)


@every_strategy
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_many_morsels_come_out_in_the_order_they_went_in(strategy, threads):
    if not STRATEGIES[strategy].ordered:
        threads = 1
    random = np.random.default_rng(11)
    rows = 300_000
    table = pa.table(
        {
            "k": random.integers(0, 5_000, rows),
            "n": np.arange(rows, dtype=np.uint32),
            "s": pa.array(["", "short", "a string that lies on the heap"] * (rows // 3)),
            "b": pa.array(random.random(rows) < 0.5, mask=random.random(rows) < 0.1),
        }
    )
    batches = table.to_batches(max_chunksize=70_001)
    tables = shuffled(strategy, table.schema, split(batches, 2), 33, thread_count=threads)
    order = [batch for push in split(batches, 2) for batch in push]
    want = pa.Table.from_batches(order)
    ids = np.concatenate([partition_ids(batch, ["k"], 33) for batch in order])
    for partition, found in enumerate(tables):
        assert found.equals(want.take(np.flatnonzero(ids == partition)))


@every_strategy
def test_arrival_order_loses_and_invents_no_row(strategy):
    table = pa.table({"k": np.arange(200_000) % 91, "n": np.arange(200_000)})
    tables = shuffled(strategy, table.schema, [table.to_batches()], 8, thread_count=3, ordered=False)
    assert np.array_equal(np.sort(pa.concat_tables(tables)["n"].to_numpy()), np.arange(200_000))


@every_strategy
@pytest.mark.parametrize("function", ["modulo", "id"])
@pytest.mark.parametrize("type_", [pa.int8(), pa.uint16(), pa.int32(), pa.uint64()], ids=str)
def test_integer_keys_choose_their_partition(strategy, function, type_):
    batch = pa.record_batch([pa.array([0, 6, 3, 6, 1], type_)], ["k"])
    tables = shuffled(strategy, batch.schema, [[batch]], 7, function=function)
    assert [table["k"].to_pylist() for table in tables] == [[0], [1], [], [3], [], [], [6, 6]]


@every_strategy
@given(data=streams(DRAWN), count=st.integers(1, 9))
def test_slices_of_batches_count_from_their_own_first_row(strategy, data, count):
    schema, batches = data
    cut = [batch.slice(1) for batch in batches if batch.num_rows > 1]
    assert [rows_of(table) for table in shuffled(strategy, schema, [cut], count)] == expected(schema, cut, count)


def spilling() -> list[str]:
    return [name for name, strategy in STRATEGIES.items() if strategy.spills]


@pytest.mark.parametrize("strategy", spilling())
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 64, 1500])
def test_a_tiny_budget_spills_and_gives_the_same_rows(strategy, threads, count, tmp_path):
    random = np.random.default_rng(5)
    # Many partitions make pages of a few rows, of which a disk has tens of thousands: half of them tell as much.
    rows = 120_000 if count < 1500 else 50_000
    table = pa.table(
        {
            "k": random.integers(0, 50_000, rows).astype(np.int32),
            "s": pa.array([f"row number {i} of many" * (1 + i % 3) for i in range(rows)]),
            "b": pa.array(random.random(rows) < 0.5, mask=random.random(rows) < 0.5),
        }
    )
    batches = table.to_batches(max_chunksize=10_000)
    if not STRATEGIES[strategy].ordered:
        threads = 1
    # What the strategy has beside its pages, and 2 MiB of pages for 10 MB of rows, or 4.
    buffer = 256 << 10
    memory = _kernel.Shuffle.overhead_bytes(table.schema, count, strategy, "", threads, buffer) + (2 << 20)
    with SpillFolder(root=tmp_path, limit="200MB") as spill:
        found = shuffled(
            strategy,
            table.schema,
            split(batches, 3),
            count,
            memory_bytes=memory,
            spill=spill,
            thread_count=threads,
            buffer_bytes=buffer,
        )
        assert not list(spill.path.glob("shuffle*"))
    want = shuffled("sort_first", table.schema, split(batches, 3), count)
    assert all(left.equals(right) for left, right in zip(found, want, strict=True))


@pytest.mark.parametrize("strategy", spilling())
@given(data=streams(DRAWN, rows_max=30), count=st.integers(1, 30), length=st.sampled_from([0, 13, 70_000, 300_000]))
def test_long_values_pass_beside_short_ones(strategy, data, count, length):
    schema, batches = data
    schema = schema.append(pa.field("long", pa.large_string()))
    batches = [
        batch.append_column(
            schema.field("long"),
            pa.array([None if i % 4 == 3 else "é" * (length * (i % 3)) for i in range(batch.num_rows)], "large_string"),
        )
        for batch in batches
    ]
    # `hybrid` gives every morsel a page of its own a partition: of 5 MiB, for the longest.
    tables = shuffled(strategy, schema, [batches], count, memory_bytes=1 << 30)
    assert [rows_of(table) for table in tables] == expected(schema, batches, count)
