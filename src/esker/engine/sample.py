"""A random share of the rows, the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from esker.core.seeded import generator
from esker.engine.stream import PartitionedStream


def sample(stream: PartitionedStream, fraction: float, seed: int) -> PartitionedStream:
    """Keep each row with the chance `fraction`.

    Each partition has its own chance, drawn once a row, so neither threads nor the size of batches change what stays.
    """

    def partition(index: int) -> Iterator[pa.RecordBatch]:
        chance = generator(seed, index)
        for batch in stream.partition(index):
            kept = batch.filter(pa.array(chance.random(batch.num_rows) < fraction))
            if kept.num_rows:
                yield kept

    return replace(stream, partition=partition)
