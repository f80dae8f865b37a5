"""A frozen data set as a source: index and hot columns decide, payload is thawed last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.explanation import Explanation
from esker.core.row_set import RowSet
from esker.engine.find import Found, find_rows
from esker.engine.matched_rows import Ids, MatchedRows, matching_stage, tell_matches
from esker.engine.source import Source, SourceRead
from esker.engine.sources.stored import filtered, needed, scan_explanation
from esker.engine.stages import Stage
from esker.engine.stream import PartitionedStream, single
from esker.expression import Expression
from esker.frozen import FrozenCatalog
from esker.index import Index
from esker.join.input import JoinInput
from esker.thaw import StoredRows
from esker.thaw.plan import ThawPlan


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

    def thaw_plan(self, columns: Sequence[str], predicate: Expression | None, context: QueryContext) -> ThawPlan | None:
        """What a scan would read of the payload; None where the index and the hot columns have it all."""
        found = find_rows(self._store, self._index, predicate, context)
        wanted = needed(columns, found.residual)
        return None if set(wanted) <= self._store.hot_columns else self._store.plan(found.rows, wanted, context).thaw

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

        return SourceRead(self._stream(batches, columns, found, wanted, explanation), explanation)

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
        stage: Stage | None = None
        last: list[Ids] = [np.empty(0, np.uint64)]
        if found.residual is not None:
            matched = MatchedRows()
            # One partition: a batch passes the predicate before the next is made.
            stage = matching_stage(found.residual, matched, lambda batch: last[0])
            price = partial(self._payload_cost, columns=list(columns))
            tell_matches(context, explanation, found.residual, matched, len(found.rows), plan.thaw.cost, price)

        def batches() -> Iterator[pa.RecordBatch]:
            before = self._store.counted
            with context.budget.reserve("row set", found.rows.nbytes):
                for rows in self._store.run(plan, context):
                    last[0] = rows.row_ids
                    yield rows.batch
            explanation.actual = self._store.counted.since(before)
            explanation.timeline = self._store.timeline()

        return SourceRead(self._stream(batches, columns, found, wanted, explanation, stage), explanation)

    def _payload_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        thaw = self._store.plan(rows, columns).thaw
        return thaw.cost if thaw is not None else NO_COST

    def _keep_timeline(self, explanation: Explanation) -> None:
        explanation.timeline = self._store.timeline()

    def _stream(
        self,
        batches: Any,
        columns: Sequence[str],
        found: Found,
        wanted: Sequence[str],
        explanation: Explanation,
        stage: Stage | None = None,
    ) -> PartitionedStream:
        def considered() -> Iterator[pa.RecordBatch]:
            # Every row is: the index and the hot columns decided on those that are not read.
            explanation.rows_in = self._store.row_count
            yield from batches()

        schema = pa.schema([self.schema.field(name) for name in wanted])
        return filtered(single(schema, considered), columns, found.residual, self.schema, None, stage)

    def _explained(
        self, operator: str, columns: Sequence[str], predicate: Expression | None, found: Found
    ) -> Explanation:
        detail = {**found.detail, "rows_to_fetch": len(found.rows)} if predicate is not None else {}
        explanation = scan_explanation(self.name, self.format, columns, predicate, **detail)
        explanation.operator = operator
        return explanation
