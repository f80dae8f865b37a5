"""A frozen data set as a source: index and hot columns decide, payload is thawed last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.find import Found, find_rows
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import filtered, needed, scan_explanation
from esker.engine.stream import single
from esker.expression import Expression
from esker.frozen import FrozenCatalog
from esker.index import Index
from esker.join.input import JoinInput
from esker.thaw import StoredRows


class FrozenSource(Source):
    """A frozen data set (see `esker.freeze`), as it was committed when the source was made."""

    format = "frozen"

    def __init__(self, path: Path) -> None:
        self._catalog = FrozenCatalog.open(path)
        self._store = StoredRows(self._catalog)
        self._index = self._open_index()
        self.name = str(path)
        self.schema: pa.Schema = self._catalog.schema
        self.indexed_columns = frozenset(self._index.columns if self._index is not None else ())

    def read(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> SourceRead:
        found = find_rows(self._store, self._index, predicate, context)
        wanted = needed(columns, found.residual)
        if set(wanted) <= self._store.hot_columns:
            return self._read_hot(columns, predicate, found, wanted, context)
        return self._thaw(columns, predicate, found, wanted, context)

    def join_input(
        self, columns: Sequence[str], predicate: Expression | None, context: QueryContext
    ) -> tuple[JoinInput, Explanation]:
        found = find_rows(self._store, self._index, predicate, context)
        explanation = self._explained("scan frozen" if predicate is None else "find", columns, predicate, found)
        rows = found.rows if predicate is not None else None
        # A join reads through the store by itself: what the devices did is known when the query ends.
        context.resources.callback(self._keep_timeline, explanation)
        return JoinInput(self._store, rows, tuple(columns), found.residual), explanation

    def _open_index(self) -> Index | None:
        catalog = self._catalog
        return Index.open(catalog.index_folder, catalog.segments, catalog.row_count) if catalog.segments else None

    def _read_hot(
        self,
        columns: Sequence[str],
        predicate: Expression | None,
        found: Found,
        wanted: Sequence[str],
        context: QueryContext,
    ) -> SourceRead:
        explanation = self._explained("find", columns, predicate, found)
        explanation.choice = "hot columns"
        explanation.reason = "every column asked for is hot: the payload is not touched"

        def batches() -> Iterator[pa.RecordBatch]:
            return (rows.batch for rows in self._store.fetch(found.rows, wanted, context))

        return SourceRead(self._stream(batches, columns, found, wanted), explanation)

    def _thaw(
        self,
        columns: Sequence[str],
        predicate: Expression | None,
        found: Found,
        wanted: Sequence[str],
        context: QueryContext,
    ) -> SourceRead:
        plan = self._store.plan(found.rows, wanted, context)
        assert plan.thaw is not None, "a column that is not hot is thawed"
        explanation = self._explained("find" if predicate is not None else "scan frozen", columns, predicate, found)
        explanation.choice = plan.choice
        explanation.reason = plan.reason
        # Estimates are of the payload's tier alone, so that they can be held against what the tier counts.
        explanation.estimated = plan.thaw.cost
        payload = {"fetch": plan.thaw.fetch, "scan": plan.thaw.scan, "full read": plan.thaw.full}
        explanation.alternatives = {name: cost for name, cost in payload.items() if name != plan.choice}
        explanation.detail["hot_read"] = str(plan.hot)
        if plan.thaw.recalls:
            explanation.detail["recall"] = f"{len(plan.thaw.recalls):,} objects first: {plan.thaw.recall}"
        context.check_cost(plan.cost, f"thawing {self.name}")

        def batches() -> Iterator[pa.RecordBatch]:
            before = self._store.counted
            with context.budget.reserve("row set", found.rows.nbytes):
                for rows in self._store.run(plan, context):
                    yield rows.batch
            explanation.actual = self._store.counted.since(before)
            explanation.timeline = self._store.timeline()

        return SourceRead(self._stream(batches, columns, found, wanted), explanation)

    def _keep_timeline(self, explanation: Explanation) -> None:
        explanation.timeline = self._store.timeline()

    def _stream(self, batches: Any, columns: Sequence[str], found: Found, wanted: Sequence[str]) -> Any:
        schema = pa.schema([self.schema.field(name) for name in wanted])
        return filtered(single(schema, batches), columns, found.residual, self.schema)

    def _explained(
        self, operator: str, columns: Sequence[str], predicate: Expression | None, found: Found
    ) -> Explanation:
        detail = {**found.detail, "rows_to_fetch": len(found.rows)} if predicate is not None else {}
        explanation = scan_explanation(self.name, self.format, columns, predicate, **detail)
        explanation.operator = operator
        return explanation
