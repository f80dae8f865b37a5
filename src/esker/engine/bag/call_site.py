"""Where in the user's code a step was added: what an error names beside the step."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_OURS = str(Path(__file__).resolve().parents[2]) + os.sep


def is_ours(filename: str) -> bool:
    """Whether a source file belongs to Esker."""
    return filename.startswith(_OURS)


def call_site() -> str:
    """Name the line outside Esker that called us, as `file:line`.

    >>> call_site().startswith("<doctest")
    True
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{short_path(frame.f_code.co_filename)}:{frame.f_lineno}"


def short_path(path: str) -> str:
    """A path below the working folder as seen from there; any other as it is."""
    try:
        folder = os.getcwd() + os.sep  # noqa: PTH109 - only compared as text
    except OSError:
        return path
    return path.removeprefix(folder)
