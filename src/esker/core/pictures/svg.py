"""A plan as SVG, with a layout of its own: a layer for each depth, a step centred above those it reads from.

The picture needs nothing from outside, has no script, and is legible on light and dark grounds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape

from esker.core.plan_words import Box, PlanJson, boxes_of

# Pixels. Letters of the system's sans-serif at 12 are 6.6 wide on average; figures and capitals are wider.
CHARACTER = 7.0
LINE = 16
PADDING = 10
GAP_ACROSS = 24
GAP_DOWN = 44
MARGIN = 8

_STYLE = (
    ".esker-plan{font:12px system-ui,sans-serif;color-scheme:light dark}"
    ".esker-plan text{fill:#1c2330}.esker-plan .cost{fill:#5a6472}.esker-plan .title{font-weight:600}"
    ".esker-plan rect{fill:#f4f6f9;stroke:#8592a5}.esker-plan path{fill:none;stroke:#8592a5}"
    "@media(prefers-color-scheme:dark){.esker-plan text{fill:#e6eaf0}.esker-plan .cost{fill:#a5b0bf}"
    ".esker-plan rect{fill:#222a35;stroke:#6d7b8f}}"
)


@dataclass
class _Placed:
    """A box with its place; x is its middle."""

    box: Box
    depth: int
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    below: list[_Placed] = field(default_factory=list)

    def walk(self) -> list[_Placed]:
        return [self, *(one for below in self.below for one in below.walk())]

    def move(self, right: float) -> None:
        for one in self.walk():
            one.x += right


def draw(plan: PlanJson) -> str:
    """Draw a plan as one `<svg>` element."""
    root = _placed(boxes_of(plan), 0)
    _spread(root)
    _stack(root)
    every = root.walk()
    left = min(one.x - one.width / 2 for one in every) - MARGIN
    root.move(-left)
    width = max(one.x + one.width / 2 for one in every) + MARGIN
    height = max(one.y + one.height for one in every) + MARGIN
    edges = [_edge(below, one) for one in every for below in one.below]
    parts = [f"<title>{escape(_told(root.box))}</title>", f"<style>{_STYLE}</style>", *edges, *map(_drawn, every)]
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" class="esker-plan" role="img" {size}>'
    return opening + "".join(parts) + "</svg>"


def _placed(box: Box, depth: int) -> _Placed:
    lines = (box.title, *box.lines, *box.costs)
    width = max(len(line) for line in lines) * CHARACTER + 2 * PADDING
    below = [_placed(one, depth + 1) for one in box.inputs]
    return _Placed(box, depth, width, len(lines) * LINE + 2 * PADDING, below=below)


def _spread(one: _Placed) -> tuple[dict[int, float], dict[int, float]]:
    """Place boxes across: trees side by side as close as their layers allow; gives the left and right edge by depth."""
    lefts: dict[int, float] = {}
    rights: dict[int, float] = {}
    for below in one.below:
        left, right = _spread(below)
        shared = [rights[depth] - left[depth] + GAP_ACROSS for depth in left if depth in rights]
        move = max(shared, default=0.0)
        below.move(move)
        rights |= {depth: edge + move for depth, edge in right.items()}
        lefts = {depth: edge + move for depth, edge in left.items()} | lefts
    one.x = (one.below[0].x + one.below[-1].x) / 2 if one.below else 0.0
    lefts[one.depth], rights[one.depth] = one.x - one.width / 2, one.x + one.width / 2
    return lefts, rights


def _stack(root: _Placed) -> None:
    """Place layers under one another, each as high as its highest box."""
    every = root.walk()
    y = float(MARGIN)
    for depth in range(max(one.depth for one in every) + 1):
        layer = [one for one in every if one.depth == depth]
        for one in layer:
            one.y = y
        y += max(one.height for one in layer) + GAP_DOWN


def _edge(below: _Placed, above: _Placed) -> str:
    """Draw the way of the rows, the wider the more there are."""
    start, stop = below.y, above.y + above.height
    middle = (start + stop) / 2
    rows = below.box.rows
    width = 1.0 + math.log10(rows + 1) / 2 if rows is not None else 1.0
    path = f"M{below.x:.1f} {start:.1f}C{below.x:.1f} {middle:.1f} {above.x:.1f} {middle:.1f} {above.x:.1f} {stop:.1f}"
    label = ""
    if rows is not None:
        x, y = (below.x + above.x) / 2 + 6, middle + 4
        label = f'<text class="cost" x="{x:.1f}" y="{y:.1f}">{rows:,} rows</text>'
    return f'<path d="{path}" stroke-width="{width:.1f}"/>{label}'


def _drawn(one: _Placed) -> str:
    box = one.box
    left = one.x - one.width / 2
    kinds = ["title", *("detail" for _ in box.lines), *("cost" for _ in box.costs)]
    lines = "".join(
        f'<text class="{kind}" x="{left + PADDING:.1f}" y="{one.y + PADDING + LINE * (number + 0.75):.1f}">'
        f"{escape(line)}</text>"
        for number, (kind, line) in enumerate(zip(kinds, (box.title, *box.lines, *box.costs), strict=True))
    )
    rect = f'<rect x="{left:.1f}" y="{one.y:.1f}" width="{one.width:.1f}" height="{one.height:.1f}" rx="5"/>'
    return f"<g>{rect}{lines}</g>"


def _told(box: Box) -> str:
    """The plan in a sentence, for those who cannot see it."""
    return "Plan: " + ", which reads from ".join(dict.fromkeys(one.title for one in box.walk()))
