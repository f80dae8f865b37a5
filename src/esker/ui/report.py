"""A report of what was done: one HTML file that needs no other, and runs no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from esker.core.file_system import LOCAL
from esker.ui.bars import draw_bars
from esker.ui.html import Html, tag
from esker.ui.plan import CostJson, PlanJson, draw_costs, draw_plan
from esker.ui.timeline import Event, draw_timeline

# The page may show its own pictures and style, and nothing else: no script, no request to anywhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    words: str

    def draw(self) -> Html:
        """The paragraph."""
        return tag("p", self.words)


@dataclass(frozen=True)
class Table:
    """Rows of a result; cells are shown as text, numbers to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def draw(self) -> Html:
        """The table, in a box that scrolls when it is wide."""
        head = tag("thead", tag("tr", *map(self._head, range(len(self.columns)))))
        body = tag("tbody", *(tag("tr", *map(_cell, row)) for row in self.rows))
        return _figure(self.title, tag("div", tag("table", head, body), class_="wide"))

    def _head(self, column: int) -> Html:
        number = any(_is_number(row[column]) for row in self.rows)
        return tag("th", self.columns[column], scope="col", class_="number" if number else None)


@dataclass(frozen=True)
class Bars:
    """Labelled lengths: (label, length, what is written behind the bar)."""

    title: str
    bars: Sequence[tuple[str, float, str]]

    def draw(self) -> Html:
        """The bars."""
        return _figure(self.title, tag("div", draw_bars(self.bars), class_="wide"))


@dataclass(frozen=True)
class Plan:
    """The plan of a query, as `Explanation.to_json` gives it."""

    title: str
    plan: PlanJson

    def draw(self) -> Html:
        """The plan, folded: it is long."""
        return tag("details", tag("summary", self.title), draw_plan(self.plan))


@dataclass(frozen=True)
class Costs:
    """Costs to compare: (name, cost as `Cost.to_json` gives it, or None for unknown)."""

    title: str
    costs: Sequence[tuple[str, CostJson | None]]

    def draw(self) -> Html:
        """The costs, one a row."""
        return _figure(self.title, tag("div", draw_costs(self.costs), class_="wide"))


@dataclass(frozen=True)
class Timeline:
    """What the devices of a simulated tier did, as DeviceEvent.to_json gives it."""

    title: str
    events: Sequence[Event]

    def draw(self) -> Html:
        """The chart."""
        return _figure(self.title, tag("div", draw_timeline(self.events), class_="wide"))


Part = Words | Table | Bars | Plan | Costs | Timeline


@dataclass
class Step:
    """One step: its code, and what came out of it in words, tables and pictures."""

    title: str
    parts: list[Part] = field(default_factory=list)
    code: str = ""


@dataclass
class Report:
    """A page: title, what it is about, steps."""

    title: str
    subtitle: str
    steps: list[Step] = field(default_factory=list)


def render_report(report: Report) -> str:
    """The whole page as text.

    >>> "<h1>Demo &amp; more</h1>" in render_report(Report("Demo & more", "what was done"))
    True
    """
    style = Html(files("esker.ui").joinpath("report.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        Html(f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", report.title),
        tag("style", style),
    )
    contents = tag("nav", tag("ol", *(tag("li", tag("a", s.title, href=f"#step-{n}")) for n, s in _numbered(report))))
    body = tag(
        "body",
        tag("header", tag("h1", report.title), tag("p", report.subtitle)),
        contents if len(report.steps) > 1 else None,
        tag("main", *(_step(number, step) for number, step in _numbered(report))),
    )
    return "<!doctype html>\n" + tag("html", head, body, lang="en") + "\n"


def write_report(report: Report, path: Path, *, overwrite: bool = False) -> None:
    """Write the page to `path`, whole or not at all."""
    with LOCAL.write_aside(path, overwrite=overwrite) as file:
        file.write(render_report(report).encode())


def _numbered(report: Report) -> list[tuple[int, Step]]:
    return list(enumerate(report.steps, start=1))


def _step(number: int, step: Step) -> Html:
    return tag(
        "section",
        tag("h2", f"{number}. {step.title}"),
        tag("pre", tag("code", step.code)) if step.code else None,
        *(part.draw() for part in step.parts),
        id=f"step-{number}",
    )


def _figure(title: str, drawing: Html) -> Html:
    return tag("figure", tag("figcaption", title), drawing)


def _cell(value: Any) -> Html:
    if not _is_number(value):
        return tag("td", "" if value is None else value)
    return tag("td", f"{value:,}" if isinstance(value, int) else f"{value:,.6g}", class_="number")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
