"""Index or scan: the index is asked only where that surely reads no more bytes, in no more requests, than a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from esker.expression import Expression, columns
from esker.index.answer import IndexPrice, names_vectors
from esker.index.row_format import ReadPrice
from esker.index.store import IndexStore

# Plans an open index remembers.
PLANS_KEPT = 64
# Of the bytes of a scan, what vectors may take beside rows that take as many as the scan.
SMALL_SHARE = 32


@dataclass(frozen=True)
class StorePlan:
    """What a query on an index folder will do; `index` is the most it reads by the index, rows included."""

    choice: Literal["index", "scan"]
    reason: str
    index: ReadPrice
    scan: ReadPrice
    price: IndexPrice | None


def plan_store(store: IndexStore, names: Sequence[str], predicate: Expression | None) -> StorePlan:
    """Choose, or give what was chosen before for the same question: a store never changes."""
    key = tuple(names), predicate
    found = store.plans.get(key)
    if found is None:
        found = _planned(store, names, predicate)
        if len(store.plans) >= PLANS_KEPT:
            store.plans.clear()
        store.plans[key] = found
    assert isinstance(found, StorePlan), "plans of this module"
    return found


def _planned(store: IndexStore, names: Sequence[str], predicate: Expression | None) -> StorePlan:
    """Choose by what is known before a vector or a row is read: directories, sizes of columns.

    The most that the index path reads: its vectors; for the rows it may be unsure of, the columns they are checked
    by; for all rows it may give, the columns asked for. A fetch never reads more than a scan of the same columns, so
    an exact index wins once its vectors are smaller than the columns that only the predicate needs.

    Where the predicate needs no column of its own, that would never be. So vectors that take a thirty-second of the
    scan's bytes at most are read for what they spare in work, if they leave half of the rows at most.
    """
    scanned = [*names, *sorted((columns(predicate) if predicate is not None else frozenset()) - set(names))]
    scan = store.scan_price(scanned)
    if predicate is None:
        return StorePlan("scan", "every row is asked for", scan, scan, None)
    price = store.price(predicate)
    most = ReadPrice(price.bytes, price.requests)
    for block in store.blocks:
        rows = min(price.rows_max, block.row_count)
        checked = [name for name in store.schema.names if name in price.unsure]
        most = most.plus(block.rows.price_at_most(rows, checked)).plus(block.rows.price_at_most(rows, names))
    if names_vectors(predicate):
        return StorePlan("index", "vectors are named by number", most, scan, price)
    if not price.vectors and price.rows_max >= store.row_count:
        return StorePlan("scan", "no condition is one that vectors narrow down", most, scan, price)
    small = price.bytes <= scan.bytes // SMALL_SHARE and 2 * price.rows_max <= store.row_count
    fetched = ReadPrice(most.bytes - price.bytes, most.requests - price.requests)
    if most.within(scan) or (small and fetched.within(scan)):
        reason = f"{price.vectors:,} vectors, at most {price.rows_max:,} rows"
        return StorePlan("index", reason, most, scan, price)
    what = "bytes" if most.bytes > scan.bytes else "requests"
    return StorePlan("scan", f"by the index it might take more {what} than a scan", most, scan, price)
