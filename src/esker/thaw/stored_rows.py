"""A frozen data set as a row store: hot columns from the key files, the rest by thaw."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core.batch import require_columns
from esker.core.context import QueryContext
from esker.core.cost import NO_COST, Cost
from esker.core.row_set import RowSet
from esker.core.row_store import RowBatch, Zone
from esker.frozen import FrozenCatalog
from esker.storage import Tier, device_profile
from esker.thaw.aligned import side_by_side
from esker.thaw.fetch_cache import FetchCache
from esker.thaw.layout import Layout, touched
from esker.thaw.plan import Choice, Held, ThawPlan, check_limits, must_ask, nothing_held, plan_thaw
from esker.thaw.run import run

# Plans kept until the next read: of each side of a join those of its keys, its payload, all of it.
_PLANS_KEPT = 4


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


class _Planned(NamedTuple):
    rows: RowSet
    columns: tuple[str, ...]
    moment: tuple[Cost, int]
    plan: ThawPlan


class StoredRows:
    """Rows of a frozen data set by id (a RowStore, core/row_store.py).

    Holds the catalogue open; the payload's tier is opened when first planned for. What the tier's drives hold and
    where they stand lasts as long as this object.
    """

    def __init__(self, frozen: FrozenCatalog, *, read_ahead_bytes: int | None = None) -> None:
        self._frozen = frozen
        self._read_ahead_bytes = read_ahead_bytes
        self._layouts = [Layout(source) for source in frozen.extents]
        self._zones: dict[str, Sequence[Zone]] = {}
        self._hot_starts: npt.NDArray[np.uint64] | None = None
        self._plans: deque[_Planned] = deque(maxlen=_PLANS_KEPT)
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
        thaw = self._planned(rows, cold) if context is None or context.cache_folder is None else None
        if cold and thaw is None:
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
            self._keep(rows, cold, thaw, context)
        return StoredPlan(rows, tuple(columns), hot, self._hot_cost(rows, hot), thaw)

    def run(self, plan: StoredPlan, context: QueryContext) -> Iterator[RowBatch]:
        """Read what a plan says, in row-id order."""
        self._plans.clear()
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

    def zones(self, column: str) -> Iterator[Zone]:
        """The bounds of a hot column in each row group of the key files; they are read when first asked for."""
        if column not in self.hot_columns:
            return
        if column not in self._zones:
            self._zones[column] = [*self._frozen.zones(column)]
            starts = [zone.start for zone in self._zones[column]]
            self._hot_starts = np.array([*starts, self.row_count], np.uint64)
        yield from self._zones[column]

    def _planned(self, rows: RowSet, columns: Sequence[str]) -> ThawPlan | None:
        """Give a plan made a moment ago, when nothing was read meanwhile; a join asks for the same ones many times."""
        if not columns:
            return None
        now = self._moment()
        found = (
            one.plan
            for one in [*self._plans]
            if one.columns == tuple(columns) and one.moment == now and (one.rows is rows or one.rows == rows)
        )
        return next(found, None)

    def _keep(self, rows: RowSet, columns: Sequence[str], plan: ThawPlan, context: QueryContext | None) -> None:
        # What an archive has restored, and a cache holds, changes without a read.
        if must_ask(self.tier) or (context is not None and context.cache_folder is not None):
            return
        self._plans.append(_Planned(rows, tuple(columns), self._moment(), plan))

    def _moment(self) -> tuple[Cost, int]:
        """What the tier has done so far: while that stays, so do the places of its drives."""
        return self.tier.counted, len(self.tier.timeline)

    def _all(self) -> RowSet:
        return RowSet.range(0, self.row_count)

    def _hot_cost(self, rows: RowSet, columns: Sequence[str]) -> Cost:
        """Price the key files by the share of their columns and rows; a local disk reads them, part by part."""
        if not columns or not rows:
            return NO_COST
        device = device_profile("nvme")
        share, part_count = self._hot_share(rows)
        size_bytes = int(self._frozen.hot_bytes * share * len(columns) / max(len(self.hot_columns), 1))
        requests = part_count * len(columns)
        seconds = requests * device.request_seconds + size_bytes / device.bytes_per_second
        return Cost(size_bytes, requests, seconds=seconds, devices={device.name: seconds})

    def _hot_share(self, rows: RowSet) -> tuple[float, int]:
        """How much of the key files holds `rows`, by parts, or by row groups once their bounds were asked for."""
        if len(rows) == self.row_count:
            return 1.0, len(self._frozen.parts)
        starts = self._hot_starts
        if starts is None:
            starts = np.array([*(part.first_row for part in self._frozen.parts), self.row_count], np.uint64)
        held = touched(starts, rows)
        return float(np.diff(starts)[held].sum()) / max(self.row_count, 1), int(np.count_nonzero(held))


@contextmanager
def _held(tier: Tier, context: QueryContext | None) -> Iterator[Held]:
    """What the query's cache has of a tier."""
    if context is None or context.cache_folder is None:
        yield nothing_held
        return
    with FetchCache(context.cache_folder, tier.uri, context.cache_limit_bytes) as cache:
        yield cache.has
