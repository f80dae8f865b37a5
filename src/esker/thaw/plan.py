"""Planning a thaw: which row groups, in which requests, at what price, and whether a scan would be cheaper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, cast

import pyarrow as pa

from esker.core.batch import require_columns
from esker.core.cost import NO_COST, Cost
from esker.core.extent import ByteRange, Extent
from esker.core.row_set import RowSet
from esker.errors import CostLimitError, OptionError
from esker.storage import ReadRequest, Recall, Tier
from esker.thaw.group_read import GroupRead
from esker.thaw.layout import ExtentLike, Layout
from esker.thaw.window import Window, windows

# Raw bytes held before they are decoded; more lets a tier order more at once, and drives work side by side.
READ_AHEAD_BYTES = 64 << 20
# Where reads do not depend on one another, only what hides the latency of requests: nothing is decoded while the first
# window is on its way.
_READ_AHEAD_MIN_BYTES = 8 << 20
_LATENCIES_AHEAD = 8

Choice = Literal["fetch", "scan"]

# Says that bytes of an extent are at hand and need not be read.
Held = Callable[[Extent, ByteRange], bool]


def nothing_held(extent: Extent, part: ByteRange) -> bool:
    """Say that every byte is still to be read."""
    return False


@dataclass(frozen=True)
class ThawPlan:
    """What will be read for some rows, and what it costs; nothing has been read yet.

    `fetch` reads the pages that hold wanted rows, or the row groups of extents without an offset index and of columns
    that have none of their own (see `Layout.paged`); `scan` reads all row groups. Both read only the columns wanted;
    `full` is every byte of every extent. `windows` are the reads of the choice, in row-id order.
    """

    rows: RowSet
    schema: pa.Schema
    tier: Tier
    windows: Sequence[Window]
    fetch: Cost
    scan: Cost
    full: Cost
    choice: Choice
    reason: str
    extent_count: int
    group_count: int
    page_count: int
    recalls: Sequence[Extent]
    recall: Cost
    touched: Mapping[str, Sequence[int]]

    @property
    def cost(self) -> Cost:
        """The cost of what was chosen."""
        return self.fetch if self.choice == "fetch" else self.scan

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the result, in order."""
        return list(self.schema.names)

    @property
    def requests(self) -> Sequence[ReadRequest]:
        """All requests, in the order they are made."""
        return [request for window in self.windows for request in self.tier.order(window.requests)]

    def check_limits(self, max_cost: Mapping[str, float], what: str = "the thaw") -> None:
        """Raise CostLimitError when the plan is dearer than a limit: {"seconds": 60, "money": 1.5} and so on."""
        check_limits(self.cost, max_cost, what)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for `--json`, `--dry-run` and the event log."""
        return {
            "choice": self.choice,
            "reason": self.reason,
            "tier": self.tier.uri,
            "rows": len(self.rows),
            "columns": list(self.columns),
            "extents": self.extent_count,
            "row_groups": self.group_count,
            "pages": self.page_count,
            "windows": len(self.windows),
            "recalls": len(self.recalls),
            "recall": self.recall.to_json(),
            "touched": {key: list(groups) for key, groups in self.touched.items()},
            "cost": self.cost.to_json(),
            "fetch": self.fetch.to_json(),
            "scan": self.scan.to_json(),
            "full": self.full.to_json(),
        }


def plan_thaw(
    extents: Sequence[ExtentLike],
    tier: Tier,
    rows: RowSet,
    columns: Sequence[str],
    *,
    schema: pa.Schema,
    read_ahead_bytes: int | None = None,
    held: Held = nothing_held,
) -> ThawPlan:
    """Plan the reading of `columns` of `rows`; needs footers only, and moves nothing.

    `schema` is that of the whole data set, `held` tells what a cache has already. Reads at most `read_ahead_bytes`
    before decoding (what suits the tier, if None), or one row group.
    Bytes and requests are what the tier will count; seconds come from its device.
    """
    require_columns(columns, schema, "the payload")
    layouts = [source if isinstance(source, Layout) else Layout(source) for source in extents]
    wanted = _by_extent(layouts, rows)
    everything = {number: range(layout.group_count) for number, layout in enumerate(layouts)}
    waits = must_ask(tier)
    window_bytes = read_ahead_bytes or _window_bytes(tier)

    def way(touched: Mapping[int, Sequence[int]], of: RowSet | None) -> _Way:
        reads = (
            _cheapest(GroupRead(layouts[number], group, columns, of), tier)
            for number, groups in touched.items()
            for group in groups
        )
        cut = [*windows(reads, columns, tier.device.gap_bytes, window_bytes, by_extent=waits)]
        cold = _to_recall(cut, held) if waits else ()
        recall = _recall_cost(tier, cold)
        return _Way(touched, cut, _price(tier, cut, held) + recall, cold, recall)

    all_whole = wanted == everything and len(rows) == sum(layout.extent.row_count for layout in layouts)
    scan = way(everything, None)
    fetch = scan if all_whole else way(wanted, rows)
    page_count = sum(read.page_count for window in fetch.windows for read in window.groups)
    touched_text = f"{fetch.group_count:,} of {scan.group_count:,} row groups"
    if page_count:
        touched_text = f"{page_count:,} pages of {touched_text}"
    choice, reason = _choose(fetch.cost, scan.cost, len(rows), scan.group_count, touched_text)
    chosen = fetch if choice == "fetch" else scan
    return ThawPlan(
        rows=rows,
        schema=pa.schema([schema.field(name) for name in columns]),
        tier=tier,
        windows=chosen.windows,
        fetch=fetch.cost,
        scan=scan.cost,
        full=tier.estimate([_whole(layout.extent) for layout in layouts])
        + (_recall_cost(tier, [layout.extent for layout in layouts]) if waits else NO_COST),
        choice=choice,
        reason=reason,
        extent_count=len(layouts),
        group_count=scan.group_count,
        page_count=page_count if choice == "fetch" else 0,
        recalls=chosen.recalls,
        recall=chosen.recall,
        touched={layouts[number].extent.key: [*groups] for number, groups in chosen.touched.items()},
    )


class _Way(NamedTuple):
    """A way to the rows: row groups of each extent, their reads, what these cost, and what of it is recalled."""

    touched: Mapping[int, Sequence[int]]
    windows: Sequence[Window]
    cost: Cost
    recalls: Sequence[Extent]
    recall: Cost

    @property
    def group_count(self) -> int:
        return sum(map(len, self.touched.values()))


def check_limits(cost: Cost, max_cost: Mapping[str, float], what: str) -> None:
    """Raise CostLimitError when a cost is above one of the limits; nothing has been read by then."""
    known = [field.name for field in fields(Cost) if field.name != "devices"]
    for name, limit in max_cost.items():
        if name not in known:
            raise OptionError(f"max_cost has no {name!r}; there is: {', '.join(known)}")
        if getattr(cost, name) > limit:
            raise CostLimitError(
                f"{what} would cost {getattr(cost, name):,.10g} {name}, more than max_cost allows ({limit:,.10g});"
                " nothing was read: raise max_cost or narrow the query"
            )


def _by_extent(layouts: Sequence[Layout], rows: RowSet) -> Mapping[int, Sequence[int]]:
    """Give the row groups to fetch of each extent that has any."""
    touched: dict[int, Sequence[int]] = {}
    for number, layout in enumerate(layouts):
        groups = layout.groups(rows)
        if groups:
            full = len(groups) == layout.group_count
            touched[number] = range(layout.group_count) if full else groups
    return touched


def must_ask(tier: Tier) -> bool:
    """Whether a tier refuses reads of an extent until it was recalled; tape moves by itself when it is read."""
    return tier.capability.needs_thaw and tier.capability.random_read


def _window_bytes(tier: Tier) -> int:
    if not tier.capability.random_read:
        return READ_AHEAD_BYTES
    device = tier.device
    in_flight_bytes = int(_LATENCIES_AHEAD * device.request_seconds * device.bytes_per_second)
    return min(max(in_flight_bytes, _READ_AHEAD_MIN_BYTES), READ_AHEAD_BYTES)


def _cheapest(read: GroupRead, tier: Tier) -> GroupRead:
    """Read the whole row group where its pages would take longer; only where reads do not depend on one another."""
    if read.whole or not tier.capability.random_read:
        return read
    whole = GroupRead(read.layout, read.group, read.columns)
    pages, chunks = (
        tier.estimate([ReadRequest(read.layout.extent.key, part) for part in one.spans.merged(tier.device.gap_bytes)])
        for one in (read, whole)
    )
    return read if (pages.seconds, pages.bytes) < (chunks.seconds, chunks.bytes) else whole


def _to_recall(chosen: Sequence[Window], held: Held) -> Sequence[Extent]:
    """The extents of which anything is still to be read."""
    extents = {extent.key: extent for window in chosen for extent in window.extents}
    wanted = dict.fromkeys(
        key
        for window in chosen
        for key, parts in window.ranges.items()
        if any(not held(extents[key], part) for part in parts)
    )
    return [extents[key] for key in wanted]


def _recall_cost(tier: Tier, extents: Sequence[Extent]) -> Cost:
    """What bringing extents within reach costs, without reading them."""
    if not extents:
        return NO_COST
    return cast(Recall, tier).price(extents).since(tier.estimate([_whole(extent) for extent in extents]))


def _price(tier: Tier, chosen: Sequence[Window], held: Held) -> Cost:
    extents = {extent.key: extent for window in chosen for extent in window.extents}
    priced = tier.estimate_each(
        [request for request in window.requests if not held(extents[request.key], request.range)] for window in chosen
    )
    return priced if priced.requests else NO_COST


def _choose(fetch: Cost, scan: Cost, row_count: int, group_count: int, touched_text: str) -> tuple[Choice, str]:
    if not row_count:
        return "fetch", "no rows are wanted: nothing is read"
    if (fetch.bytes, fetch.requests) == (scan.bytes, scan.requests):
        return "scan", f"each of the {group_count:,} row groups holds wanted rows: a scan reads nothing in vain"
    if (fetch.seconds, fetch.bytes) < (scan.seconds, scan.bytes):
        return "fetch", f"{row_count:,} rows lie in {touched_text}: {fetch}; a scan {scan}"
    return "scan", f"a scan is cheaper: {scan}; fetching {touched_text}: {fetch}"


def _whole(extent: Extent) -> ReadRequest:
    return ReadRequest(extent.key, ByteRange(0, extent.bytes))
