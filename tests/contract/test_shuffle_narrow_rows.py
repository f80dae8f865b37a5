"""Rows of a few narrow columns, with and without nulls, keep their values: buffers hold them row by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from esker.kernel import _kernel

PAIRS = [pair[:2] for pair in _kernel.Shuffle.combinations()]
PARTITIONS = 16
ROWS = 12_000
TYPES = {"4": [pa.uint32()], "8": [pa.uint64()], "4+4": [pa.uint32(), pa.int32()], "4+8": [pa.float32(), pa.int64()]}


@pytest.mark.parametrize("nulls", ["without nulls", "with nulls", "with nulls later"])
@pytest.mark.parametrize("types", list(TYPES))
@pytest.mark.parametrize(("strategy", "pages"), PAIRS)
def test_every_value_stays_with_its_key(strategy: str, pages: str, types: str, nulls: str) -> None:
    keys = np.arange(ROWS, dtype=np.uint32)
    first_null = {"without nulls": ROWS, "with nulls": 0, "with nulls later": ROWS // 2}[nulls]
    mask = (keys % 7 == 0) & (keys >= first_null)
    columns = [pa.array(keys), *(pa.array(keys, mask=mask).cast(type_) for type_ in TYPES[types])]
    fields = [pa.field("key", pa.uint32(), nullable=False)]
    fields += [pa.field(f"value {number}", type_) for number, type_ in enumerate(TYPES[types])]
    batch = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    shuffle = _kernel.Shuffle(
        batch.schema,
        [0],
        PARTITIONS,
        _kernel.PagePool(64 << 20),
        strategy=strategy,
        pages=pages,
        thread_count=2,
        ordered=False,
    )
    for begin in range(0, ROWS, ROWS // 4):
        shuffle.push([batch.slice(begin, ROWS // 4)])
    shuffle.finish()
    seen = 0
    for partition in range(PARTITIONS):
        while (page := shuffle.next(partition)) is not None:
            got = pa.record_batch(page)
            seen += got.num_rows
            assert got.equals(batch.take(got.column("key")))
    assert seen == ROWS


@pytest.mark.parametrize("strategy", [name for name, _, ordered in _kernel.Shuffle.combinations() if ordered])
@pytest.mark.parametrize("nulls", ["without nulls", "with nulls", "with nulls later", "with nulls now and then"])
@pytest.mark.parametrize("partitions", [5, 300])
def test_rows_keep_their_order_when_several_threads_take_turns(strategy: str, nulls: str, partitions: int) -> None:
    rows = 200_000
    keys = np.arange(rows, dtype=np.uint32)
    has_nulls = {
        "without nulls": [],
        "with nulls": [0, 1, 2, 3],
        "with nulls later": [2, 3],
        "with nulls now and then": [1, 3],
    }[nulls]
    schema = pa.schema([pa.field("key", pa.uint32(), nullable=False), pa.field("value", pa.int64())])
    shuffle = _kernel.Shuffle(
        schema, [0], partitions, _kernel.PagePool(64 << 20), strategy=strategy, thread_count=3, buffer_bytes=256 << 10
    )
    quarter = rows // 4
    for number in range(4):
        part = keys[number * quarter : (number + 1) * quarter]
        mask = (part % 7 == 0) if number in has_nulls else None
        batch = pa.RecordBatch.from_arrays([pa.array(part), pa.array(part.astype(np.int64), mask=mask)], schema=schema)
        shuffle.push([batch])
    shuffle.finish()
    seen = 0
    for partition in range(partitions):
        found = pa.RecordBatchReader.from_stream(shuffle.partition(partition, 1 << 20)).read_all()
        got, values = found["key"].to_numpy(), found["value"]
        seen += len(got)
        assert np.all(np.diff(got.astype(np.int64)) > 0)
        null = np.isin(got // quarter, has_nulls) & (got % 7 == 0)
        assert values.is_null().to_numpy().tolist() == null.tolist()
        assert np.array_equal(values.drop_null().to_numpy(), got[~null])
    assert seen == rows


@pytest.mark.parametrize("strategy", [name for name, _, ordered in _kernel.Shuffle.combinations() if ordered])
@pytest.mark.parametrize("value", [pa.uint32(), pa.string()], ids=str)
@pytest.mark.parametrize("partitions", [40, 300])
def test_rows_keep_their_order_when_most_are_of_one_key_for_a_while(
    strategy: str, value: pa.DataType, partitions: int
) -> None:
    rows, pushes = 240_000, 6
    chance = np.random.default_rng(3)
    keys = chance.integers(0, 5_000, rows, dtype=np.uint32)
    hot = np.repeat([False, True, True, True, False, False], rows // pushes) & (chance.random(rows) < 0.98)
    keys[hot] = 7
    numbers = np.arange(rows, dtype=np.uint32)
    batch = pa.record_batch({"key": keys, "value": pa.array(numbers).cast(value)})
    shuffle = _kernel.Shuffle(
        batch.schema, [0], partitions, _kernel.PagePool(64 << 20), strategy=strategy, thread_count=3
    )
    for begin in range(0, rows, rows // pushes):
        shuffle.push([batch.slice(begin, rows // pushes)])
    shuffle.finish()
    seen = 0
    for partition in range(partitions):
        found = pa.RecordBatchReader.from_stream(shuffle.partition(partition, 1 << 20)).read_all()
        order = found["value"].cast(pa.int64()).to_numpy()
        seen += len(order)
        assert np.all(np.diff(order) > 0)
        assert np.array_equal(found["key"].to_numpy(), keys[order])
    assert seen == rows
