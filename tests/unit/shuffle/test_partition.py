"""`esker.partition`: what each part gives, by whom it is read, and how long it lives."""

from __future__ import annotations

import gc

import numpy as np
import pyarrow as pa
import pytest

from esker.shuffle.partition import Partition, partition

ROWS = 50_000
PARTS = 8


def table() -> pa.Table:
    chance = np.random.default_rng(7)
    keys = pa.array(chance.integers(0, 500, ROWS))
    texts = pa.array([None if n % 11 == 0 else "x" * (n % 40) for n in range(ROWS)])
    return pa.table({"k": keys, "text": texts, "tags": pa.array([[n % 3] for n in range(ROWS)])})


def in_order(parts: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(part.cast(schema) for part in parts).sort_by([("k", "ascending"), ("text", "ascending")])


def by_kernel(part: Partition) -> pa.Table:
    return pa.table(part)


def by_python(part: Partition) -> pa.Table:
    return pa.Table.from_batches(part.batches(), part.schema)


@pytest.mark.parametrize("read", [by_kernel, by_python])
@pytest.mark.parametrize("columns", [["k", "text"], ["k", "text", "tags"]], ids=["flat", "nested"])
@pytest.mark.parametrize("views", [False, True])
def test_every_row_comes_once_however_a_part_is_read(read, columns, views):
    rows = table().select(columns)
    parts = partition(rows, "k", PARTS, views=views)
    counts = [part.num_rows for part in parts]
    found = [read(part) for part in parts]
    assert [part.num_rows for part in found] == counts
    assert found[0].schema.field("text").type == (pa.string_view() if views else pa.string())
    assert all(part.schema == found[0].schema for part in found)
    assert in_order(found, rows.schema).equals(in_order([rows], rows.schema))


def test_metadata_of_the_input_stays():
    rows = table().select(["k"]).replace_schema_metadata({"made by": "hand"})
    (part,) = partition(rows, "k", 1)
    assert part.schema.metadata == {b"made by": b"hand"}
    assert pa.table(part).schema.metadata == {b"made by": b"hand"}


def test_a_stream_outlives_its_part():
    rows = table().select(["k", "text"])
    readers = [pa.RecordBatchReader.from_stream(part) for part in partition(rows, "k", PARTS)]
    gc.collect()
    assert sum(reader.read_all().num_rows for reader in readers) == ROWS


def test_a_part_is_read_once():
    (part,) = partition(table(), "k", 1)
    assert pa.table(part).num_rows == ROWS
    assert pa.table(part).num_rows == 0


def test_a_requested_schema_is_cast_to():
    (part,) = partition(table().select(["text"]), "text", 1)
    wanted = pa.schema([("text", pa.large_string())])
    assert pa.RecordBatchReader.from_stream(part, schema=wanted).read_all().schema == wanted
