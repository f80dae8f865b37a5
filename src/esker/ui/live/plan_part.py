"""The plan: its steps in a tree, how far each is, and what it cost beside what was expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from esker.core.byte_size import format_bytes
from esker.ui.live.values import count, items, mapping, number, text

STEPS_MAX = 400
DEPTH_MAX = 100
FACTS_MAX = 40
WORK_MAX = 50
COST_FIELDS = ("bytes", "requests", "mounts", "seconds", "money")
WAITING, RUNNING, DONE, STOPPED = "waiting", "running", "done", "stopped"


class PlanPart:
    """Follows `query_planned`, `operator`, `work` and the ends of a query."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._by_number: dict[int, dict[str, Any]] = {}
        self._work: dict[str, dict[str, Any]] = {}
        self._cut = False

    def take(self, event: str, fields: Mapping[str, Any], seconds: float) -> bool:
        """Take an event; say whether it changed the plan."""
        if event == "query_planned":
            self._plan(mapping(fields.get("plan")))
        elif event == "operator":
            return self._operator(fields, seconds)
        elif event == "work":
            return self._work_done(fields)
        elif event == "query_done":
            self._plan(mapping(fields.get("plan")))
            self._end(DONE)
        elif event in ("query_failed", "query_stopped"):
            self._end(STOPPED)
        else:
            return False
        return True

    def to_json(self) -> dict[str, Any] | None:
        """Steps, each after the one it gives to; None when there is no plan yet."""
        if not self._steps and not self._work:
            return None
        return {"steps": self._steps, "work": list(self._work.values()), "cut": self._cut}

    def _plan(self, plan: Mapping[str, Any]) -> None:
        if not plan:
            return
        before = self._by_number
        self._steps, self._by_number = [], {}
        for parent, step in self._walk(plan):
            number_ = len(self._steps)
            shown = _step(step, number_, parent)
            # What was counted while it ran is not in every plan.
            known = before.get(number_)
            if known is not None and known["operator"] == shown["operator"]:
                shown = {name: known[name] if value is None else value for name, value in shown.items()}
                shown["state"] = known["state"]
            self._steps.append(shown)
            self._by_number[number_] = shown

    def _walk(self, plan: Mapping[str, Any]) -> Iterator[tuple[int | None, Mapping[str, Any]]]:
        """The steps in the order of `Explanation.walk`, each with the number of the one above it."""
        waiting: list[tuple[int | None, Mapping[str, Any], int]] = [(None, plan, 0)]
        given = 0
        self._cut = False
        while waiting:
            parent, step, depth = waiting.pop()
            if given == STEPS_MAX or depth > DEPTH_MAX:
                self._cut = True
                continue
            yield parent, step
            below = [one for one in items(step.get("inputs")) if isinstance(one, Mapping)]
            waiting += [(given, one, depth + 1) for one in reversed(below)]
            given += 1

    def _operator(self, fields: Mapping[str, Any], seconds: float) -> bool:
        step = self._find(fields)
        if step is None:
            return False
        for name in ("rows_in", "rows", "bytes", "spilled_bytes", "partitions", "partitions_done", "batches"):
            value = count(fields.get(name))
            if value is not None:
                step[name] = value
        if step["started"] is None:
            step["started"] = seconds
        step["seen"] = seconds
        step["state"] = DONE if fields.get("done") is True else RUNNING
        return True

    def _find(self, fields: Mapping[str, Any]) -> dict[str, Any] | None:
        found = self._by_number.get(count(fields.get("step")) if fields.get("step") is not None else -1)  # type: ignore[arg-type]  # None is no step
        if found is not None:
            return found
        name = fields.get("operator")
        return next((step for step in self._steps if step["operator"] == name), None)

    def _work_done(self, fields: Mapping[str, Any]) -> bool:
        name = text(fields.get("operator"), 60)
        done = number(fields.get("done"))
        if not name or done is None or (name not in self._work and len(self._work) >= WORK_MAX):
            return False
        total = number(fields.get("total"))
        self._work[name] = {"name": name, "done": done, "total": total, "unit": text(fields.get("unit"), 20)}
        return True

    def _end(self, state: str) -> None:
        for step in self._steps:
            if state == DONE or step["state"] == RUNNING:
                step["state"] = state


def cost_json(cost: object) -> dict[str, float] | None:
    """A cost as the page shows it, or None.

    >>> cost_json({"bytes": 10, "requests": 1, "devices": {}}), cost_json("x")
    ({'bytes': 10, 'requests': 1, 'mounts': 0, 'seconds': 0, 'money': 0}, None)
    """
    found = mapping(cost)
    return {name: number(found.get(name)) or 0 for name in COST_FIELDS} if found else None


def _step(step: Mapping[str, Any], number_: int, parent: int | None) -> dict[str, Any]:
    detail = list(mapping(step.get("detail")).items())[:FACTS_MAX]
    alternatives = list(mapping(step.get("alternatives")).items())[:FACTS_MAX]
    return {
        "id": number_,
        "parent": parent,
        "operator": text(step.get("operator"), 60) or "?",
        "choice": text(step.get("choice"), 60) or None,
        "reason": text(step.get("reason"), 1000) or None,
        "facts": [[text(name, 60), _fact(name, value)] for name, value in detail if value is not None],
        "rows": count(step.get("rows")),
        "rows_in": count(step.get("rows_in")),
        "bytes": count(step.get("bytes")),
        "spilled_bytes": count(mapping(step.get("detail")).get("spilled_bytes")),
        "partitions": None,
        "partitions_done": None,
        "batches": None,
        "started": None,
        "seen": None,
        "estimated": cost_json(step.get("estimated")),
        "actual": cost_json(step.get("actual")),
        "alternatives": [[text(name, 60), cost_json(cost)] for name, cost in alternatives],
        "state": WAITING,
    }


def _fact(name: str, value: object) -> str:
    whole = count(value)
    if whole is None:
        return text(value)
    return format_bytes(whole) if name.endswith("bytes") else f"{whole:,}"
