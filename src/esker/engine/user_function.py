"""Calls to a user's function: the user's line first when it fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from esker.errors import EskerError, UserFunctionError

_OURS = str(Path(__file__).resolve().parent.parent)


def function_name(function: Callable[..., Any]) -> str:
    """What to call a function in plans and errors.

    >>> function_name(len), function_name(lambda x: x)
    ('len', '<lambda>')
    """
    return getattr(function, "__name__", type(function).__name__)


def call(function: Callable[[Any], Any], argument: Any, operator: str, where: Callable[[], str]) -> Any:
    """Call `function(argument)`; any exception becomes a UserFunctionError that shows the user's own line first.

    `where` names the input (a group's key, a batch's number), and is asked only then. StopIteration is an error like
    any other: it must not end our loops. An iterator that comes back is watched in the same way while it is read.
    """
    try:
        result = function(argument)
    except EskerError:
        raise
    except Exception as error:
        raise UserFunctionError(_message(error, function, operator, where())) from error
    if isinstance(result, Iterator) and not hasattr(result, "__arrow_c_stream__"):
        return _watched(result, function, operator, where)
    return result


def failure(error: BaseException, function: Callable[..., Any], operator: str, where: str) -> UserFunctionError:
    """Make the error that tells of the user's function that raised `error`: the user's own line first.

    >>> print(failure(ValueError("no number"), int, "map", "element 'x'"))
    ValueError: no number [ESK-603]
      in int, called by map on element 'x'
    """
    found = UserFunctionError(_message(error, function, operator, where))
    found.__cause__ = error
    return found


def _watched(
    results: Iterator[Any], function: Callable[[Any], Any], operator: str, where: Callable[[], str]
) -> Iterator[Any]:
    try:
        yield from results
    except EskerError:
        raise
    except Exception as error:
        raise UserFunctionError(_message(error, function, operator, where())) from error


def _message(error: BaseException, function: Callable[..., Any], operator: str, where: str) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    what = f"{type(error).__name__}: {error}"
    if not frames:
        return f"{what}\n  in {function_name(function)}, called by {operator} on {where}"
    place = frames[-1]
    lines = [f"{what}", f"  {place.filename}:{place.lineno}: {(place.line or '').strip()}"]
    lines += [f"  called from {frame.filename}:{frame.lineno} in {frame.name}" for frame in reversed(frames[:-1][-4:])]
    return "\n".join([*lines, f"  in {function_name(function)}, called by {operator} on {where}"])
