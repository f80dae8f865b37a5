"""Pages joined into batches: what comes out is what the pages hold, in the types that went in."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.kernel import _kernel
from esker.shuffle.native import BATCH_BYTES_MAX
from esker.testing import TYPES, VIEWS, streams

# With so many partitions in so little memory, pages are the smallest there are.
PARTITIONS = 256
POOL_BYTES = 4 << 20
ALL = (*TYPES, *VIEWS, pa.binary(0), pa.null())


def filled(
    batches: Sequence[pa.RecordBatch], schema: pa.Schema, pool: _kernel.PagePool, **options: object
) -> _kernel.Shuffle:
    """A shuffle that has every row in partition 0."""
    placed = schema.append(pa.field("partition", pa.int32()))
    shuffle = _kernel.Shuffle(placed, [len(schema)], PARTITIONS, pool, function="id", key_only_columns=1, **options)
    for batch in batches:
        number = pa.array(np.zeros(batch.num_rows, np.int32))
        shuffle.push([pa.RecordBatch.from_arrays([*batch.columns, number], schema=placed)])
    shuffle.finish()
    return shuffle


def joined(shuffle: _kernel.Shuffle, bytes_max: int) -> list[pa.RecordBatch]:
    return list(pa.RecordBatchReader.from_stream(shuffle.partition(0, bytes_max)))


def pages(shuffle: _kernel.Shuffle) -> list[pa.RecordBatch]:
    out = []
    while (page := shuffle.next(0)) is not None:
        out.append(pa.record_batch(page))
    return out


def bits_of(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """The rows with floats as the integers of the same bits, so that NaN equals NaN."""
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    integers = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    for number, field in enumerate(schema):
        if pa.types.is_floating(field.type):
            bits = table[number].combine_chunks().view(integers[field.type.bit_width])
            table = table.set_column(number, field.name, bits)
    return table


@given(data=streams(ALL), times=st.integers(1, 60), bytes_max=st.sampled_from([1, 5_000, 60_000, BATCH_BYTES_MAX]))
def test_joined_batches_hold_the_rows_of_their_pages_in_the_types_that_went_in(data, times, bytes_max):
    schema, batches = data
    found = joined(filled(batches * times, schema, _kernel.PagePool(POOL_BYTES)), bytes_max)
    for batch in found:
        batch.validate(full=True)
        assert batch.schema.types == schema.types
    apart = pages(filled(batches * times, schema, _kernel.PagePool(POOL_BYTES)))
    assert bits_of(found, schema).equals(bits_of([batch.cast(schema) for batch in apart], schema))
    if bytes_max == 1:
        assert [batch.num_rows for batch in found] == [batch.num_rows for batch in apart]


def rows(count: int, type_: pa.DataType) -> pa.RecordBatch:
    texts = pa.array([None if row % 7 == 0 else f"{row:0{row % 40}d}" for row in range(count)])
    flags = pa.array([None if row % 5 == 0 else row % 3 == 0 for row in range(count)])
    return pa.record_batch({"n": pa.array(range(count), pa.int64()), "flag": flags, "text": texts.cast(type_)})


@pytest.mark.parametrize("type_", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.binary_view()])
def test_many_small_pages_become_few_batches_of_about_the_size_asked_for(type_):
    batch = rows(40_000, type_)
    found = joined(filled([batch], batch.schema, _kernel.PagePool(POOL_BYTES)), 256 << 10)
    apart = pages(filled([batch], batch.schema, _kernel.PagePool(POOL_BYTES)))
    for part in found:
        part.validate(full=True)
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches([batch]))
    assert len(apart) > 20 * len(found)
    assert all(part.num_rows > 4000 for part in found[:-1])


def test_a_large_page_that_needs_no_other_type_is_handed_on_without_a_copy():
    batch = pa.record_batch({"n": np.arange(2_000_000)})
    pool = _kernel.PagePool(64 << 20)
    shuffle = _kernel.Shuffle(batch.schema, [0], 1, pool)
    shuffle.push([batch])
    shuffle.finish()
    used = pool.used_bytes
    found = joined(shuffle, BATCH_BYTES_MAX)
    assert pool.used_bytes == used
    assert pa.Table.from_batches(found).equals(pa.Table.from_batches([batch]))


def test_what_a_reader_holds_is_counted_by_the_pool_until_it_lets_go():
    batch = rows(40_000, pa.string())
    pool = _kernel.PagePool(POOL_BYTES)
    shuffle = filled([batch], batch.schema, pool)
    found = joined(shuffle, BATCH_BYTES_MAX)
    assert sum(part.nbytes for part in found) <= pool.used_bytes <= POOL_BYTES
    column = found[0].column("text")
    del found
    assert 0 < pool.used_bytes <= BATCH_BYTES_MAX + (256 << 10)
    assert column.to_pylist() == batch.column("text").to_pylist()[: len(column)]
    del column
    assert pool.used_bytes == 0


def test_rows_are_given_once():
    batch = rows(10, pa.string())
    shuffle = filled([batch], batch.schema, _kernel.PagePool(POOL_BYTES))
    assert joined(shuffle, BATCH_BYTES_MAX) == [batch]
    assert joined(shuffle, BATCH_BYTES_MAX) == []


def test_a_stream_raises_the_kernels_error_beside_its_text():
    batch = rows(10, pa.string())
    shuffle = filled([batch], batch.schema, _kernel.PagePool(POOL_BYTES))
    stream = shuffle.partition(0, BATCH_BYTES_MAX)
    reader = pa.RecordBatchReader.from_stream(stream)
    stream.raise_failure()
    shuffle.free()
    with pytest.raises(OSError, match="freed"):
        next(reader)
    with pytest.raises(RuntimeError, match="freed"):
        stream.raise_failure()


def test_a_stream_keeps_what_it_is_told_to_until_it_is_gone():
    class Keeper:
        pass

    batch = rows(10, pa.string())
    keeper = Keeper()
    gone = weakref.ref(keeper)
    shuffle = filled([batch], batch.schema, _kernel.PagePool(POOL_BYTES))
    reader = pa.RecordBatchReader.from_stream(shuffle.partition(0, BATCH_BYTES_MAX, keeper=keeper))
    del keeper
    assert gone() is not None
    assert reader.read_all().num_rows == 10
    del reader
    assert gone() is None


@pytest.mark.parametrize("type_", [pa.string(), pa.large_binary(), pa.string_view()], ids=str)
@pytest.mark.parametrize("bytes_max", [64 << 10, BATCH_BYTES_MAX])
def test_views_are_read_as_pages_hold_them(type_, bytes_max):
    batch = rows(60_000, type_)
    shuffle = filled([batch], batch.schema, _kernel.PagePool(POOL_BYTES))
    stream = shuffle.partition(0, bytes_max, views=True)
    found = pa.RecordBatchReader.from_stream(stream).read_all()
    text = next(field for field in found.schema if field.type in (pa.string_view(), pa.binary_view()))
    assert found.column(text.name).cast(batch.schema.field(text.name).type).to_pylist() == (
        batch.column(text.name).to_pylist()
    )
    assert found.num_rows == batch.num_rows


def test_spilled_pages_are_joined_as_others_are(tmp_path):
    batch = rows(60_000, pa.string())
    fd = os.open(tmp_path / "spill", os.O_RDWR | os.O_CREAT)
    pool = _kernel.PagePool(1 << 20)
    shuffle = filled([batch], batch.schema, pool, spill_fd=fd, spill_limit_bytes=1 << 30)
    assert shuffle.statistics()["spilled_pages"] > 0
    assert pa.Table.from_batches(joined(shuffle, 64 << 10)).equals(pa.Table.from_batches([batch]))


def test_the_disk_below_spilled_pages_is_free_once_they_are_read(tmp_path):
    batch = rows(100_000, pa.string())
    path = tmp_path / "spill"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    shuffle = filled([batch], batch.schema, _kernel.PagePool(1 << 20), spill_fd=fd, spill_limit_bytes=1 << 30)
    spilled = shuffle.statistics()["spilled_bytes"]
    before = path.stat().st_blocks * 512
    assert before >= spilled > 1 << 20
    for part in pa.RecordBatchReader.from_stream(shuffle.partition(0, 256 << 10)):
        del part
    # Blocks that two runs of pages share stay.
    assert path.stat().st_blocks * 512 < before / 4
    assert path.stat().st_size >= spilled
