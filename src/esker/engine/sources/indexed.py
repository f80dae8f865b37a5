"""An index folder as a source: vectors give row ids, rows are fetched by them, or scanned where that is less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import filtered, needed, scan_explanation
from esker.engine.stream import PartitionedStream, single
from esker.expression import Expression
from esker.index.plan import StorePlan, plan_store
from esker.index.row_format import ReadPrice
from esker.index.store import IndexStore
from esker.join.input import JoinInput

# Rows of a partition of a scan.
PARTITION_ROWS = 1 << 19


class IndexedSource(Source):
    """An index (see `esker.build_index`), as it was committed when the source was made."""

    format = "index"

    def __init__(self, path: Path, store: IndexStore | None = None) -> None:
        self.store = store or IndexStore.open(path)
        self.name = str(path)
        self.schema: pa.Schema = self.store.schema
        self.indexed_columns = frozenset(self.store.columns)

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        plan = plan_store(self.store, columns, predicate)
        explanation = self._explained(columns, predicate, plan)
        context.check_cost(explanation.estimated or Cost(), f"reading {self.name}")
        if plan.choice == "scan" or predicate is None:
            wanted = needed(columns, predicate)
            return SourceRead(filtered(self._scan(wanted, context), columns, predicate, self.schema), explanation)
        found = predicate

        def batches() -> Iterator[pa.RecordBatch]:
            return find_batches(self.store, found, columns, context)

        schema = pa.schema([self.schema.field(name) for name in columns])
        return SourceRead(single(schema, batches), explanation)

    def preview_cost(self, columns: Sequence[str]) -> Cost | None:
        # Rows beside an index are mapped from a local file: a preview touches some of its pages.
        return NO_COST if self.store.options.rows == "arrow" else None

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        plan = plan_store(self.store, columns, predicate)
        explanation = self._explained(columns, predicate, plan)
        rows = RowSet.range(0, self.store.row_count) - self.store.deleted
        if plan.choice == "index":
            return JoinInput(
                IndexedRows(self.store), self.store.row_set(predicate, context), tuple(columns), None
            ), explanation
        return JoinInput(IndexedRows(self.store), rows, tuple(columns), predicate), explanation

    def _scan(self, wanted: Sequence[str], context: QueryContext) -> PartitionedStream:
        store = self.store
        alive = RowSet.range(0, store.row_count) - store.deleted

        def partition(number: int) -> Iterator[pa.RecordBatch]:
            rows = alive.slice(number * PARTITION_ROWS, (number + 1) * PARTITION_ROWS)
            return (found.batch for found in store.fetch(rows, wanted, context))

        schema = pa.schema([self.schema.field(name) for name in wanted])
        return PartitionedStream(schema, max(1, -(-store.row_count // PARTITION_ROWS)), partition)

    def _explained(self, columns: Sequence[str], predicate: Expression | None, plan: StorePlan) -> Explanation:
        explanation = scan_explanation(self.name, self.format, columns, predicate)
        explanation.operator = "find" if predicate is not None else "scan index"
        explanation.choice, explanation.reason = plan.choice, plan.reason
        costs = {"index": cost_of(plan.index), "scan": cost_of(plan.scan)}
        explanation.estimated = costs.pop(plan.choice)
        if predicate is not None:
            explanation.alternatives = costs
        if plan.price is not None:
            explanation.detail["index_steps"] = list(plan.price.steps)
        return explanation


def find_batches(
    store: IndexStore,
    predicate: Expression | None,
    names: Sequence[str],
    context: QueryContext,
    limit: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield columns of the rows for which `predicate` is true, `limit` of them at most, by the index."""
    left = limit
    for block, rows in store.matches(predicate, context):
        if left is None:
            yield from block.rows.fetch_bitmap(rows, names, context)
            continue
        wanted = rows.rows() if rows.count() <= left else rows.rows().slice(0, rows.select(left))
        if wanted:
            with context.budget.reserve("row set", wanted.nbytes):
                yield from block.rows.fetch(wanted, names, context)
        left -= len(wanted)
        if left <= 0:
            return


def cost_of(price: ReadPrice) -> Cost:
    """What a read of local files costs."""
    from esker.storage import device_profile

    device = device_profile("nvme")
    seconds = price.requests * device.request_seconds + price.bytes / device.bytes_per_second
    return Cost(price.bytes, price.requests, seconds=seconds, devices={device.name: seconds})


class IndexedRows:
    """The rows of an index folder by id (a RowStore, core/row_store.py): every column is at hand."""

    def __init__(self, store: IndexStore) -> None:
        self._store = store
        self.name = store.name
        self.schema: pa.Schema = store.schema
        self.row_count: int = store.row_count
        self.hot_columns: frozenset[str] = frozenset(store.schema.names)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows that are not deleted."""
        return self._store.scan(columns, context)

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows`."""
        return self._store.fetch(rows, columns, context)

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """What `scan` reads."""
        return cost_of(self._store.scan_price(columns))

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """What `fetch` reads at most."""
        total = ReadPrice(0, 0)
        for block in self._store.blocks:
            count = len(rows.slice(block.first_row, block.row_stop))
            total = total.plus(block.rows.price_at_most(count, columns))
        return cost_of(total)
