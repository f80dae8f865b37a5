"""What a picture of a plan says in each box: short lines, made of what `Explanation.to_json` gives."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from esker.core.byte_size import format_bytes

PlanJson = Mapping[str, Any]
# Longer lines are cut: a picture shows the plan, the text has it all.
LINE_CHARACTERS = 46
# Of the detail of a step, what boxes have no room for; the rest is in the text.
DETAILS_MAX = 5


class Box(NamedTuple):
    """A step of a plan: a title, lines of what it does, lines of what it costs; `rows` go out of it."""

    number: int
    title: str
    lines: tuple[str, ...]
    costs: tuple[str, ...]
    rows: int | None
    inputs: tuple[Box, ...]

    def walk(self) -> Iterator[Box]:
        """This box and all below it, this one first."""
        yield self
        for below in self.inputs:
            yield from below.walk()


def boxes_of(plan: PlanJson) -> Box:
    """The boxes of a plan, numbered as they are walked.

    >>> plan = {"operator": "find", "choice": "fetch", "rows": 3, "detail": {"by": ["a", "b"]}, "inputs": []}
    >>> boxes_of(plan)
    Box(number=0, title='find [fetch]', lines=('by: a, b',), costs=('3 rows',), rows=3, inputs=())
    """
    return _box(plan, iter(range(1 << 30)))


def _box(step: PlanJson, numbers: Iterator[int]) -> Box:
    number = next(numbers)
    choice = f" [{step['choice']}]" if step.get("choice") else ""
    detail = [(name, value) for name, value in (step.get("detail") or {}).items() if value is not None]
    lines = [short(f"{name.replace('_', ' ')}: {words_of(value)}") for name, value in detail[:DETAILS_MAX]]
    inputs = tuple(_box(below, numbers) for below in step.get("inputs") or ())
    title = short(f"{step.get('operator', '?')}{choice}")
    return Box(number, title, tuple(lines), tuple(map(short, _costs(step))), step.get("rows"), inputs)


def _costs(step: PlanJson) -> Iterator[str]:
    for name in ("estimated", "actual"):
        if step.get(name):
            yield f"{name} {cost_words(step[name])}"
    rows, taken = step.get("rows"), step.get("rows_in")
    if rows is not None:
        size = f", {format_bytes(step['bytes'])} in memory" if step.get("bytes") else ""
        of = f" of {taken:,}" if taken is not None and taken != rows else ""
        yield f"{rows:,}{of} rows{size}"


def cost_words(cost: Mapping[str, Any]) -> str:
    """A cost in a few words.

    >>> cost_words({"bytes": 2048, "requests": 2, "mounts": 1, "seconds": 75.0, "money": 0})
    '2.0 KiB, 2 requests, 1 mounts, 75.0 s'
    """
    parts = [format_bytes(cost.get("bytes", 0)), f"{cost.get('requests', 0):,} requests"]
    if cost.get("mounts"):
        parts.append(f"{cost['mounts']:,} mounts")
    seconds = float(cost.get("seconds", 0.0))
    parts.append(f"{seconds:,.1f} s" if seconds >= 1 else f"{seconds * 1000:,.1f} ms")
    if cost.get("money"):
        parts.append(f"US$ {cost['money']:,.2f}")
    return ", ".join(parts)


def words_of(value: Any) -> str:
    """A detail as it is read."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def short(text: str, characters: int = LINE_CHARACTERS) -> str:
    r"""One line of printable text, cut where it is too long.

    >>> short("a\nb\x00c"), short("x" * 60, 10)
    ('a b�c', 'xxxxxxxxx…')
    """
    clean = "".join(" " if one in "\n\r\t" else "�" if _unprintable(one) else one for one in text[: 4 * characters])
    return clean if len(clean) <= characters else clean[: characters - 1] + "…"


def _unprintable(character: str) -> bool:
    # Control characters, lone surrogates and what turns the direction of text around: no picture may have them.
    return unicodedata.category(character) in ("Cc", "Cs", "Cf", "Co", "Cn")
