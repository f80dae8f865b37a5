"""Samples of a number of rows: the same whoever draws, and whatever the batches are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from esker.core.context import QueryContext
from esker.core.seeded import generator
from esker.engine.sample import RowChance, draw, sample_rows
from esker.engine.sources.stored import PARTITION_ROWS
from esker.engine.stream import PartitionedStream


def drawn_by_place(seed: int, row_count: int) -> np.ndarray:
    partitions = -(-row_count // PARTITION_ROWS)
    whole = [generator(seed, index).random(PARTITION_ROWS) for index in range(partitions)]
    return np.concatenate(whole)[:row_count]


@pytest.mark.parametrize(
    ("first", "counts"),
    [(0, [5, 0, 7]), (3, [PARTITION_ROWS]), (PARTITION_ROWS - 2, [1, 1, 1]), (PARTITION_ROWS, [2 * PARTITION_ROWS])],
)
def test_rows_at_known_places_draw_what_the_table_draws(first: int, counts: list[int]) -> None:
    chance = RowChance(11, first)
    found = np.concatenate([chance(count) for count in counts])
    assert found.tolist() == drawn_by_place(11, first + sum(counts))[first:].tolist()


def _stream(batches: list[list[pa.RecordBatch]]) -> PartitionedStream:
    return PartitionedStream(batches[0][0].schema, len(batches), lambda index: iter(batches[index]))


def _parts(rows: int, batch_rows: int) -> list[list[pa.RecordBatch]]:
    parts = [pa.table({"id": range(part * rows, (part + 1) * rows)}) for part in range(3)]
    return [part.to_batches(max_chunksize=batch_rows) for part in parts]


def test_a_sample_is_the_rows_of_the_smallest_numbers() -> None:
    numbers = np.concatenate([generator(5, part).random(4_000) for part in range(3)])
    expected = np.sort(np.argsort(numbers)[:100]).tolist()
    for batch_rows in (4_000, 333):
        with QueryContext() as context:
            batches = sample_rows(draw(_stream(_parts(4_000, batch_rows)), 100, 5), 100, context)
            assert pa.Table.from_batches(batches)["id"].to_pylist() == expected


@pytest.mark.parametrize("batch_rows", [4_000, 700, 51])
def test_a_sample_of_few_bytes_is_the_same_whatever_the_batches_are(batch_rows: int) -> None:
    with QueryContext() as context:
        drawn = draw(_stream(_parts(4_000, batch_rows)), 1_000, 5)
        found = pa.Table.from_batches(sample_rows(drawn, 1_000, context, bytes_max=2_400))["id"].to_pylist()
    numbers = np.concatenate([generator(5, part).random(4_000) for part in range(3)])
    # Eight bytes a row.
    assert found == np.sort(np.argsort(numbers)[:300]).tolist()
