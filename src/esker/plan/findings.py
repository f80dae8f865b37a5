"""Findings: what a run's events say could be done better, in words with figures.

A pure function of the events: of a query that just ran, or of a log that is read back. It says nothing that the events
do not bear out, and nothing about runs that are too small to matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from esker.core.byte_size import format_bytes
from esker.plan.finding import KEPT_ROWS_MIN, SCAN_BYTES_MIN, SKEWED_ROWS_MIN, SKEWED_SHARE, Event, Finding, key_words
from esker.plan.join_findings import join_findings

# An index is worth a word when it reads at most this share.
INDEX_SHARE_MAX = 0.1
# The events that findings are made of; of each operator the last counts.
_FACTS = frozenset(
    {"query_planned", "key_sampled", "scan_matched", "shuffled", "sort_spilled", "join_spilled", "join_done"}
)
_FACTS_MAX = 10_000


def findings(events: Iterable[Event]) -> list[Finding]:
    """What a run's events say could be better.

    >>> events = [{"event": "key_sampled", "step": 1, "by": ["origin"], "key": ["JFK"], "share": 0.41, "rows": 90_000}]
    >>> print(findings(events)[0])
    the key origin = 'JFK' holds about 41 % of the 90,000 rows of the shuffle, and one partition has to take them all: \
add a column to the key, or let the function take its groups as batches

    Of several queries in one log the last is judged.
    """
    facts = Facts()
    for event in events:
        facts.see(event)
    return facts.findings()


class Facts:
    """The events that findings are made of, kept in little memory; `see` is a listener of an EventLog."""

    def __init__(self) -> None:
        self._facts: list[Event] = []
        self._operators: dict[int, Event] = {}

    def see(self, event: Event) -> None:
        """Keep an event, if it is of use."""
        name = event.get("event")
        if name == "log_opened":
            self._facts, self._operators = [], {}
        elif name == "operator" and event.get("step") is not None:
            self._operators[event["step"]] = event
        elif name in _FACTS and len(self._facts) < _FACTS_MAX:
            self._facts.append(event)

    def findings(self) -> list[Finding]:
        """What they say."""
        plans = [event["plan"] for event in self._facts if event["event"] == "query_planned"]
        found = [
            *(_skewed(event) for event in self._of("key_sampled")),
            *(_kept_everything(step, self._operators) for step in (_walk(plans[-1]) if plans else ())),
            *(_index(event) for event in self._of("scan_matched")),
            *(_memory(event) for name in ("shuffled", "sort_spilled", "join_spilled") for event in self._of(name)),
            *(found for event in self._of("join_done") for found in join_findings(event)),
        ]
        return list(dict.fromkeys(finding for finding in found if finding is not None))

    def _of(self, name: str) -> Iterator[Event]:
        return (event for event in self._facts if event["event"] == name)


def _skewed(event: Event) -> Finding | None:
    share, rows = event["share"], event["rows"]
    if share < SKEWED_SHARE or rows < SKEWED_ROWS_MIN:
        return None
    return Finding(
        "skewed_key",
        f"the key {key_words(event['by'], event['key'])} holds about {100 * share:.0f} % of the {rows:,} rows of the"
        " shuffle, and one partition has to take them all: add a column to the key, or let the function take its groups"
        " as batches",
        event["step"],
    )


def _kept_everything(step: Mapping[str, Any], operators: Mapping[int, Event]) -> Finding | None:
    counted = operators.get(step.get("step", -1))
    predicate = (step.get("detail") or {}).get("predicate")
    if predicate is None or counted is None or not counted["done"]:
        return None
    rows = counted["rows"]
    if rows < KEPT_ROWS_MIN or counted["rows_in"] != rows or _left_parts_out(step):
        return None
    text = f"the filter {predicate} kept all of {rows:,} rows: without it they need not be checked"
    return Finding("filter_kept_everything", text, step.get("step"))


def _left_parts_out(step: Mapping[str, Any]) -> bool:
    """Whether whole parts were passed over, which are not among the rows that were counted."""
    read, _, total = str(step["detail"].get("fragments", "")).partition(" of ")
    return read != total and bool(total)


def _index(event: Event) -> Finding | None:
    read, would_read = event["bytes_read"], event["index_bytes"]
    if read < SCAN_BYTES_MIN or would_read > INDEX_SHARE_MAX * read:
        return None
    names = _names(event["columns"])
    text = (
        f"{event['rows']:,} of {event['rows_in']:,} rows matched: an index on {names} would have read at most"
        f" {_percent(would_read / read)} of the {format_bytes(read)} that were read"
    )
    return Finding("index_would_help", text, event["step"])


def _memory(event: Event) -> Finding | None:
    wanted, had = event.get("budget_bytes_wanted"), event.get("budget_bytes")
    spilled = event.get("spilled_bytes", event.get("bytes", 0))
    # The inner shuffles of a partition are no matter of their own.
    inner = event["event"] == "shuffled" and event.get("step") is None
    if inner or not spilled or wanted is None or had is None or wanted <= had:
        return None
    what = {"shuffled": "shuffle", "join_spilled": "join"}.get(event["event"], event.get("operator", "sort"))
    which = f" ({event['what']})" if "what" in event else ""
    more = -(-(wanted - had) // (1 << 20))
    text = (
        f"the {what} spilled {format_bytes(spilled)}{which}: with {more:,} MiB more memory"
        f" (memory={-(-wanted // (1 << 20))}MiB) it would not have"
    )
    return Finding("more_memory", text, event.get("step"))


def _percent(share: float) -> str:
    """A share in per cent, with as many digits as tell.

    >>> _percent(0.0042), _percent(0.07), _percent(0.00001)
    ('0.4 %', '7 %', '0.1 %')
    """
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 1 else f"{max(percent, 0.1):.1f} %"


def _names(names: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _walk(step: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield step
    for below in step.get("inputs") or ():
        yield from _walk(below)
