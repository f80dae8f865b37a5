"""A plan as a Mermaid flowchart: for Markdown that renders it."""

from __future__ import annotations

from esker.core.plan_words import Box, PlanJson, boxes_of

_ENTITIES = str.maketrans({one: f"#{ord(one)};" for one in '"#<>&`\\;{}[]()|*_~%'})


def draw(plan: PlanJson) -> str:
    """Draw a plan; rows flow down from the sources, arrows say how many.

    >>> print(draw({"operator": "head", "rows": 2, "inputs": [{"operator": "scan", "rows": 5}]}))
    flowchart TD
      s0["<b>head</b><br/>2 rows"]
      s1["<b>scan</b><br/>5 rows"]
      s1 -- "5 rows" --> s0
    <BLANKLINE>
    """
    root = boxes_of(plan)
    lines = ["flowchart TD"]
    lines += [f'  s{box.number}["{_label(box)}"]' for box in root.walk()]
    for box in root.walk():
        for below in box.inputs:
            words = f'-- "{below.rows:,} rows" -->' if below.rows is not None else "-->"
            lines.append(f"  s{below.number} {words} s{box.number}")
    return "\n".join(lines) + "\n"


def _label(box: Box) -> str:
    lines = [f"<b>{_escaped(box.title)}</b>", *map(_escaped, (*box.lines, *box.costs))]
    return "<br/>".join(lines)


def _escaped(text: str) -> str:
    # Mermaid has entities by number; whatever could be its syntax, or HTML, or Markdown, becomes one.
    return text.translate(_ENTITIES)
