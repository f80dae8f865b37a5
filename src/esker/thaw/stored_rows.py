"""A frozen data set as a row store: hot columns from the key files, the rest by thaw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from esker.core.batch import require_columns
from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch
from esker.frozen import FrozenCatalog
from esker.storage import Tier, device_profile
from esker.thaw.aligned import side_by_side
from esker.thaw.fetch_cache import FetchCache
from esker.thaw.layout import Layout
from esker.thaw.plan import Choice, Held, ThawPlan, check_limits, nothing_held, plan_thaw
from esker.thaw.run import run


@dataclass(frozen=True)
class StoredPlan:
    """The plan for some columns of some rows: `thaw` for those that are not hot, None when all are.

    Costs are those of the thaw and of reading the hot columns beside it (`hot`, estimated from their size).
    """

    rows: RowSet
    columns: Sequence[str]
    hot_columns: Sequence[str]
    hot: Cost
    thaw: ThawPlan | None

    @property
    def choice(self) -> Choice:
        """Whether the payload is fetched or scanned."""
        return self.thaw.choice if self.thaw is not None else "fetch"

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self.thaw.reason if self.thaw is not None else "every column is hot: the payload is not touched"

    @property
    def fetch(self) -> Cost:
        """The cost of reading only what holds wanted rows."""
        return self.hot + (self.thaw.fetch if self.thaw is not None else NO_COST)

    @property
    def scan(self) -> Cost:
        """The cost of reading the columns of all rows."""
        return self.hot + (self.thaw.scan if self.thaw is not None else NO_COST)

    @property
    def full(self) -> Cost:
        """The cost of reading every byte of the payload."""
        return self.thaw.full if self.thaw is not None else NO_COST

    @property
    def cost(self) -> Cost:
        """The cost of what was chosen."""
        return self.fetch if self.choice == "fetch" else self.scan

    def check_limits(self, max_cost: Mapping[str, float], what: str = "the thaw") -> None:
        """Raise CostLimitError when the plan is dearer than a limit."""
        check_limits(self.cost, max_cost, what)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for `--json` and `--dry-run`."""
        thaw = self.thaw.to_json() if self.thaw is not None else None
        return {"columns": [*self.columns], "hot_columns": [*self.hot_columns], "hot": self.hot.to_json(), "thaw": thaw}


class StoredRows:
    """Rows of a frozen data set by id (a RowStore, core/row_store.py).

    Holds the catalogue open; the payload's tier is opened when first planned for. What the tier's drives hold and
    where they stand lasts as long as this object.
    """

    def __init__(self, frozen: FrozenCatalog, *, read_ahead_bytes: int | None = None) -> None:
        self._frozen = frozen
        self._read_ahead_bytes = read_ahead_bytes
        self._layouts = [Layout(source) for source in frozen.extents]
        self.name = frozen.name
        self.schema: pa.Schema = frozen.schema
        self.row_count: int = frozen.row_count
        self.hot_columns: frozenset[str] = frozenset(frozen.hot_columns)

    @property
    def tier(self) -> Tier:
        """The tier of the payload."""
        return self._frozen.tier

    @property
    def counted(self) -> Cost:
        """What the payload's tier has counted so far."""
        return self.tier.counted

    def timeline(self) -> list[dict[str, Any]]:
        """What the devices of a simulated tier did so far."""
        return [event.to_json() for event in self.tier.timeline]

    def plan(self, rows: RowSet, columns: Sequence[str], context: QueryContext | None = None) -> StoredPlan:
        """Plan the reading of `columns` of `rows`, the payload as rarely as can be; nothing is read.

        With a `context` that has a cache, what lies there costs nothing.
        """
        require_columns(columns, self.schema, self.name)
        rows = rows.slice(0, self.row_count)
        hot = [name for name in columns if name in self.hot_columns]
        cold = [name for name in columns if name not in self.hot_columns]
        thaw = None
        if cold:
            with _held(self.tier, context) as held:
                thaw = plan_thaw(
                    self._layouts,
                    self.tier,
                    rows,
                    cold,
                    schema=self.schema,
                    read_ahead_bytes=self._read_ahead_bytes,
                    held=held,
                )
        return StoredPlan(rows, tuple(columns), hot, self._hot_cost(rows, hot), thaw)

    def run(self, plan: StoredPlan, context: QueryContext) -> Iterator[RowBatch]:
        """Read what a plan says, in row-id order."""
        if plan.thaw is None:
            yield from self._frozen.read_hot(plan.columns, context, plan.rows)
            return
        plan.check_limits(context.max_cost, f"thawing {self.name}")
        thawed = run(plan.thaw, context)
        if not plan.hot_columns:
            yield from thawed
            return
        yield from side_by_side(self._frozen.read_hot(plan.hot_columns, context, plan.rows), thawed, plan.columns)

    def scan(self, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield all rows."""
        return self.run(self.plan(self._all(), columns, context), context)

    def fetch(self, rows: RowSet, columns: Sequence[str], context: QueryContext) -> Iterator[RowBatch]:
        """Yield the rows of `rows`; reads more than those where that is cheaper."""
        return self.run(self.plan(rows, columns, context), context)

    def scan_cost(self, columns: Sequence[str]) -> Cost:
        """What `scan` would cost now."""
        return self.plan(self._all(), columns).cost

    def fetch_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """What `fetch` would cost now."""
        return self.plan(rows, columns).cost

    def _all(self) -> RowSet:
        return RowSet.range(0, self.row_count)

    def _hot_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """Price the key files by the share of their columns; a local disk reads them, part by part."""
        if not columns or not rows:
            return NO_COST
        device = device_profile("nvme")
        size_bytes = int(self._frozen.hot_bytes * len(columns) / max(len(self.hot_columns), 1))
        requests = len(self._frozen.parts) * len(columns)
        seconds = requests * device.request_seconds + size_bytes / device.bytes_per_second
        return Cost(size_bytes, requests, seconds=seconds, devices={device.name: seconds})


@contextmanager
def _held(tier: Tier, context: QueryContext | None) -> Iterator[Held]:
    """What the query's cache has of a tier."""
    if context is None or context.cache_folder is None:
        yield nothing_held
        return
    with FetchCache(context.cache_folder, tier.uri, context.cache_limit_bytes) as cache:
        yield cache.has
