"""Rows of a stream, handed on while more come."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.core.clock import VirtualClock
from esker.errors import OptionError
from esker.shuffle.partition_function import partition_ids
from esker.shuffle.stream_shuffle import StreamShuffle
from esker.testing import streams

MEMORY = 64 << 20
BATCH = pa.record_batch({"k": pa.array([3, 1, 3, 2]), "n": pa.array(range(4))})


def test_rows_wait_until_they_are_due_and_no_longer():
    clock = VirtualClock()
    with StreamShuffle(BATCH.schema, ["k"], 4, memory_bytes=MEMORY, flush_seconds=2.0, clock=clock) as stream:
        assert list(stream.push(BATCH)) == []
        clock.sleep(1.9)
        assert list(stream.poll()) == []
        clock.sleep(0.2)
        assert sum(part.num_rows for _, part in stream.poll()) == 4
        # The next row's time counts from when it came.
        assert list(stream.push(BATCH.slice(0, 1))) == []
        clock.sleep(1.9)
        assert list(stream.poll()) == []
        assert sum(part.num_rows for _, part in stream.finish()) == 1


def test_full_pages_are_handed_on_without_a_time_out():
    rows = 200_000
    batch = pa.record_batch({"k": np.arange(rows) % 4, "n": np.arange(rows)})
    with StreamShuffle(batch.schema, ["k"], 4, memory_bytes=MEMORY, function="modulo") as stream:
        early = [part.num_rows for _ in range(4) for _, part in stream.push(batch)]
        late = [part.num_rows for _, part in stream.finish()]
    assert early and late
    assert sum(early) + sum(late) == 4 * rows


@given(data=streams(), count=st.integers(1, 9), threads=st.integers(1, 3))
def test_every_row_comes_out_once_in_order_where_it_belongs(data, count, threads):
    schema, batches = data
    firsts = np.cumsum([0, *(batch.num_rows for batch in batches)])
    schema = schema.append(pa.field("row", pa.int64()))
    batches = [
        batch.append_column("row", pa.array(range(first, first + batch.num_rows), pa.int64()))
        for batch, first in zip(batches, firsts, strict=False)
    ]
    batches = [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches]
    options = {"memory_bytes": MEMORY, "thread_count": threads, "flush_seconds": 0.0}
    found: list[list[pa.RecordBatch]] = [[] for _ in range(count)]
    with StreamShuffle(schema, schema.names[:1], count, **options) as stream:
        for batch in batches:
            for partition, part in stream.push(batch):
                found[partition].append(part)
        for partition, part in stream.finish():
            found[partition].append(part)
    ids = np.concatenate([partition_ids(batch, schema.names[:1], count) for batch in batches] or [np.empty(0)])
    for partition, parts in enumerate(found):
        rows = pa.Table.from_batches(parts, schema)["row"].to_pylist()
        assert rows == np.flatnonzero(ids == partition).tolist()


def test_a_time_that_cannot_be_is_refused():
    with pytest.raises(OptionError, match="flush_seconds=-1"):
        StreamShuffle(BATCH.schema, ["k"], 4, memory_bytes=MEMORY, flush_seconds=-1)
