"""The page in a real Chromium: what it shows, by keyboard too, and that nothing of a log becomes HTML.

Slow, so `make test-all` and `make test-page` run it; without Chromium it is skipped and says so. Screenshots are kept
in build/screenshots.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.house.project import ROOT
from tests.unit.ui.live.chromium import Browser, Tab, chromium, find_chromium
from tests.unit.ui.live.every_event import EVIL, every_event, ring, write_log
from tests.unit.ui.live.serving import serving

CHROMIUM = find_chromium()
SHOTS = ROOT / "build" / "screenshots"
PANELS = ("findings", "plan", "series", "devices", "extents", "partitions", "cluster", "events")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or ESKER_CHROMIUM=path"),
]

PROBES = Path(__file__).with_name("probes.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None
    with chromium(CHROMIUM) as made:
        yield made


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    with browser.tab() as made:
        made.look(dark=False)
        yield made


def wait_for_panels(tab: Tab) -> None:
    """Wait until all parts are shown: each comes in an event of its own."""
    tab.wait_for(
        f"{json.dumps(PANELS)}.every((name) => [...document.querySelectorAll('.panel')]"
        ".some((one) => one.id === name && !one.hidden))"
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_finished_log_is_shown_in_every_part_readable_and_named(tab: Tab, tmp_path: Path, dark: bool) -> None:
    with serving(write_log(tmp_path / "sessions.jsonl", every_event())) as server:
        tab.look(dark=dark)
        tab.open(server.link)
        tab.wait_for(
            "document.querySelector('#state')?.textContent === 'done' && !!document.querySelector('.u-legend')"
        )
        wait_for_panels(tab)
        assert "token" not in tab.evaluate("location.href")
        assert "1,204,113" in tab.evaluate("document.querySelector('#tiles').innerText")
        tab.wait_for("document.querySelectorAll('#devices rect').length > 200")
        tab.screenshot(SHOTS / f"page-{'dark' if dark else 'light'}.png")
        assert tab.evaluate(PROBES + "tooFaint()") == []
        assert tab.evaluate("nameless()") == []
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.complaints == []


def test_it_fits_a_narrow_window(tab: Tab, tmp_path: Path) -> None:
    with serving(write_log(tmp_path / "sessions.jsonl", every_event())) as server:
        tab.look(dark=False, width=420)
        tab.open(server.link)
        tab.wait_for("document.querySelectorAll('#devices rect').length > 200")
        tab.screenshot(SHOTS / "page-narrow.png")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_running_query_grows_on_the_page_until_it_is_done(tab: Tab, tmp_path: Path) -> None:
    events = every_event()
    path = write_log(tmp_path / "q.jsonl", events[:120])
    with serving(tmp_path) as server:
        tab.open(server.link)
        tab.wait_for("document.querySelector('#state').textContent === 'running'")
        tab.wait_for("!!document.querySelector('.card[data-state=running]')")
        tab.screenshot(SHOTS / "page-running.png")
        tab.evaluate("document.querySelector('.card').focus()")
        read = tab.evaluate("document.querySelector('#tiles').innerText")
        with path.open("a") as file:
            file.writelines(json.dumps(event) + "\n" for event in events[120:])
        tab.wait_for("document.querySelector('#state').textContent === 'done'")
        assert tab.evaluate("document.querySelector('#tiles').innerText") != read
        assert tab.evaluate("document.activeElement.className") == "card"
        assert "done" in tab.evaluate("document.querySelector('#said').textContent")
        assert tab.complaints == []


def test_a_name_that_is_html_is_shown_as_text_and_runs_nothing(tab: Tab, tmp_path: Path) -> None:
    def evil(value: object) -> object:
        if isinstance(value, str) and value not in ("up", "down", "suspect", "recovering"):
            return EVIL
        if isinstance(value, dict):
            return {EVIL if name not in _FIELDS else name: evil(one) for name, one in value.items()}
        return [evil(one) for one in value] if isinstance(value, list) else value

    events = [{**{name: evil(one) for name, one in event.items()}, "event": event["event"]} for event in every_event()]
    events.append({"v": 1, "seconds": 60, "event": "query_failed", "error": EVIL, "message": EVIL})
    events.append({"v": 1, "seconds": 60, "event": EVIL})
    with serving(write_log(tmp_path / "<b>q.jsonl", events)) as server:
        tab.open(server.link)
        tab.wait_for(
            "document.querySelector('#state')?.textContent === 'failed' && !document.querySelector('#events').hidden"
        )
        tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        tab.wait_for(f"document.querySelector('#plan').innerText.includes({json.dumps(EVIL)})")
        tab.screenshot(SHOTS / "page-hostile.png")
        assert tab.evaluate("window.broken ?? null") is None
        assert tab.evaluate("document.querySelectorAll('main img, main script, main b img').length") == 0
        wait_for_panels(tab)
        # Nor would the browser let it: text does not become HTML on this page.
        assert tab.evaluate(f"{PROBES} madeHtml({json.dumps(EVIL)})") == "TypeError"
        assert tab.evaluate("madeScript()") is None


_COST = {"estimated", "actual", "alternatives", "bytes", "requests", "mounts", "seconds"}
_STEP = {"step", "operator", "detail", "inputs", "node", "state", "points", "address"}
_FIELDS = {name for event in every_event() for name in event} | _COST | _STEP


def test_the_keyboard_reaches_steps_and_zooms_the_devices(tab: Tab, tmp_path: Path) -> None:
    with serving(write_log(tmp_path / "q.jsonl", every_event())) as server:
        tab.open(server.link)
        tab.wait_for("document.querySelectorAll('#devices rect').length > 200")
        tab.evaluate("document.querySelector('#main').focus()")
        seen = []
        for _ in range(30):
            tab.press("Tab")
            seen.append(tab.evaluate("document.activeElement.className + ' ' + document.activeElement.id"))
            if seen[-1].startswith("card"):
                break
        else:
            raise AssertionError(f"Tab reached no step: {seen}")
        outline = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        tab.press("ArrowLeft")
        tab.press("ArrowLeft")
        assert tab.evaluate("document.activeElement.querySelector('.name').textContent") == "join"
        assert "instead of hash" in tab.evaluate("document.querySelector('[data-details]').innerText")
        ticks = "[...document.querySelectorAll('#devices .tick')].map((one) => one.textContent).join()"
        before = tab.evaluate(ticks)
        tab.evaluate("document.querySelector('.gantt').focus()")
        tab.press("+")
        tab.press("+")
        zoomed = tab.evaluate(ticks)
        assert zoomed != before
        tab.press("ArrowRight")
        assert tab.evaluate(ticks) != zoomed
        tab.press("0")
        assert tab.evaluate(ticks) == before


def test_a_node_that_is_chosen_shows_its_arcs(tab: Tab, tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text(
        json.dumps(
            {"replicas": 3, "members": ring({4: "down"}), "lost": ["block 7"], "short": ["a", "b"], "units": 256}
        )
    )
    with serving(tmp_path, cluster=status) as server:
        tab.open(server.link)
        tab.wait_for("document.querySelectorAll('.nodename').length === 6")
        assert "block 7" in tab.evaluate("document.querySelector('#cluster').innerText")
        tab.evaluate("document.querySelector('.nodename[data-node=\"2\"]').focus()")
        tab.press("Enter")
        assert tab.evaluate("document.activeElement.dataset.node") == "2"
        assert (
            0
            < tab.evaluate("document.querySelectorAll('.arc:not(.dim)').length")
            < tab.evaluate("document.querySelectorAll('.arc').length")
        )
        tab.screenshot(SHOTS / "page-cluster.png")


def test_the_folder_of_a_cluster_shows_what_its_coordinator_wrote(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{}")
    (tmp_path / "coordinator").mkdir()
    events = [event for event in every_event() if event["event"] == "log_opened" or "cluster" in event["event"]]
    write_log(tmp_path / "coordinator" / "coordinator.jsonl", events)
    with serving(tmp_path) as server:
        tab.open(server.link)
        tab.wait_for("document.querySelectorAll('#cluster .nodename').length === 6")
        said = tab.evaluate("document.querySelector('#cluster .happened').textContent")
        assert "has copies" in said and "12 units from node 1, 3.0 MiB" in said and "no answer for 2 s" in said
        assert tab.evaluate("document.querySelectorAll('#cluster .kind.up').length") == 1


def test_a_folder_without_logs_says_how_to_make_one_and_the_end_of_the_server_is_said(tab: Tab, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        tab.open(server.link)
        tab.wait_for("document.querySelector('#connection').textContent === 'live'")
        assert "--log" in tab.evaluate("document.querySelector('#empty').innerText")
    tab.wait_for("document.querySelector('#connection').dataset.state === 'lost'")


def test_without_the_link_a_browser_is_shown_nothing(tab: Tab, tmp_path: Path) -> None:
    with serving(write_log(tmp_path / "q.jsonl", every_event())) as server:
        tab.open(f"http://127.0.0.1:{server.port}/")
        tab.wait_for("document.body.innerText.includes('open the link')")
        tab.open(server.link)
        tab.wait_for("document.querySelector('#state')?.textContent === 'done'")
        assert tab.evaluate("document.cookie") == ""
        tab.open(server.opener().as_uri())
        tab.wait_for("location.protocol === 'http:' && document.querySelector('#state')?.textContent === 'done'")
