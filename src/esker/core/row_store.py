"""What joins and finds ask of data: keys by scan, payload by row id, and the price of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.row_set import RowSet


class RowBatch(NamedTuple):
    """Rows and where they lie: `row_ids` (uint64, ascending) has one entry for each row of `batch`."""

    row_ids: npt.NDArray[np.uint64]
    batch: pa.RecordBatch


class Zone(NamedTuple):
    """Rows `start` to `stop` (exclusive) whose values, nulls aside, are from `low` to `high`; None is not known."""

    start: int
    stop: int
    low: pa.Scalar | None
    high: pa.Scalar | None


@runtime_checkable
class Zoned(Protocol):
    """A row store that knows bounds of a column for stretches of its rows, without reading them."""

    def zones(self, column: str) -> Iterator[Zone]:
        """Yield stretches of rows, ascending; rows in none of them may hold anything."""
        ...


class RowStore(Protocol):
    """Data whose rows have ids: the id is the position in storage order, from 0 to `row_count`.

    `hot_columns` can be read without touching the payload. `scan` and `fetch` yield rows in row-id order, columns
    in the order asked for; they read no other column. `fetch` reads each row once, and only rows of `rows`.
    Costs are known before anything is read; a store that cannot fetch at random says so by a fetch cost no lower
    than its scan cost.
    """

    @property
    def name(self) -> str:
        """What plans and errors call it: a path, or a short word."""
        ...

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def row_count(self) -> int: ...

    @property
    def hot_columns(self) -> frozenset[str]: ...

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]: ...

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]: ...

    def scan_cost(self, columns: Sequence[str]) -> Cost: ...

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost: ...
