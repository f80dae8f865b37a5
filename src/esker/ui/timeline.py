"""What the devices of a simulated library did, as a Gantt chart in SVG: drives, arm, and when each was busy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from esker.ui.html import Html, join, tag
from esker.ui.numbers import format_seconds, time_ticks

LABEL, WIDTH, ROW, THICK, AXIS = 80, 720, 30, 18, 24
# Kinds with a colour of their own in report.css; others are grey.
KINDS = ("exchange", "mount", "locate", "transfer", "rewind", "unmount")
EVENTS_MAX = 3_000

Event = Mapping[str, Any]


def draw_timeline(events: Sequence[Event]) -> Html:
    """Draw DeviceEvent dictionaries, one line a device; beyond EVENTS_MAX events the rest is left out, and said so."""
    if not events:
        return tag("p", "No device was moved.", class_="note")
    shown = sorted(events, key=lambda event: float(event["start"]))[:EVENTS_MAX]
    begin = float(shown[0]["start"])
    end = max(float(event["stop"]) for event in shown)
    devices = sorted({str(event["device"]) for event in shown})
    scale = WIDTH / (end - begin) if end > begin else 0.0
    height = ROW * len(devices) + AXIS
    left_out = len(events) - len(shown)
    return join(
        _legend(shown),
        tag(
            "svg",
            _axis(end - begin, scale, ROW * len(devices)),
            *(_device(name, index) for index, name in enumerate(devices)),
            *(_event(event, devices.index(str(event["device"])), begin, scale) for event in shown),
            viewBox=f"0 0 {LABEL + WIDTH + 20} {height}", width=LABEL + WIDTH + 20, height=height,
            role="img", class_="timeline", aria_label=_in_words(shown, end - begin),
        ),
        tag("p", f"{left_out:,} later events are not drawn.", class_="note") if left_out else None,
    )  # fmt: skip


def busy_seconds(events: Sequence[Event]) -> dict[tuple[str, str], float]:
    """Seconds by device and kind.

    >>> busy_seconds([{"device": "arm", "kind": "mount", "start": 1.0, "stop": 3.5}])
    {('arm', 'mount'): 2.5}
    """
    busy: dict[tuple[str, str], float] = {}
    for event in events:
        key = (str(event["device"]), str(event["kind"]))
        busy[key] = busy.get(key, 0.0) + float(event["stop"]) - float(event["start"])
    return busy


def _device(name: str, index: int) -> Html:
    middle = index * ROW + ROW / 2
    return join(
        tag("line", x1=LABEL, x2=LABEL + WIDTH, y1=middle, y2=middle, class_="track"),
        tag("text", name, x=LABEL - 8, y=middle, text_anchor="end", dominant_baseline="central"),
    )


def _event(event: Event, row: int, begin: float, scale: float) -> Html:
    start, stop, kind = float(event["start"]), float(event["stop"]), str(event["kind"])
    detail = ", ".join(f"{name} {value}" for name, value in dict(event.get("detail") or {}).items())
    words = f"{event['device']}: {kind} {format_seconds(stop - start)}, from {format_seconds(start - begin)}"
    return tag(
        "rect", tag("title", f"{words} ({detail})" if detail else words),
        x=f"{LABEL + (start - begin) * scale:.2f}", y=row * ROW + (ROW - THICK) / 2,
        width=f"{max((stop - start) * scale, 0.5):.2f}", height=THICK, class_=_class(kind),
    )  # fmt: skip


def _axis(seconds: float, scale: float, bottom: int) -> Html:
    return join(
        *(
            join(
                tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=0, y2=bottom, class_="grid"),
                tag("text", format_seconds(tick), x=f"{x:.1f}", y=bottom + 16, text_anchor="middle", class_="tick"),
            )
            for tick in time_ticks(seconds)
            for x in [LABEL + tick * scale]
        )
    )


def _legend(events: Sequence[Event]) -> Html:
    kinds = sorted(
        {str(event["kind"]) for event in events},
        key=lambda kind: (KINDS.index(kind) if kind in KINDS else len(KINDS), kind),
    )
    return tag(
        "p",
        *(join(tag("span", class_=f"swatch {_class(kind)}"), tag("span", kind, class_="legend")) for kind in kinds),
    )


def _class(kind: str) -> str:
    return f"kind-{kind}" if kind in KINDS else "kind-other"


def _in_words(events: Sequence[Event], seconds: float) -> str:
    parts = [f"{device} {kind} {format_seconds(busy)}" for (device, kind), busy in busy_seconds(events).items()]
    return f"{format_seconds(seconds)} in all; busy: {', '.join(parts)}"
