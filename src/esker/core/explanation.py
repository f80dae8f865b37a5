"""What a plan step does, why, and what it costs: a tree for people, `--json` and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from esker.core.cost import Cost
from esker.core.pictures import PICTURES
from esker.errors import OptionError


@dataclass
class Explanation:
    """One step of a plan; `inputs` are the steps it reads from.

    `step` is its number in the plan, the topmost 0. `estimated` is known before the run, `actual` and `rows` after it,
    `bytes` of the rows in memory too; `rows_in` are those it took where no step below says so. `alternatives` are the
    costs of what was not chosen, by name; `reason` says in words why `choice` was. `timeline` is what simulated devices
    did; `findings`, of the topmost step after a run, what could be better.

    >>> print(Explanation("find", {"predicate": "month = 6"}, estimated=Cost(bytes=2048, requests=2), reason="index"))
    find predicate: month = 6
      estimated 2.0 KiB, 2 requests, 0.0 ms
      because index
    """

    operator: str
    detail: dict[str, Any] = field(default_factory=dict)
    rows: int | None = None
    rows_in: int | None = None
    bytes: int | None = None
    step: int | None = None
    findings: list[str] = field(default_factory=list)
    estimated: Cost | None = None
    actual: Cost | None = None
    choice: str | None = None
    reason: str | None = None
    alternatives: Mapping[str, Cost] = field(default_factory=dict)
    inputs: list[Explanation] = field(default_factory=list)
    timeline: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([*self._lines(""), *(f"finding: {text}" for text in self.findings)])

    def _repr_html_(self) -> str:
        # Loaded where a notebook shows something, and not by every query.
        from esker.core.html import Html, join, tag

        found = tag("ul", *(tag("li", text) for text in self.findings)) if self.findings else None
        return join(Html(self.draw("svg")), found)

    def draw(self, format: str = "text") -> str:
        """The plan as text, or a picture: `svg`, `mermaid` or `dot` (Graphviz); after a run with what it really cost.

        >>> print(Explanation("head", rows=2, inputs=[Explanation("scan csv")]).draw("dot").splitlines()[-2])
          s1 -> s0;

        Raises OptionError for another format.
        """
        if format == "text":
            return str(self)
        if format not in PICTURES:
            raise OptionError(f"format={format!r}; there is: text, {', '.join(PICTURES)}")
        return PICTURES[format](self.to_json())

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; the order of keys is fixed."""
        return {
            "step": self.step,
            "operator": self.operator,
            "detail": self.detail,
            "rows_in": self.rows_in,
            "rows": self.rows,
            "bytes": self.bytes,
            "estimated": self.estimated.to_json() if self.estimated else None,
            "actual": self.actual.to_json() if self.actual else None,
            "choice": self.choice,
            "reason": self.reason,
            "alternatives": {name: cost.to_json() for name, cost in self.alternatives.items()},
            "timeline": self.timeline,
            "findings": self.findings,
            "inputs": [step.to_json() for step in self.inputs],
        }

    def number(self) -> None:
        """Number the steps, this one 0, each before those it reads from."""
        for number, step in enumerate(self.walk()):
            step.step = number

    def walk(self) -> list[Explanation]:
        """This step and all below it, this one first."""
        return [self, *(step for below in self.inputs for step in below.walk())]

    def _lines(self, indent: str) -> list[str]:
        detail = ", ".join(f"{name}: {_shown(value)}" for name, value in self.detail.items())
        lines = [f"{indent}{self.operator}{f' [{self.choice}]' if self.choice else ''}{f' {detail}' if detail else ''}"]
        inner = indent + "  "
        if self.estimated:
            lines.append(f"{inner}estimated {self.estimated}")
        lines += [f"{inner}instead of {name}: {cost}" for name, cost in self.alternatives.items()]
        if self.reason:
            lines.append(f"{inner}because {self.reason}")
        if self.actual:
            lines.append(f"{inner}actual {self.actual}")
        if self.rows is not None:
            lines.append(f"{inner}{self.rows:,} rows")
        for step in self.inputs:
            lines += step._lines(inner)
        return lines


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
