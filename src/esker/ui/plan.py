"""A plan as a tree of boxes, and its costs as a table: estimated beside counted, and what was not chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from esker.core.byte_size import format_bytes
from esker.ui.html import Html, join, tag
from esker.ui.numbers import format_seconds

PlanJson = Mapping[str, Any]
CostJson = Mapping[str, Any]


def draw_plan(plan: PlanJson) -> Html:
    """Draw what `Explanation.to_json` gives; a step stands above those it reads from."""
    return tag("ul", _step(plan), class_="plan")


def draw_costs(rows: Sequence[tuple[str, CostJson | None]]) -> Html:
    """Draw costs under one another, so that they can be compared."""
    known = [(name, cost) for name, cost in rows if cost is not None]
    money = any(cost.get("money") for _, cost in known)
    head = ["", "bytes", "requests", "mounts", "time", *(["US$"] if money else [])]
    return tag(
        "table",
        tag("thead", tag("tr", *(tag("th", word, scope="col") for word in head))),
        tag("tbody", *(_cost_row(name, cost, money) for name, cost in known)),
        class_="costs",
    )


def cost_words(cost: CostJson) -> str:
    """A cost in one line.

    >>> cost_words({"bytes": 2048, "requests": 2, "mounts": 1, "seconds": 75.0})
    '2.0 KiB · 2 requests · 1 mounts · 1 min 15 s'
    """
    parts = [format_bytes(cost["bytes"]), f"{cost['requests']:,} requests"]
    if cost.get("mounts"):
        parts.append(f"{cost['mounts']:,} mounts")
    parts.append(format_seconds(cost["seconds"]))
    if cost.get("money"):
        parts.append(f"${cost['money']:,.2f}")
    return " · ".join(parts)


def _cost_row(name: str, cost: CostJson, money: bool) -> Html:
    cells = [
        format_bytes(cost["bytes"]),
        f"{cost['requests']:,}",
        f"{cost.get('mounts', 0):,}",
        format_seconds(cost["seconds"]),
    ]
    if money:
        cells.append(f"{cost.get('money', 0.0):,.2f}")
    return tag("tr", tag("th", name, scope="row"), *(tag("td", cell, class_="number") for cell in cells))


def _step(step: PlanJson) -> Html:
    inputs = step.get("inputs") or []
    return tag(
        "li",
        tag(
            "div",
            tag("strong", step["operator"]),
            tag("span", step["choice"], class_="choice") if step.get("choice") else None,
            tag("span", f"{step['rows']:,} rows", class_="rows") if step.get("rows") is not None else None,
            _facts(step),
            class_="step",
        ),
        tag("ul", *(_step(below) for below in inputs)) if inputs else None,
    )


def _facts(step: PlanJson) -> Html:
    facts = [
        (name.replace("_", " "), _words(value))
        for name, value in (step.get("detail") or {}).items()
        if value is not None
    ]
    facts += [(name, cost_words(step[name])) for name in ("estimated", "actual") if step.get(name)]
    facts += [(f"instead of {name}", cost_words(cost)) for name, cost in (step.get("alternatives") or {}).items()]
    if step.get("reason"):
        facts.append(("because", str(step["reason"])))
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in facts))


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
