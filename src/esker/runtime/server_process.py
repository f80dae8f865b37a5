"""The process that forks the workers, as the driver starts it: early, while the driver still loads what it needs.

Little is imported here, so that the server loads its modules at the same time as the driver: the first result is there
sooner by what the shorter of the two takes.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
from typing import NamedTuple

# What the server imports before it forks: the tasks of collections.
PRELOAD = ("esker.engine.bag.task",)
_CODE = "import sys; sys.path[:] = {path!r}; from esker.runtime.fork_server import main; main({fd}, {modules!r})"
_EXIT_SECONDS = 2


class ServerProcess(NamedTuple):
    """The process, and our end of the socket it listens to; it ends when that is closed."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def close(self) -> None:
        """End it, with all it forked; calling this again does nothing."""
        self.control.close()
        try:
            self.process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def forget(self) -> None:
        """In a process that was forked from the driver: close what is the driver's, and touch nothing."""
        self.process.returncode = 0  # not ours to wait for
        self.control.close()


def start() -> ServerProcess:
    """Start a server; OSError where no process can be."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        code = _CODE.format(path=[*sys.path], fd=theirs.fileno(), modules=PRELOAD)
        try:
            process = subprocess.Popen(
                [sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        except OSError:
            ours.close()
            raise
    return ServerProcess(process, ours)


_lock = threading.Lock()
_early: ServerProcess | None = None
_allowed = True


def start_early() -> None:
    """Start a server for the pool to take, once in a process; where none can be started the pool will say so."""
    global _early, _allowed
    with _lock:
        if _allowed:
            _allowed = False
            try:
                _early = start()
            except OSError:
                _early = None


def forbid_early() -> None:
    """Start none in this process: it is a worker, or forks them."""
    global _allowed
    _allowed = False


def take() -> ServerProcess:
    """Take the server that was started early, or start one; it is the caller's to close."""
    global _early, _allowed
    with _lock:
        taken, _early, _allowed = _early, None, False
    if taken is not None:
        if taken.process.poll() is None:
            return taken
        taken.close()
    return start()


def _close_early() -> None:
    global _early
    if _early is not None:
        _early.close()
        _early = None


def _after_fork() -> None:
    global _early, _lock
    _lock = threading.Lock()
    if _early is not None:
        _early.forget()
    _early = None


atexit.register(_close_early)
os.register_at_fork(after_in_child=_after_fork)
