"""The schema of what a user's function returns, seen by calling it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esker.core.batch import to_batches
from esker.engine.group import groups
from esker.engine.user_function import call, function_name
from esker.errors import InputError

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset


def batch_schema(dataset: Dataset, function: Callable[[pa.RecordBatch], Any]) -> pa.Schema:
    """The schema of `function`'s result on the first batch that gives rows (or at least a schema)."""
    inputs = ((batch, "the first batch") for batch in _first_batches(dataset))
    return _first_schema(inputs, function, "map_batches")


def group_schema(dataset: Dataset, by: Sequence[str], function: Callable[[Any], Any], batches: bool) -> pa.Schema:
    """The schema of `function`'s result on the first group of the first batch, as an iterator if `batches`."""
    inputs = (
        (iter(group.to_batches()) if batches else group, "the first rows of a group")
        for batch in _first_batches(dataset)
        for group in groups(pa.Table.from_batches([batch]), by)
    )
    return _first_schema(inputs, function, "map_groups")


def _first_schema(inputs: Iterator[tuple[Any, str]], function: Callable[[Any], Any], operator: str) -> pa.Schema:
    for argument, where in inputs:
        for batch in to_batches(call(function, argument, operator, partial(str, where))):
            return batch.schema
    raise InputError(
        f"{operator}({function_name(function)}): no input row gave a result to see the columns from; pass schema="
    )


def _first_batches(dataset: Dataset) -> Iterator[pa.RecordBatch]:
    with closing(dataset.execute()) as result:
        for batch in result:
            if batch.num_rows:
                yield batch
