"""Pages that are handed on while rows still come, and those that come after, hold every row once."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from esker.kernel import _kernel
from esker.shuffle.partition_function import partition_ids

PARTITIONS = 5
PAIRS = [pair[:2] for pair in _kernel.Shuffle.combinations()]


@pytest.mark.parametrize(("strategy", "pages"), PAIRS)
@given(
    pushes=st.lists(st.tuples(st.integers(0, 9000), st.booleans()), min_size=1, max_size=5),
    threads=st.integers(1, 3),
)
def test_every_row_is_handed_on_once_where_it_belongs(strategy, pages, pushes, threads):
    schema = pa.schema([pa.field("key", pa.uint32(), nullable=False)])
    shuffle = _kernel.Shuffle(
        schema,
        [0],
        PARTITIONS,
        _kernel.PagePool(64 << 20),
        strategy=strategy,
        pages=pages,
        thread_count=threads,
        ordered=False,
    )
    parts: list[list[np.ndarray]] = [[] for _ in range(PARTITIONS)]

    def take(page_of: Callable[[int], _kernel.PageBatch | None]) -> None:
        for partition, part in enumerate(parts):
            while (page := page_of(partition)) is not None:
                part.append(pa.record_batch(page).column(0).to_numpy().copy())

    begin = 0
    for rows, flushed in pushes:
        shuffle.push(
            [pa.RecordBatch.from_arrays([pa.array(np.arange(begin, begin + rows, dtype=np.uint32))], schema=schema)]
        )
        begin += rows
        if flushed:
            shuffle.flush()
        take(shuffle.ready)
        if flushed:
            assert sum(len(each) for part in parts for each in part) == begin
    shuffle.finish()
    take(shuffle.next)
    keys = np.arange(begin, dtype=np.uint32)
    ids = partition_ids(pa.record_batch({"key": keys}), ["key"], PARTITIONS)
    for partition, part in enumerate(parts):
        assert np.array_equal(np.sort(np.concatenate([[], *part])), keys[ids == partition])
