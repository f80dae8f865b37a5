"""What becomes of a step when the user's function fails on an element: resume, restart or stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from esker.engine.user_function import failure
from esker.errors import EskerError, OptionError

T = TypeVar("T")

SHOWN_CHARACTERS = 80


class Decision(Enum):
    """Leave the element out and go on; the same, and forget what the step has gathered; or fail."""

    RESUME = "resume"
    RESTART = "restart"
    STOP = "stop"


Decide = Callable[[Exception], "Decision | str"]


def shown(element: object) -> str:
    """Show an element in an error.

    >>> shown("x" * 100)[:12], len(shown("x" * 100))
    ("element 'xxx", 88)
    """
    text = repr(element)
    return f"element {text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + '…'}"


def called(function: Callable[..., T], operator: str, where: str, *arguments: Any) -> T:
    """Call a function of the user's beside the elements' way: what it raises always fails the stream.

    >>> called(len, "buffer", "element 'ab'", "ab")
    2
    """
    try:
        return function(*arguments)
    except EskerError:
        raise
    except Exception as error:
        raise failure(error, function, operator, where) from error


@dataclass(frozen=True)
class Supervisor:
    """Decides on failures; `on_failure` is told of each that does not stop the stream, with its element."""

    decision: Decision | Decide
    on_failure: Callable[[Exception, Any], object] | None = None

    def decide(self, error: Exception, function: Callable[..., Any], operator: str, element: object) -> Decision:
        """Give the decision, or raise the failure when it is to stop; errors of Esker's own stop as they are."""
        chosen = self.decision
        if not isinstance(chosen, Decision):
            chosen = decision(called(chosen, "supervise", shown(element), error))
        if chosen is Decision.STOP:
            if isinstance(error, EskerError):
                raise error
            raise failure(error, function, operator, shown(element)) from error
        if self.on_failure is not None:
            called(self.on_failure, "supervise", shown(element), error, element)
        return chosen


STOPPING = Supervisor(Decision.STOP)


def decision(name: Decision | str) -> Decision:
    """Read a decision.

    >>> decision("resume") is Decision.RESUME
    True
    """
    try:
        return Decision(name)
    except ValueError:
        known = ", ".join(repr(one.value) for one in Decision)
        raise OptionError(f"no decision {name!r}; there is: {known}") from None
