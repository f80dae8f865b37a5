"""A partition that is divided: every own partition has one key, and all of its rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from esker.core.context import QueryContext
from esker.engine.group import group_codes
from esker.engine.separate import SEPARATE_MAX, Separate
from esker.engine.stream import single
from esker.testing.arrow_strategies import streams

KEY_TYPES = [pa.int16(), pa.string(), pa.float64(), pa.decimal128(5, 2), pa.bool_(), pa.timestamp("us"), pa.binary()]


def placed(separate: Separate, schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.Table:
    with QueryContext() as context:
        numbered = list(separate.numbered(single(schema, lambda: iter(batches)), context))
    return pa.Table.from_batches(numbered) if numbered else schema.empty_table()


@given(stream=streams(KEY_TYPES, rows_max=40, columns_max=2), again=st.booleans())
def test_an_own_partition_has_one_key_and_all_its_rows(
    stream: tuple[pa.Schema, list[pa.RecordBatch]], again: bool
) -> None:
    schema, batches = stream
    rows = pa.Table.from_batches(batches, schema)
    drawn = rows.slice(rows.num_rows // 2) if again else None
    separate = Separate(schema.names, 5, 1, row_count=rows.num_rows, row_bytes=rows.nbytes, drawn=drawn)
    found = placed(separate, schema, batches)
    if not rows.num_rows:
        return
    assert found.select(schema.names).equals(rows) or "double" in str(schema)  # NaN equals nothing
    ids = found.column(found.num_columns - 1).to_numpy()
    assert ((ids >= 0) & (ids < separate.partition_count)).all()
    codes, count = group_codes(rows, schema.names)
    pairs = set(zip(codes.tolist(), ids.tolist(), strict=True))
    assert len(pairs) == count
    own = [partition for _, partition in pairs if partition < SEPARATE_MAX]
    assert len(own) == len(set(own))


def test_a_key_that_is_missed_is_found_among_the_rows_drawn() -> None:
    keys = np.concatenate([np.arange(100_000), np.full(100_000, -7)])
    batches = pa.table({"k": keys}).to_batches(max_chunksize=10_000)
    first = Separate(["k"], 4, 1, row_count=len(keys), row_bytes=8 * len(keys))
    ids = placed(first, batches[0].schema, batches).column(1).to_numpy()
    (missed,) = set(ids[100_000:].tolist())
    assert missed >= SEPARATE_MAX
    rest = pa.table({"k": keys[ids == missed]})
    drawn = first.drawn(missed)
    assert 3_000 < drawn.num_rows < 6_500
    second = Separate(["k"], 4, 2, row_count=rest.num_rows, row_bytes=rest.nbytes, drawn=drawn)
    ids = placed(second, rest.schema, rest.to_batches(max_chunksize=10_000)).column(1).to_numpy()
    (own,) = set(ids[rest["k"].to_numpy() == -7].tolist())
    assert own < SEPARATE_MAX
    assert (ids == own).sum() == 100_000


def test_rows_drawn_of_wide_keys_stay_small() -> None:
    batch = pa.record_batch({"k": ["x" * 100_000] * 1000})
    separate = Separate(["k"], 4, 1, row_count=1000, row_bytes=batch.nbytes)
    assert separate._drawn_share(1 << 20) < 0.02
