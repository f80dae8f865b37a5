"""Narrow steps, and how those of a partition become one loop.

Steps that look at one element at a time are written as the lines of one generator, compiled once for each sequence of
kinds: no call but the user's own stands between two steps. And because each step has a line of its own and each value a
name, a traceback says which step failed, and on which element, without a counter in the loop.

    for x0 in source:                  # the partition
        x1 = f0(x0)                    # map
        if not f1(x1): continue        # filter
        for x3 in f2(x1):              # flat_map
            yield x3
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from esker.runtime.attempt import current_attempt

FILENAME = "<esker: steps of a Bag>"

# A step's lines: {x} is the element before, {y} the one after, {f} the step's function. A line that ends in a colon
# opens a loop, in which the steps that follow stand.
_LINES = {
    "map": ("{y} = {f}({x})",),
    "filter": ("if not {f}({x}): continue",),
    "flat_map": ("for {y} in {f}({x}):",),
    "map_values": ("{y} = ({x}[0], {f}({x}[1]))",),
    "flat_map_values": ("for {y} in {f}({x}[1]):", "{y} = ({x}[0], {y})"),
    "key_by": ("{y} = ({f}({x}), {x})",),
    "keys": ("{y} = {x}[0]",),
    "values": ("{y} = {x}[1]",),
    "pluck": ("{y} = {x}[{f}]",),
    "star_map": ("{y} = {f}(*{x})",),
}
# Steps that give one element for each they take.
ONE_FOR_ONE = frozenset(_LINES) - {"filter", "flat_map", "flat_map_values"}
# What counts the elements that come by, for the steps of the plan that its function names.
COUNT = "count"
# A flat_map at the end of steps whose results are taken by the iterable.
_TAKEN = "take({f}({x}))"
# Steps after which each pair still has the key that it was placed by.
KEEP_KEYS = frozenset({"filter", "map_values", "flat_map_values"})
# What sees the whole partition: `function(index, iterator)`.
PARTITION = "partition"


@dataclass(frozen=True, eq=False)
class Step:
    """One narrow step: its `kind`, the method that added it, the user's function (or parameter), and its line."""

    kind: str
    operator: str
    function: Any
    site: str = ""


class Line(NamedTuple):
    """What a line of a compiled loop does: which step (-1: the source), and the name of the element it works on."""

    step: int
    element: str


class _Loop(NamedTuple):
    code: Callable[..., Iterator[Any]]
    lines: dict[int, Line]


@cache
def _compile(kinds: tuple[str, ...], traced: bool, fed: bool = False) -> _Loop:
    names = "".join(f"f{number}, " for number in range(len(kinds)))
    source = [f"def loop(source, steps, note, {names}take=None, tell=None):"]
    lines: dict[int, Line] = {}
    if traced:
        source.append("    position = 0")
    counts = [number for number, kind in enumerate(kinds) if kind == COUNT]
    depth = 2 if counts else 1
    if counts:
        source += ["    whole = False", *(f"    n{number} = 0" for number in counts), "    try:"]
    source.append("    " * depth + "for x0 in source:")
    lines[len(source)] = Line(-1, "")
    depth += 1
    if traced:
        source += ["    " * depth + "position += 1", "    " * depth + "note(position, x0)"]
    element = "x0"
    for number, kind in enumerate(kinds):
        if kind == COUNT:
            source.append("    " * depth + f"n{number} += 1")
            continue
        made = element if kind == "filter" else f"x{number + 1}"
        is_taken = fed and number + 1 == len(kinds)
        for text in (_TAKEN,) if is_taken else _LINES[kind]:
            source.append("    " * depth + text.format(x=element, y=made, f=f"f{number}"))
            lines[len(source)] = Line(number, element)
            depth += text.endswith(":")
        element = made
    if not fed:
        source.append("    " * depth + f"yield {element}")
    if counts:
        source += ["        whole = True", "    finally:"]
        source += [f"        tell(f{number}, n{number}, whole)" for number in counts]
    space: dict[str, Any] = {}
    exec(compile("\n".join(source), FILENAME, "exec"), space)
    return _Loop(space["loop"], lines)


def _whole(source: Iterator[Any], steps: tuple[Step], index: int) -> Iterator[Any]:
    yield from steps[0].function(index, source)


_LOOPS_BY_CODE: dict[Any, dict[int, Line]] = {_whole.__code__: {}}


def chain_steps(steps: Sequence[Step], index: int, source: Iterator[Any]) -> Iterator[Any]:
    """Run `steps` over the elements of partition `index`; nothing is read until the result is."""
    attempt = current_attempt()
    tell = _teller(steps)
    start = 0
    while start < len(steps):
        if steps[start].kind == PARTITION:
            source = _whole(source, (steps[start],), index)
            start += 1
            continue
        stop = start
        while stop < len(steps) and steps[stop].kind != PARTITION:
            stop += 1
        # Only the first loop of a partition that was lost before marks its elements: they are the source's.
        loop = _compile(tuple(step.kind for step in steps[start:stop]), attempt.traced and start == 0)
        _LOOPS_BY_CODE[loop.code.__code__] = loop.lines
        fused = steps[start:stop]
        source = loop.code(source, fused, attempt.note, *(step.function for step in fused), tell=tell)
        start = stop
    return source


def can_feed(steps: Sequence[Step]) -> bool:
    """Whether `feed_steps` may be used: the last step is a flat_map, and no element need be marked."""
    return bool(steps) and steps[-1].kind == "flat_map" and not current_attempt().traced


def feed_steps(steps: Sequence[Step], index: int, source: Iterator[Any], take: Callable[[Iterable[Any]], None]) -> None:
    """Run `steps`, the last a flat_map, and let `take` read the iterable that it makes of each element.

    So what reads the results in C reads the user's generator itself: one loop less for each result. Failures are told
    as ever, for the loop is on the stack while `take` reads.
    """
    first = max((number + 1 for number, step in enumerate(steps) if step.kind == PARTITION), default=0)
    source = chain_steps(steps[:first], index, source)
    loop = _compile(tuple(step.kind for step in steps[first:]), False, fed=True)
    _LOOPS_BY_CODE[loop.code.__code__] = loop.lines
    fused = steps[first:]
    try:
        loop.code(source, fused, None, *(step.function for step in fused), take=take, tell=_teller(fused))
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()


def _teller(steps: Sequence[Step]) -> Callable[[tuple[int, ...], int, bool], None] | None:
    """Who is told what was counted: the task that opens the loop, whoever closes it."""
    if not any(step.kind == COUNT for step in steps):
        return None
    from esker.engine.bag.task_state import current_task

    task = current_task()
    return task.count if task is not None else lambda places, elements, whole: None


class Place(NamedTuple):
    """Where an exception came from: which step, and the element it worked on, where there is one."""

    step: Step
    element: tuple[Any, ...]


def find_place(code: Any, line: int, values: dict[str, Any]) -> Place | None:
    """Tell the step of a frame of ours from its code, line and local values; None for any other frame."""
    lines = _LOOPS_BY_CODE.get(code)
    if lines is None:
        return None
    steps: Sequence[Step] = values["steps"]
    found = lines.get(line)
    if found is None:
        return Place(steps[0], ())
    if found.step < 0:
        return None
    return Place(steps[found.step], (values[found.element],))
