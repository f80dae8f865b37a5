"""How a command ends: one line on stderr and an exit code.

`EXIT_CODES` has all of them; docs/cli.md says the same.
"""

from __future__ import annotations

import os
import sys
import traceback

from esker.errors import CancelledError, EskerError, InputError, OutputExistsError

DONE, FAILED, USAGE, READER_GONE, INTERRUPTED, TERMINATED = 0, 1, 2, 141, 130, 143
# `esker run` ends as its script does; a signal ends with 128 and its number, as shells write it.
EXIT_CODES = {
    DONE: "done",
    FAILED: "the data or a resource failed",
    USAGE: "a wrong call",
    INTERRUPTED: "Ctrl-C",
    READER_GONE: "the reader of stdout left",
    TERMINATED: "SIGTERM",
}


def exit_code_of(error: BaseException) -> int:
    """The exit code that `error` ends a command with.

    >>> exit_code_of(InputError("no such column")), exit_code_of(EskerError("damaged")), exit_code_of(ValueError())
    (2, 1, 1)
    """
    if isinstance(error, BrokenPipeError):
        return READER_GONE
    if isinstance(error, KeyboardInterrupt | CancelledError):
        return INTERRUPTED
    if isinstance(error, InputError | OutputExistsError):
        return USAGE
    # A usage error is click's, or typer's own copy of it, depending on typer's version.
    return int(getattr(error, "exit_code", FAILED)) if is_usage_error(error) else FAILED


def report_error(error: BaseException, debug: bool) -> int:
    """Say in one line what went wrong, with a traceback only for `debug`; returns the exit code."""
    code = exit_code_of(error)
    if code == READER_GONE:
        _drop_stdout()
        return code
    if debug and not is_usage_error(error):
        traceback.print_exception(error)
    if message := message_of(error):
        print(message, file=sys.stderr)
    return code


def message_of(error: BaseException) -> str:
    """What is printed for `error`.

    >>> message_of(KeyError("shard"))
    "error: internal error: KeyError: 'shard' (--debug shows where; please report it)"
    """
    if isinstance(error, KeyboardInterrupt):
        return "stopped: Ctrl-C"
    if isinstance(error, CancelledError):
        return str(error)
    if is_usage_error(error):
        return _usage_message(error)
    if isinstance(error, EskerError):
        return f"error: {error}"
    if isinstance(error, MemoryError):
        return "error: the machine has no memory left; give --memory a smaller budget, so that rows are spilled"
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"error: {where}{error.strerror or error}"
    return f"error: internal error: {type(error).__name__}: {error} (--debug shows where; please report it)"


def is_usage_error(error: BaseException) -> bool:
    """True for what the option parser raises."""
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def _usage_message(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see: {context.command_path} --help)" if context is not None else ""
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""  # The help was printed.
    message = str(error.format_message()).rstrip(".")  # type: ignore[attr-defined]  # is_usage_error saw it
    return f"error: {message[:1].lower()}{message[1:]}{hint}"


def _drop_stdout() -> None:
    # What is buffered would be flushed at exit, and fail again.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
