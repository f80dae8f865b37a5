"""Horizontal bars in SVG."""

from __future__ import annotations

from collections.abc import Sequence

from esker.ui.html import Html, tag

LABEL, WIDTH, VALUE, ROW, THICK = 190, 420, 190, 26, 16


def draw_bars(bars: Sequence[tuple[str, float, str]]) -> Html:
    """Draw (label, length, what is written behind it); the longest fills the width."""
    longest = max((length for _, length, _ in bars), default=0.0)
    rows = [_bar(index, label, length, note, longest) for index, (label, length, note) in enumerate(bars)]
    width, height = LABEL + WIDTH + VALUE, ROW * len(bars)
    return tag(
        "svg", *rows, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", class_="bars",
        aria_label="; ".join(f"{label}: {note}" for label, _, note in bars),
    )  # fmt: skip


def _bar(index: int, label: str, length: float, note: str, longest: float) -> Html:
    top = index * ROW
    # What is there at all is seen.
    width = max(length / longest * WIDTH, 1.0) if length > 0 else 0.0
    middle = top + ROW / 2
    return tag(
        "g",
        tag("text", label, x=LABEL - 8, y=middle, text_anchor="end", dominant_baseline="central"),
        tag("rect", x=LABEL, y=top + (ROW - THICK) / 2, width=f"{width:.1f}", height=THICK, rx=2, class_="bar"),
        tag("text", note, x=f"{LABEL + width + 6:.1f}", y=middle, dominant_baseline="central", class_="value"),
    )
