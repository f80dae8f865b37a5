"""`esker run`: a script of the user's, whose queries take memory, log and progress from the command line."""

from __future__ import annotations

import runpy
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any

import typer

from esker.cli.options import command
from esker.cli.outcome import FAILED, message_of
from esker.cli.session import Session
from esker.errors import EskerError, InputFileError, OptionError

Script = Annotated[str, typer.Argument(metavar="SCRIPT.PY", help="A Python program.")]
Words = Annotated[list[str] | None, typer.Argument(metavar="[ARGUMENTS]...", help="What the script finds in sys.argv.")]


@command
def run(session: Session, script: Script, arguments: Words = None) -> int:
    """Run a Python script; options hold for each of its queries that does not say otherwise.

    Options of esker stand before the script, those of the script behind it. With --log FOLDER each query has a log of
    its own there. --dry-run only looks whether the script compiles.

    \b
    esker run --memory 512MiB --log logs/ report.py 2024
    """
    if session.json:
        raise OptionError("esker run has no --json: stdout is the script's; --log keeps its queries as JSON lines")
    path = Path(script)
    source = _read(path)
    try:
        compile(source, str(path), "exec")
    except SyntaxError as error:
        raise InputFileError(f"{path}:{error.lineno}: {error.msg}") from error
    if session.dry_run:
        session.note(f"{path} compiles")
        return 0
    from esker.core.defaults import default_options

    options = dict(session.query)
    if "threads" in options:
        options["workers"] = options["threads"]
    if not session.quiet:
        options["progress"] = _Shown()
    with default_options(**options), _as_program(path, arguments or []):
        return _run(path, debug=session.debug)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileError(f"cannot read the script {path}: {error.strerror}") from error


def _run(path: Path, *, debug: bool) -> int:
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as ended:
        return _exit_code(ended)
    except EskerError as error:
        if debug:
            raise
        # Our errors say what to do by themselves: with the script's line that is enough.
        print(f"{path}:{_line_of(error, path)}: {message_of(error)}", file=sys.stderr)
        return FAILED
    except Exception as error:  # noqa: BLE001  # the script's own; it is shown as Python shows it, without our frames
        own = error if debug else error.with_traceback(_own_frames(error.__traceback__, path))
        traceback.print_exception(own)
        return FAILED
    return 0


def _exit_code(ended: SystemExit) -> int:
    """What Python would end with for `sys.exit(...)`."""
    if ended.code is None or isinstance(ended.code, int):
        return ended.code or 0
    print(ended.code, file=sys.stderr)
    return 1


def _own_frames(trace: TracebackType | None, path: Path) -> TracebackType | None:
    """The traceback from the script's first frame on."""
    while trace is not None and trace.tb_frame.f_code.co_filename != str(path):
        trace = trace.tb_next
    return trace


def _line_of(error: BaseException, path: Path) -> int:
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == str(path)]
    return lines[-1] if lines else 0


@contextmanager
def _as_program(path: Path, arguments: list[str]) -> Iterator[None]:
    """Give the script what `python script.py` would: sys.argv, its folder to import from, its own Ctrl-C."""
    argv, paths = sys.argv, sys.path.copy()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.argv, sys.path[:] = argv, paths


def _terminated(number: int, frame: FrameType | None) -> None:
    # An exception, so that queries free what they hold.
    raise SystemExit(128 + number)


class _Shown:
    """Bars or a line for each query, and what it found when it is done."""

    def __init__(self) -> None:
        from esker.core.bars import Bars, Line

        self._shown = Bars() if sys.stderr.isatty() else Line()
        self._findings: list[str] = []

    def watch(self, event: Mapping[str, Any]) -> None:
        self._shown.watch(event)
        if event["event"] == "query_done" and event["plan"]:
            self._findings += event["plan"].get("findings", [])

    def advance(self, operator: str, done: float, total: float | None, unit: str) -> None:
        self._shown.advance(operator, done, total, unit)

    def close(self) -> None:
        self._shown.close()
        found, self._findings = self._findings, []
        for finding in found:
            print(f"finding: {finding}", file=sys.stderr)
