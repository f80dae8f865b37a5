"""Nested columns through every verb: as payload, as what groups are made by, and spilled."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import esker

ROWS = 40_000
NUMBERS = np.arange(ROWS)


def table(rows: int = ROWS) -> pa.Table:
    numbers = range(rows)
    return pa.table(
        {
            "n": pa.array(numbers, pa.int64()),
            "k": pa.array([n % 50 for n in numbers], pa.int64()),
            "tags": pa.array(
                [None if n % 5 == 0 else [n, None] * (n % 4) for n in numbers],
                pa.list_(pa.int64()),
            ),
            "who": pa.array(
                [{"s": "x" * (n % 20), "m": [("a", n)]} if n % 7 else None for n in numbers],
                pa.struct([("s", pa.string()), ("m", pa.map_(pa.string(), pa.int64()))]),
            ),
            "twice": pa.array([[n % 2, None] if n % 3 else [0.5, 0.25] for n in numbers], pa.list_(pa.float32(), 2)),
        }
    )


def test_a_shuffle_keeps_nested_rows_whole_though_it_spills():
    data = table(120_000)
    result = esker.from_arrow(data).shuffle("tags", partitions=16).execute(memory="16MiB")
    assert result.to_arrow().sort_by("n").equals(data)
    assert result.explanation.walk()[0].detail["spilled_bytes"] > 0


@pytest.mark.parametrize("by", ["tags", "who", "twice"])
def test_groups_by_a_nested_column_are_those_of_python(by):
    data = table(3000)
    counts: dict[str, int] = {}
    for value in data[by].to_pylist():
        counts[repr(value)] = counts.get(repr(value), 0) + 1
    schema = pa.schema([data.schema.field(by), ("rows", pa.int64())])
    found = (
        esker.from_arrow(data)
        .group_by(by)
        .map_groups(lambda group: pa.table([group[by].slice(0, 1), [group.num_rows]], schema=schema), schema=schema)
        .to_arrow()
    )
    assert {repr(row[by]): row["rows"] for row in found.to_pylist()} == counts
    assert found.num_rows == len(counts)


@pytest.mark.parametrize("algorithm", ["auto", "asj", "hash", "in_memory"])
def test_a_join_carries_nested_payload_of_both_sides(algorithm):
    data = table(2000)
    right = pa.table({"k": pa.array(range(0, 60, 2), pa.int64()), "deep": [[[{"i": k}]] for k in range(0, 60, 2)]})
    found = (
        esker.from_arrow(data).join(esker.from_arrow(right), on="k", how="left", algorithm=algorithm).to_arrow()
    ).sort_by("n")
    assert found.select(data.column_names).to_pylist() == data.to_pylist()
    assert found["deep"].to_pylist() == [None if k % 2 else [[{"i": k}]] for k in data["k"].to_pylist()]


def test_a_hash_join_that_must_divide_carries_nested_payload():
    data = table()
    right = pa.table({"n": data["n"], "wide": pa.FixedSizeListArray.from_arrays(np.repeat(NUMBERS, 64), 64)})
    joined = esker.from_arrow(data).join(esker.from_arrow(right), on="n", algorithm="hash").to_arrow(memory="48MiB")
    found = joined.sort_by("n")
    assert found["who"].equals(data["who"])
    assert found["wide"].equals(right["wide"])
