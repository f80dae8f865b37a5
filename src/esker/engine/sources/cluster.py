"""An index in a cluster as a source: nodes find the rows, and give those chunks of columns that have some of them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence

import pyarrow as pa

from esker.cluster.client import Cluster, connect_url
from esker.cluster.layout import Layout
from esker.core.context import QueryContext
from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import scan_explanation
from esker.engine.stream import single
from esker.errors import InputError
from esker.expression import Expression
from esker.join.input import JoinInput

# What a value is taken to have, for prices: nodes are not asked for them.
_VALUE_BYTES = 8


class ClusterSource(Source):
    """An index that was built with its rows (see `Cluster.build`); each scan sees it as it is then."""

    format = "cluster"

    def __init__(self, url: str) -> None:
        """Connect; InputError for an index without rows."""
        cluster, index = connect_url(url)
        # The address and the index, without the path of the secret.
        self.name = f"{cluster.location}/{index}"
        self._cluster = cluster
        self._index = index
        weakref.finalize(self, cluster.close)
        layout = cluster.layout(index)
        if not layout.chunk_rows:
            raise InputError(f"index {index!r} was built without its rows: only its vectors can be asked")
        self.schema: pa.Schema = layout.schema
        self.indexed_columns = frozenset(column.name for column in layout.columns)

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        explanation = self._explained(columns, predicate)
        schema = pa.schema([self.schema.field(name) for name in columns])

        def batches() -> Iterator[pa.RecordBatch]:
            layout, rows = self._rows(predicate, explanation)
            for _, batch in ClusterRows(self._cluster, layout).fetch(rows, columns, context):
                yield batch

        return SourceRead(single(schema, batches), explanation)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        explanation = self._explained(columns, predicate)
        layout, rows = self._rows(predicate, explanation)
        return JoinInput(ClusterRows(self._cluster, layout), rows, tuple(columns), None), explanation

    def _rows(self, predicate: Expression | None, explanation: Explanation) -> tuple[Layout, RowSet]:
        layout, rows = self._cluster.find_rows(predicate, index=self._index)
        if layout.schema != self.schema:
            raise InputError(f"{self.name} was built anew with other columns; read it again")
        explanation.detail["rows_to_fetch"] = len(rows)
        return layout, rows

    def _explained(self, columns: Sequence[str], predicate: Expression | None) -> Explanation:
        return scan_explanation(self.name, self.format, columns, predicate)


class ClusterRows:
    """The rows of an index in a cluster by id (a RowStore, core/row_store.py)."""

    def __init__(self, cluster: Cluster, layout: Layout) -> None:
        self._cluster = cluster
        self._layout = layout
        self.name = layout.name
        self.schema: pa.Schema = layout.schema
        self.row_count: int = layout.row_count
        self.hot_columns: frozenset[str] = frozenset(layout.schema.names)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows."""
        return self.fetch(RowSet.range(0, self.row_count), columns, context)

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows`."""
        for batch in self._cluster.fetch(self._layout, rows, columns):
            context.check()
            yield batch

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """What `scan` reads."""
        return self._cost(self.row_count, columns)

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """What `fetch` reads at most: a chunk for each row, and no more than all."""
        return self._cost(min(len(rows) * self._layout.chunk_rows, self.row_count), columns)

    def _cost(self, row_count: int, columns: Sequence[str]) -> Cost:
        requests = -(-row_count // max(self._layout.chunk_rows, 1))
        return Cost(row_count * len(columns) * _VALUE_BYTES, requests)
