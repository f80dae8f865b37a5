"""Run a command in this process: exit code, stdout, stderr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from esker.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def runner(capfd: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `esker` with its arguments."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


def one_line(text: str) -> bool:
    """True for a message without a traceback."""
    return len(text.strip().splitlines()) == 1 and "Traceback" not in text


def words(line: str) -> Sequence[str]:
    """The words of a command line of the docs."""
    import shlex

    return shlex.split(line)
