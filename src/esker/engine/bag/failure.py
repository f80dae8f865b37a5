"""What went wrong in a task, told so that it is found: the user's own line first, then step, partition, element."""

from __future__ import annotations

import linecache
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import Any, NamedTuple

from esker.engine.bag.call_site import is_ours, short_path
from esker.engine.bag.steps import FILENAME, Step, find_place
from esker.engine.calling import CallFailure
from esker.engine.user_function import function_name
from esker.errors import UserFunctionError, WorkerLostError
from esker.runtime.pickled import dump, load

_FRAMES_MAX = 6
_TEXT_MAX = 500
_ELEMENT_MAX = 120


class Frame(NamedTuple):
    """One line of a traceback; its text is looked up where the source is, which may be another process."""

    filename: str
    line: int
    name: str


@dataclass
class UserFailure(Exception):
    """An exception of the user's function, on its way from the task to the caller."""

    text: str
    frames: list[Frame]
    operator: str
    #: What the function was called for: `element 7`, `key 'a'`; or nothing.
    subject: str
    original: BaseException | None = field(default=None)

    def __reduce__(self) -> tuple[Any, ...]:
        original = self.original
        if original is not None:
            original.__traceback__ = None
            try:
                load(*dump(original))
            except Exception:  # noqa: BLE001  # then it is told in words only
                original = None
        return UserFailure, (self.text, self.frames, self.operator, self.subject, original)


def user_failure(error: BaseException, consumer: str) -> UserFailure:
    """Say of an exception in a task which step it came from, and with which element or key."""
    operator, subject = consumer, ""
    if isinstance(error, CallFailure) and error.__cause__ is not None:
        operator, subject = error.step, f"key {shorten(error.key[0])}" if error.key else ""
        error = error.__cause__
    cause = error
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        # Python makes this of a StopIteration in a generator, which would else have ended the partition silently.
        cause = error.__cause__
    frames: list[Frame] = []
    for code, line, values in _walk(cause.__traceback__):
        place = find_place(code, line, values)
        if place is not None:
            operator = describe_step(place.step)
            subject = f"element {shorten(place.element[0])}" if place.element else ""
            frames.clear()
        elif code.co_filename != FILENAME and not is_ours(code.co_filename):
            frames.append(Frame(code.co_filename, line, code.co_name))
    text = "".join(traceback.format_exception_only(cause)).strip()
    return UserFailure(text[:_TEXT_MAX], frames, operator, subject, cause)


def _walk(trace: TracebackType | None) -> Any:
    while trace is not None:
        yield trace.tb_frame.f_code, trace.tb_lineno, trace.tb_frame.f_locals
        trace = trace.tb_next


def describe_step(step: Step) -> str:
    """Name a step, its function and its line."""
    inner = getattr(step.function, "user_function", step.function)
    name = f"({function_name(inner)})" if callable(inner) else f"({inner!r})" if inner is not None else "()"
    return f"{step.operator}{name}" + (f" at {step.site}" if step.site else "")


def shorten(element: Any) -> str:
    """Show an element in one short line."""
    try:
        text = repr(element)
    except Exception as error:  # noqa: BLE001 - the element's own fault, and not what is being told
        text = f"<{type(element).__name__} whose repr fails: {type(error).__name__}>"
    text = text.replace("\n", " ")
    return text if len(text) <= _ELEMENT_MAX else f"{text[: _ELEMENT_MAX - 1]}…"


def user_error(failure: UserFailure, where: str) -> UserFunctionError:
    """The error to raise where the action was called."""
    lines = [failure.text.splitlines()[0] if failure.text else "an exception"]
    lines += [f"  {told}" for told in _told(failure.frames[::-1])]
    subject = f", {failure.subject}" if failure.subject else ""
    lines.append(f"  in {failure.operator}, {where}{subject}")
    return UserFunctionError("\n".join(lines))


def lost_error(error: WorkerLostError, names: Sequence[str], where: str, attempts: int) -> WorkerLostError:
    """The error to raise when a partition ended its worker each time it was tried; `names` are those of its steps.

    What one can change stands first: the input, and the user's line where the process still told it.
    """
    subject = f"element {error.mark[1]}, number {error.mark[0]:,} of {where}" if error.mark else where
    frames, reason = _crash(error.stack)
    steps = ", ".join(names[-5:])
    own, *callers = _told(frames) or [steps]
    lines = [f"{subject}: a worker process was lost in {own}", *[f"  {told}" for told in callers]]
    if frames:
        lines.append(f"  in {steps}")
    lines.append(f"  {error.message}, {attempts} times" if attempts > 1 else f"  {error.message}")
    lines += [f"  {line}" for line in reason]
    lines.append("  if the function is right: give it less memory to hold, or more with_options(retries=)")
    return WorkerLostError("\n".join(lines), exit_status=error.exit_status, mark=error.mark, stack=error.stack)


def partition_name(partition: int, partition_count: int, source: str) -> str:
    """Name a partition, and what it is read from."""
    return f"partition {partition} of {partition_count}" + (f" ({source})" if source else "")


def _told(frames: list[Frame]) -> list[str]:
    """Lines of a stack, given from the innermost out: the user's own first, then their callers, then libraries'."""
    own = next((n for n, frame in enumerate(frames) if not _is_library(frame.filename)), 0)
    lines = []
    for number, frame in enumerate([*frames[own:], *frames[:own][::-1]][:_FRAMES_MAX]):
        text = linecache.getline(frame.filename, frame.line).strip()
        place = f"{short_path(frame.filename)}:{frame.line} in {frame.name}"
        before = "" if number == 0 else "called from " if number < len(frames) - own else "in a library: "
        lines.append(f"{before}{place}" + (f": {text}" if text else ""))
    return lines


_CRASH_FRAME = re.compile(r'\s*File "(.*)", line (\d+) in (.*)')


def _crash(stack: str) -> tuple[list[Frame], list[str]]:
    """Of what Python prints when it dies of a signal: the frames that are not ours, innermost first, and the reason."""
    lines = stack.split("\0")[0].splitlines()
    found = [match for match in map(_CRASH_FRAME.fullmatch, lines) if match is not None]
    frames = [Frame(match[1], int(match[2]), match[3]) for match in found]
    # The outermost is the command line of the server that forked the worker.
    foreign = [frame for frame in frames[:-1] if frame.filename != FILENAME and not is_ours(frame.filename)]
    return foreign, [line for line in lines if line.startswith("Fatal Python error")]


@cache
def _libraries() -> tuple[str, ...]:
    import sysconfig  # takes longer to load than the rest of what a Bag without failures needs of this file

    return tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def _is_library(filename: str) -> bool:
    return filename.startswith((*_libraries(), "<frozen"))
