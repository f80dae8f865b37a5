"""Stages: what happens to the batches of one partition, fused into one generator chain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from esker.core.activity import Meter
from esker.core.batch import to_batches
from esker.core.explanation import Explanation
from esker.engine.user_function import call
from esker.expression import Expression, filter_batch

Stage = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def filter_stage(predicate: Expression) -> Stage:
    """Keep the rows for which `predicate` is true."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            kept = filter_batch(predicate, batch)
            if kept.num_rows:
                yield kept

    return stage


def project_stage(names: Sequence[str]) -> Stage:
    """Keep `names`, in that order."""
    columns = list(names)

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.select(columns)

    return stage


def map_stage(function: Callable[[pa.RecordBatch], Any], schema: pa.Schema) -> Stage:
    """Call the user's function with each batch; what it returns is cast to `schema`."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(batches):
            where = partial(_place, number, batch.num_rows)
            yield from to_batches(call(function, batch, "map_batches", where), schema)

    return stage


def _place(number: int, row_count: int) -> str:
    return f"batch {number} of its partition ({row_count:,} rows)"


def count_stage(meter: Meter) -> Stage:
    """Count what passes, for the explanation, the log and progress; several partitions may share it."""

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        meter.begin()
        for batch in batches:
            meter.count(batch)
            yield batch
        meter.end()

    return stage


def count_taken_stage(explanation: Explanation) -> Stage:
    """Count the rows that a scan decodes, before its predicate."""
    lock = threading.Lock()

    def stage(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            with lock:
                explanation.rows_in = (explanation.rows_in or 0) + batch.num_rows
            yield batch

    return stage


def head(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The first `rows` rows; what makes `batches` is closed as soon as they are there."""
    left = rows
    while left > 0 and (batch := next(batches, None)) is not None:
        yield batch.slice(0, left)
        left -= batch.num_rows
    close = getattr(batches, "close", None)
    if close is not None:
        close()
