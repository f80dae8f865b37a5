"""Pictures of plans: whole, bounded, and harmless whatever columns are called."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.core.pictures import PICTURES
from esker.core.plan_words import LINE_CHARACTERS
from esker.errors import OptionError

HOSTILE = "<script>alert(1)</script>\"];\n</svg>&`'"
plans = st.recursive(
    st.builds(
        Explanation, st.text(max_size=12), st.dictionaries(st.text(max_size=8), st.text(max_size=60), max_size=3)
    ),
    lambda below: st.builds(Explanation, st.text(max_size=12), inputs=st.lists(below, max_size=3), rows=st.integers(0)),
    max_leaves=8,
)
SVG = "{http://www.w3.org/2000/svg}"


def diamond() -> Explanation:
    left = Explanation("find", {"predicate": "month = 6"}, rows=10, estimated=Cost(2048, 2), actual=Cost(1024, 1))
    right = Explanation("scan csv", {"columns": ["a", "b"]}, rows=20, rows_in=30)
    return Explanation("join", {"on": ["a"]}, rows=5, choice="asj", inputs=[left, right])


@given(plan=plans)
def test_svg_is_xml_with_a_box_for_each_step_that_overlaps_no_other(plan: Explanation) -> None:
    root = ElementTree.fromstring(plan.draw("svg"))
    boxes = [[float(box.attrib[name]) for name in ("x", "y", "width", "height")] for box in root.iter(f"{SVG}rect")]
    assert len(boxes) == len(plan.walk())
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for number, (x, y, wide, high) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + wide <= width + 1 and y + high <= height + 1
        for left, top, other_wide, other_high in boxes[:number]:
            assert x + wide <= left or left + other_wide <= x or y + high <= top or top + other_high <= y


@given(plan=plans)
def test_every_step_and_every_edge_is_in_mermaid_and_dot(plan: Explanation) -> None:
    steps = len(plan.walk())
    mermaid, dot = plan.draw("mermaid"), plan.draw("dot")
    assert len(re.findall(r'^  s\d+\["[^"]*"\]$', mermaid, re.M)) == steps
    assert len(re.findall(r"--> s\d+$", mermaid, re.M)) == steps - 1
    assert len(re.findall(r'^  s\d+ \[label="(?:[^"\\]|\\.)*"\];$', dot, re.M)) == steps
    assert len(re.findall(r"^  s\d+ -> s\d+", dot, re.M)) == steps - 1


def test_what_a_plan_names_cannot_leave_its_box() -> None:
    plan = Explanation(HOSTILE, {HOSTILE: HOSTILE}, inputs=[Explanation(HOSTILE)])
    assert {one.tag for one in ElementTree.fromstring(plan.draw("svg")).iter()} == {
        f"{SVG}{name}" for name in ("svg", "title", "style", "path", "g", "rect", "text")
    }
    assert "<script" not in plan.draw("mermaid") and "script>" not in plan.draw("mermaid").replace("<b>", "")
    assert "\n" not in re.findall(r'label="(.*?)"\];', plan.draw("dot"), re.S)[0]


def test_estimates_stand_beside_what_was_counted() -> None:
    texts = [one.text or "" for one in ElementTree.fromstring(diamond().draw("svg")).iter(f"{SVG}text")]
    assert "estimated 2.0 KiB, 2 requests, 0.0 ms" in texts
    assert "actual 1.0 KiB, 1 requests, 0.0 ms" in texts
    assert "20 of 30 rows" in texts and "10 rows" in texts


def test_long_details_are_cut() -> None:
    plan = Explanation("find", {"predicate": "x" * 100_000})
    assert all(len(plan.draw(format)) < 5_000 for format in PICTURES)
    assert "x" * LINE_CHARACTERS not in plan.draw("svg")


def test_another_format_is_refused_by_name() -> None:
    with pytest.raises(OptionError, match="format='png'; there is: text, svg, mermaid, dot"):
        diamond().draw("png")


def test_a_notebook_shows_the_picture() -> None:
    html: Any = diamond()._repr_html_()
    assert html.startswith("<svg") and html.endswith("</svg>")
