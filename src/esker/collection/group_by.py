"""Groups of rows, for any Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from esker.collection.infer import group_schema
from esker.core.batch import require_columns
from esker.engine.aggregate import PARTS, Aggregation, Aggregator
from esker.errors import OptionError
from esker.plan.nodes import Aggregate, MapGroups

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset


class GroupBy:
    """The rows of a Dataset, grouped by key columns; made by `Dataset.group_by`."""

    def __init__(self, dataset: Dataset, by: tuple[str, ...], partition_count: int) -> None:
        self._dataset = dataset
        self._by = by
        self._partition_count = partition_count

    def map_groups(
        self, function: Callable[[Any], Any], schema: pa.Schema | None = None, *, batches: bool = False
    ) -> Dataset:
        """Call `function` with each group as a pyarrow table; it returns anything Arrow, row dicts, or one dict.

        Memory follows the largest partition, not the data: rows go through the native shuffle, which spills. Groups
        come partition by partition, each partition's in order of their first rows, rows in the order of the input.
        `schema` is that of the result; without it the function is called once on one group, now, to see.

        >>> import esker
        >>> rows = esker.from_arrow({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        >>> totals = rows.group_by("k").map_groups(lambda g: {"k": g["k"][0].as_py(), "total": sum(g["v"].to_pylist())})
        >>> sorted(totals.to_arrow().to_pylist(), key=lambda row: row["k"])
        [{'k': 'a', 'total': 4}, {'k': 'b', 'total': 2}]

        With `batches` the function is called with an iterator of the group's record batches, so that a group may be
        larger than memory. It may stop before the end, and may be a generator, whose results are taken as they come.
        Large groups of a partition then come before its others.

        >>> def largest(batches):
        ...     return {"v": max(max(batch["v"].to_pylist()) for batch in batches)}
        >>> sorted(rows.group_by("k").map_groups(largest, batches=True).to_arrow()["v"].to_pylist())
        [2, 3]

        Raises UserFunctionError with the user's own line first, and without `batches` MemoryBudgetExceededError naming
        a key whose group alone does not fit.
        """
        if schema is None:
            schema = group_schema(self._dataset, self._by, function, batches)
        node = MapGroups(schema, self._dataset._node, self._by, function, self._partition_count, batches)
        return self._dataset._with(node)

    def agg(self, columns: Mapping[str, tuple[str, str]]) -> Dataset:
        """Make one row of each group: its key, and for each name in `columns` a function of a column.

        >>> import esker
        >>> rows = esker.from_arrow({"k": ["a", "b", "a"], "v": [1, 2, 3]})
        >>> totals = rows.group_by("k").agg({"total": ("v", "sum"), "rows": ("v", "count")})
        >>> totals.sort("k").to_arrow().to_pylist()
        [{'k': 'a', 'total': 4, 'rows': 2}, {'k': 'b', 'total': 2, 'rows': 1}]

        Functions are sum, min, max, mean, count, len, count_distinct, first and last. Nulls are left out, but for len,
        which counts all rows, and first and last, which are of the group's first and last row; a group of nulls alone
        has a null sum, min, max and mean. NaN is above all numbers, and one value to count_distinct. A sum of integers
        (or booleans, where true is 1) is int64, or raises InputError where it does not fit; of floats it is double, of
        decimals a decimal of 38 digits. A mean is double, counts are int64, the others have the type of their column.

        Each batch is aggregated before the shuffle, so memory follows the number of groups. Not so with
        count_distinct: the values of one group have to fit together, or MemoryBudgetExceededError names the key.
        """
        schema = self._dataset.schema
        aggregations = [_aggregation(output, source, self._by, schema) for output, source in columns.items()]
        if not aggregations:
            raise OptionError('agg names no column; give for example {"total": ("column", "sum")}')
        aggregator = Aggregator(self._by, aggregations, schema)
        node = Aggregate(aggregator.schema, self._dataset._node, self._by, aggregator, self._partition_count)
        return self._dataset._with(node)


def _aggregation(output: str, source: Sequence[str], by: tuple[str, ...], schema: pa.Schema) -> Aggregation:
    if output in by:
        raise OptionError(f"agg: {output!r} is a key of the groups; choose another name for the result")
    if isinstance(source, str) or len(source) != 2:
        raise OptionError(f'agg: {output!r} is {source!r}; give ("column", "function")')
    column, function = source
    require_columns([column], schema)
    if function not in PARTS:
        raise OptionError(f"agg: {output!r} asks for {function!r}; there is: {', '.join(PARTS)}")
    return Aggregation(output, column, function)
