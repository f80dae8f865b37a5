"""Find: a predicate becomes a row set, from the index first, then from hot columns, before any payload is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from esker.core.context import QueryContext
from esker.core.row_set import RowSet
from esker.core.row_store import RowStore
from esker.expression import Expression, columns, conjunction, conjuncts, evaluate
from esker.index import Index


@dataclass(frozen=True)
class Found:
    """The rows that may match; `residual` is what is left to check on their payload (None: they do match)."""

    rows: RowSet
    residual: Expression | None
    detail: dict[str, Any] = field(default_factory=dict)


def find_rows(store: RowStore, index: Index | None, predicate: Expression | None, context: QueryContext) -> Found:
    """Answer as much of `predicate` as the index and the hot columns of `store` can. Reads no payload.

    The index gives a superset and what it could not decide; conjuncts of that on hot columns alone are checked on
    the hot rows of the superset (source 004's candidate check), the others are left for the payload.
    """
    rows = RowSet.range(0, store.row_count)
    if predicate is None:
        return Found(rows, None)
    detail: dict[str, Any] = {}
    residual: Expression | None = predicate
    sure = RowSet.empty()
    if index is not None and _index_pays(store, index, predicate):
        answer = index.evaluate(predicate)
        rows, residual, sure = answer.rows, answer.residual, answer.sure.rows()
        detail = {"index_vectors": answer.vectors_read, "index_bytes": answer.bytes_read, "candidates": len(rows)}
    elif index is not None:
        detail = {"index": "not asked: its vectors are larger than the hot columns they would spare"}
    if residual is None:
        return Found(rows, None, detail)
    hot = [part for part in conjuncts(residual) if columns(part) <= store.hot_columns]
    cold = [part for part in conjuncts(residual) if part not in hot]
    if hot:
        # What the index is sure of needs no look.
        rows = sure | _check_hot(store, rows - sure, conjunction(hot), context)
        detail["checked_on_hot_columns"] = sorted(columns(conjunction(hot)))
    return Found(rows, conjunction(cold) if cold else None, detail)


def _index_pays(store: RowStore, index: Index, predicate: Expression) -> bool:
    """Whether vectors may be read: not when the hot columns that decide everything are smaller than they."""
    names = columns(predicate)
    if not names or not names <= store.hot_columns:
        return True
    return index.price(predicate).bytes <= store.scan_cost(sorted(names)).bytes


def _check_hot(store: RowStore, rows: RowSet, predicate: Expression, context: QueryContext) -> RowSet:
    names = sorted(columns(predicate)) or store.schema.names[:1]

    starts, stops = [], []
    for found in store.fetch(rows, names, context):
        mask = evaluate(predicate, found.batch).fill_null(False)
        matched = RowSet.of(found.row_ids[mask.to_numpy(zero_copy_only=False)]).runs()
        starts.append(matched[0])
        stops.append(matched[1])
    # Batches come in row-id order, so their runs do too.
    return RowSet.from_runs(np.concatenate(starts), np.concatenate(stops)) if starts else RowSet.empty()
