"""Findings: what could be done better, in the words of esker.plan.findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from esker.core.event_schema import faults_of
from esker.plan.findings import Facts
from esker.ui.live.summary_part import ENDS
from esker.ui.live.values import count, text

FINDINGS_MAX = 50
# What findings are made of; of these those that are not as documented are left out.
_TOLD_LATE = ("key_sampled", "scan_matched", "shuffled", "sort_spilled", "join_spilled", "join_done")
_FACTS = ("query_planned", "operator", *_TOLD_LATE)


class FindingPart:
    """Follows the events that findings are made of."""

    def __init__(self) -> None:
        self._facts = Facts()

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether there may be another finding."""
        if event in _FACTS and not faults_of(fields):
            self._facts.see(fields)
        return event in ENDS or event in _TOLD_LATE

    def to_json(self) -> list[dict[str, Any]] | None:
        """What was found; None when it is nothing."""
        try:
            found = self._facts.findings()
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
            # A plan in the log is not made as plans are made.
            return None
        return [
            {"kind": text(one.kind, 40), "text": text(one.text, 1000), "step": count(one.step)}
            for one in found[:FINDINGS_MAX]
        ] or None
