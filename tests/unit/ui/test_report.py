"""The page stands alone, shows what it is given, and cannot be broken out of."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import pytest

from esker.core.cost import Cost
from esker.core.explanation import Explanation
from esker.errors import OutputExistsError
from esker.ui import Bars, Costs, Plan, Report, Step, Table, Timeline, Words, render_report, write_report

HOSTILE = "</td><script>alert('x')</script>\"&"
COST = Cost(bytes=2048, requests=2, mounts=1, seconds=75.0)
PLAN = Explanation(
    "join",
    {"on": ["origin", HOSTILE]},
    rows=180,
    estimated=COST,
    actual=COST,
    choice="asj",
    reason=HOSTILE,
    alternatives={"hash": Cost(bytes=1 << 20, requests=12, mounts=12, seconds=2000.0)},
    inputs=[Explanation("find", {"source": HOSTILE}), Explanation("scan csv")],
)
EVENTS = [
    {"device": "drive 0", "kind": "mount", "start": 0.0, "stop": 71.0, "detail": {"cartridge": HOSTILE}},
    {"device": "arm", "kind": "exchange", "start": 0.0, "stop": 10.0, "detail": {}},
    {"device": "drive 0", "kind": HOSTILE, "start": 71.0, "stop": 75.5, "detail": {}},
]


def hostile_report() -> Report:
    return Report(
        HOSTILE,
        HOSTILE,
        [
            Step(
                HOSTILE,
                [
                    Words(HOSTILE),
                    Table(HOSTILE, [HOSTILE, "n"], [[HOSTILE, 1234], [None, 0.5]]),
                    Bars(HOSTILE, [(HOSTILE, 3.0, HOSTILE), ("none", 0.0, "0")]),
                    Costs(HOSTILE, [(HOSTILE, COST.to_json()), ("unknown", None)]),
                    Plan(HOSTILE, PLAN.to_json()),
                    Timeline(HOSTILE, EVENTS),
                ],
                code=HOSTILE,
            ),
            Step("second"),
        ],
    )


class Tags(HTMLParser):
    """Collects elements, and fails when one is closed that is not open."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    return tags


def test_what_comes_from_data_stays_text() -> None:
    tags = parsed(render_report(hostile_report()))
    assert "script" not in tags.seen
    assert not [name for name, _ in tags.attributes if name.startswith("on")]


def test_the_page_asks_for_nothing_outside_itself() -> None:
    page = render_report(hostile_report())
    tags = parsed(page)
    links = [value for name, value in tags.attributes if name in ("src", "href", "xlink:href", "data")]
    assert links == ["#step-1", "#step-2"]
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_estimated_counted_and_rejected_costs_are_all_shown() -> None:
    page = render_report(Report("t", "s", [Step("join", parts=[Plan("plan", PLAN.to_json())])]))
    for words in ("estimated", "actual", "instead of hash", "2.0 KiB", "1 min 15 s", "180 rows"):
        assert words in page


def test_drawings_are_well_formed_and_stay_in_their_box() -> None:
    page = render_report(hostile_report())
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        svg = ElementTree.fromstring(drawing)
        width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
        for rect in svg.iter("rect"):
            assert 0 <= float(rect.attrib["x"]) <= float(rect.attrib["x"]) + float(rect.attrib["width"]) <= width
            assert 0 <= float(rect.attrib["y"]) <= float(rect.attrib["y"]) + float(rect.attrib["height"]) <= height


def test_a_device_event_lies_where_its_time_says() -> None:
    page = render_report(Report("t", "s", [Step("x", parts=[Timeline("library", EVENTS)])]))
    svg = ElementTree.fromstring(re.findall(r"<svg.*?</svg>", page, re.DOTALL)[0])
    mount, exchange, _ = sorted(svg.iter("rect"), key=lambda rect: (float(rect.attrib["x"]), -float(rect.attrib["y"])))
    assert mount.attrib["class"] == "kind-mount"
    assert float(mount.attrib["width"]) / float(exchange.attrib["width"]) == pytest.approx(7.1, rel=1e-3)
    assert "drive 0: mount 1 min 11 s, from 0 s" in "".join(mount.itertext())


def test_a_timeline_without_events_says_so() -> None:
    assert "No device was moved" in render_report(Report("t", "s", [Step("x", parts=[Timeline("library", [])])]))


def test_events_beyond_the_limit_are_counted_not_dropped_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esker.ui.timeline.EVENTS_MAX", 2)
    page = render_report(Report("t", "s", [Step("x", parts=[Timeline("library", EVENTS)])]))
    assert "1 later events are not drawn" in page


def test_an_existing_page_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(Report("one", "s"), path)
    with pytest.raises(OutputExistsError):
        write_report(Report("two", "s"), path)
    assert "<h1>one</h1>" in path.read_text()
    write_report(Report("two", "s"), path, overwrite=True)
    assert "<h1>two</h1>" in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
