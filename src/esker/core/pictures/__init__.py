"""Pictures of plans, by format: each file draws what `Explanation.to_json` gives as text."""

from __future__ import annotations

from collections.abc import Callable

from esker.core.family import Family
from esker.core.plan_words import PlanJson

PICTURES: Family[Callable[[PlanJson], str]] = Family(
    "picture of a plan",
    {
        "svg": "esker.core.pictures.svg:draw",
        "mermaid": "esker.core.pictures.mermaid:draw",
        "dot": "esker.core.pictures.dot:draw",
    },
)
