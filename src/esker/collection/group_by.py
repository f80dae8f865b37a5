"""Groups of rows, for any Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esker.collection.infer import group_schema
from esker.plan.nodes import MapGroups

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset


class GroupBy:
    """The rows of a Dataset, grouped by key columns; made by `Dataset.group_by`."""

    def __init__(self, dataset: Dataset, by: tuple[str, ...], partition_count: int) -> None:
        self._dataset = dataset
        self._by = by
        self._partition_count = partition_count

    def map_groups(self, function: Callable[[pa.Table], Any], schema: pa.Schema | None = None) -> Dataset:
        """Call `function` with each group as a pyarrow table; it returns anything Arrow, row dicts, or one dict.

        Memory follows the largest partition, not the data: rows go through the native shuffle, which spills. Groups
        come partition by partition, each partition's in order of their first rows, rows in the order of the input.
        `schema` is that of the result; without it the function is called once on one group, now, to see.

        >>> import esker
        >>> rows = esker.from_arrow({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        >>> totals = rows.group_by("k").map_groups(lambda g: {"k": g["k"][0].as_py(), "total": sum(g["v"].to_pylist())})
        >>> sorted(totals.to_arrow().to_pylist(), key=lambda row: row["k"])
        [{'k': 'a', 'total': 4}, {'k': 'b', 'total': 2}]

        Raises UserFunctionError with the user's own line first, MemoryBudgetExceededError naming a key whose group
        alone does not fit.
        """
        if schema is None:
            schema = group_schema(self._dataset, self._by, function)
        node = MapGroups(schema, self._dataset._node, self._by, function, self._partition_count)
        return self._dataset._with(node)
