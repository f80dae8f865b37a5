"""A plan in Graphviz' language."""

from __future__ import annotations

from esker.core.plan_words import Box, PlanJson, boxes_of


def draw(plan: PlanJson) -> str:
    r"""Draw a plan; rows flow up from the sources.

    >>> print(draw({"operator": "head", "rows": 2, "inputs": [{"operator": "scan", "rows": 5}]}))
    digraph plan {
      rankdir=BT;
      node [shape=box, fontname="sans-serif", fontsize=11];
      s0 [label="head\l2 rows\l"];
      s1 [label="scan\l5 rows\l"];
      s1 -> s0 [label="5 rows"];
    }
    <BLANKLINE>
    """
    root = boxes_of(plan)
    lines = ["digraph plan {", "  rankdir=BT;", '  node [shape=box, fontname="sans-serif", fontsize=11];']
    lines += [f'  s{box.number} [label="{_label(box)}"];' for box in root.walk()]
    for box in root.walk():
        for below in box.inputs:
            words = f' [label="{below.rows:,} rows"]' if below.rows is not None else ""
            lines.append(f"  s{below.number} -> s{box.number}{words};")
    return "\n".join([*lines, "}"]) + "\n"


def _label(box: Box) -> str:
    return "".join(f"{_escaped(line)}\\l" for line in (box.title, *box.lines, *box.costs))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
