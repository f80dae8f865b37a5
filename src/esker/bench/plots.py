"""A section as a picture: SVG, written here.

A plotting library would be an extra to install, some 30 MB, for lines and dots; so there is none, and no option that
only works where it is installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from esker.bench.document import Section
from esker.core.file_system import LOCAL

PANEL_WIDTH, PANEL_HEIGHT = 360, 220
LEFT, TOP, BOTTOM, LEGEND = 56, 44, 40, 200
PANELS_ACROSS = 2
TICKS = 4
# Told apart by those who do not see all colours (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")


def write_plots(sections: Sequence[Section], folder: Path) -> list[Path]:
    """Write one file a section; says which."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for section in sections:
        path = folder / f"{section.name}.svg"
        with LOCAL.write_aside(path, overwrite=True) as file:
            file.write(draw(section).encode())
        paths.append(path)
    return paths


def draw(section: Section) -> str:
    """Draw a section's plot: a panel for each value of its panels, a line for each of its series.

    Of rows that differ only in what the plot does not show the first is drawn: that of a strategy's usual page manager.
    """
    series = _distinct(section.rows, section.plot.series)
    panels: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in section.rows:
        panels.setdefault(tuple(str(row[name]) for name in section.plot.panels), []).append(row)
    across = min(PANELS_ACROSS, max(len(panels), 1))
    down = (len(panels) + across - 1) // across
    width = across * (PANEL_WIDTH + LEFT) + LEGEND
    height = TOP + max(down, 1) * (PANEL_HEIGHT + TOP + BOTTOM)
    parts = [_text(12, 22, section.title, size=14)]
    for number, (values, rows) in enumerate(panels.items()):
        left = LEFT + number % across * (PANEL_WIDTH + LEFT)
        top = 2 * TOP + number // across * (PANEL_HEIGHT + TOP + BOTTOM)
        named = ", ".join(f"{name} {value}" for name, value in zip(section.plot.panels, values, strict=True))
        parts += [_text(left, top - 8, named), *_panel(section, rows, series, left, top)]
    for number, name in enumerate(series):
        y = 2 * TOP + 18 * number
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{width - LEGEND + 8}" y="{y}" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(width - LEGEND + 26, y + 10, name))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="sans-serif" role="img"><title>{escape(section.title)}</title>'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _panel(
    section: Section, rows: Sequence[Mapping[str, Any]], series: Sequence[str], left: float, top: float
) -> list[str]:
    plot = section.plot
    places = _distinct(rows, plot.x)
    most = max((float(row[plot.y] or 0) for row in rows), default=0.0) or 1.0
    parts = []
    for tick in range(TICKS + 1):
        y = top + PANEL_HEIGHT * (1 - tick / TICKS)
        parts.append(f'<line x1="{left}" x2="{left + PANEL_WIDTH}" y1="{y:g}" y2="{y:g}" stroke="#ddd"/>')
        parts.append(_text(left - 6, y + 4, f"{most * tick / TICKS:.3g}", anchor="end"))
    x_of = {place: left + PANEL_WIDTH * (index + 0.5) / len(places) for index, place in enumerate(places)}
    for place, x in x_of.items():
        parts.append(_text(x, top + PANEL_HEIGHT + 16, place, anchor="middle"))
    parts.append(_text(left + PANEL_WIDTH / 2, top + PANEL_HEIGHT + 32, _heading(section, plot.x), anchor="middle"))
    for number, name in enumerate(series):
        values: dict[str, float] = {}
        for row in rows:
            if str(row[plot.series]) == name and row[plot.y] is not None:
                values.setdefault(str(row[plot.x]), float(row[plot.y]))
        points = [(x_of[place], top + PANEL_HEIGHT * (1 - value / most)) for place, value in values.items()]
        parts += _line(points, COLOURS[number % len(COLOURS)])
    return parts


def _line(points: Sequence[tuple[float, float]], colour: str) -> list[str]:
    lines = [
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1.5"/>'
        for (x1, y1), (x2, y2) in pairwise(sorted(points))
    ]
    return lines + [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]


def _distinct(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    return list(dict.fromkeys(str(row[name]) for row in rows))


def _heading(section: Section, name: str) -> str:
    return next(column.heading for column in section.columns if column.name == name)


def _text(x: float, y: float, text: str, *, size: int = 11, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
