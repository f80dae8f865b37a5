"""What a join's end says: bytes that were spared or lost, a key that most rows have, a filter that kept everything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esker.core.byte_size import format_bytes
from esker.plan.finding import KEPT_ROWS_MIN, SCAN_BYTES_MIN, SKEWED_ROWS_MIN, SKEWED_SHARE, Event, Finding, key_words

# Another algorithm is worth a word when it reads so many times as much, or as little.
RATIO_MIN = 2
# The algorithms that divide the right side by key, so that one part takes all rows of a key.
_DIVIDES = frozenset({"hash", "cdt_gh", "ctt_gh"})
_ONLY_LEFT = frozenset({"semi", "anti"})


def join_findings(event: Event) -> Iterator[Finding]:
    """What there is to say of a join that ended, by its `join_done`."""
    for found in (_read(event), *map(_kept_everything, event.get("sides", ())), _skewed(event)):
        if found is not None:
            yield Finding(found.kind, found.text, event.get("step"))


def _read(event: Event) -> Finding | None:
    """What it read, beside what the cheapest of the other ways would have."""
    others: Mapping[str, Mapping[str, Any]] = event.get("instead") or {}
    if not others:
        return None
    other, cost = min(others.items(), key=lambda item: (item[1]["bytes"], item[1]["seconds"], item[0]))
    read, would_read = event["actual"]["bytes"], cost["bytes"]
    chosen, was = event["algorithm"], format_bytes(read)
    if would_read >= RATIO_MIN * read and would_read - read >= SCAN_BYTES_MIN:
        text = f"the join by {chosen} read {was}: {other} would have read {format_bytes(would_read)}"
        return Finding("join_read_less", text)
    slower = cost["seconds"] > event["actual"]["seconds"]
    if not event.get("forced") or slower or RATIO_MIN * would_read > read or read - would_read < SCAN_BYTES_MIN:
        return None
    return Finding(
        "join_read_more",
        f"the join by {chosen}, which was asked for, read {was}: {other} would have read"
        f" {format_bytes(would_read)}; without algorithm= the cheaper way is chosen",
    )


def _kept_everything(side: Mapping[str, Any]) -> Finding | None:
    rows = side.get("rows")
    if side["predicate"] is None or rows is None or rows < KEPT_ROWS_MIN:
        return None
    if not rows == side["rows_in"] == side["row_count"]:
        return None
    text = f"the filter {side['predicate']} kept all of {rows:,} rows: without it they need not be checked"
    return Finding("filter_kept_everything", text)


def _skewed(event: Event) -> Finding | None:
    sides = event.get("sides", ())
    if len(sides) != 2 or any(side.get("rows") is None for side in sides):
        return None
    left, right = sides
    key = key_words(right["by"], right["key"]) if right["rows"] else ""
    if max(left["rows"], right["rows"]) < SKEWED_ROWS_MIN or right["share"] < SKEWED_SHARE:
        return None
    share = f"about {100 * right['share']:.0f} % of the {right['rows']:,} right rows"
    pairs = int(left["share"] * left["rows"] * right["share"] * right["rows"])
    both = left["key"] == right["key"] and left["share"] >= SKEWED_SHARE and event.get("how") not in _ONLY_LEFT
    if both and pairs > max(left["rows"], right["rows"]):
        return Finding(
            "skewed_key",
            f"the key {key} holds about {100 * left['share']:.0f} % of the {left['rows']:,} left rows and {share} of"
            f" the join: it alone makes about {pairs:,} of its {event['rows']:,} rows; leave it out, or add a column"
            " to the key",
        )
    if event["algorithm"] in _DIVIDES and right["rows"] >= SKEWED_ROWS_MIN:
        return Finding(
            "skewed_key",
            f"the key {key} holds {share} of the join, and one part of it has to take them all: with these rows on"
            " the left side they would pass by one after the other",
        )
    return None
