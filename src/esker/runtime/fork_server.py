"""A clean process that forks the workers: without threads, so that forking is safe, and warm, so that it is quick.

It is started by its own command line, talks over one socket, reaps what it forked, and ends, with all its workers,
when the other end of that socket is closed: by the driver's exit, or by its death.
"""

from __future__ import annotations

import array
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress

from esker.runtime import server_process
from esker.runtime.worker import serve

# One message a packet: what, which worker, and the exit status where it is told; but PRELOAD has names of modules.
MESSAGE = struct.Struct("<BQi")
SPAWN, KILL, EXITED = b"SKE"
PRELOAD = b"P"
_MESSAGE_BYTES_MAX = 4096
_PR_SET_PDEATHSIG = 1


def main(control_fd: int, modules: Sequence[str]) -> None:
    """Serve until the control socket is closed; `modules` are imported once, for all workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server_process.forbid_early()
    control = socket.socket(fileno=control_fd)
    wake_read, wake_write = os.pipe()
    for fd in (wake_read, wake_write):
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    _preload(modules)
    server = _Server(control, (wake_read, wake_write))
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wake_read, select.POLLIN)
    while server.step(poll.poll()):
        pass
    server.kill_all()


def _preload(modules: Sequence[str]) -> None:
    for name in modules:
        # Found by the driver, perhaps, where we do not look: then each worker imports it when it needs it.
        with suppress(ImportError):
            importlib.import_module(name)
    # What was made so far is never looked at again by the collectors of the workers, which would copy its pages.
    gc.collect()
    gc.freeze()


class _Server:
    def __init__(self, control: socket.socket, wake: tuple[int, int]) -> None:
        self._control = control
        self._wake = wake
        self._pids: dict[int, int] = {}

    def step(self, events: list[tuple[int, int]]) -> bool:
        for fd, _ in events:
            if fd == self._wake[0]:
                with suppress(BlockingIOError):
                    os.read(fd, 4096)
                self._reap()
            elif not self._hear():
                return False
        return True

    def _hear(self) -> bool:
        try:
            data, ancillary, _, _ = self._control.recvmsg(_MESSAGE_BYTES_MAX, socket.CMSG_SPACE(2 * 4))
        except ConnectionResetError:  # the driver ended before it had read what we told it
            return False
        if data[:1] == PRELOAD:
            _preload(data[1:].decode().split(","))
            return True
        if len(data) < MESSAGE.size:
            return False
        what, worker, _ = MESSAGE.unpack(data)
        if what == SPAWN:
            fds = array.array("i")
            for _, _, content in ancillary:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
            self._spawn(worker, fds[0], fds[1])
        elif worker in self._pids:
            # Not reaped yet, so that its number is still its own.
            os.killpg(self._pids[worker], signal.SIGKILL)
        return True

    def _spawn(self, worker: int, connection_fd: int, mark_fd: int) -> None:
        pid = os.fork()
        if pid:
            # A worker leads a group, so that what it started is ended with it. It says so itself, too: who is first?
            with suppress(OSError):
                os.setpgid(pid, pid)
            os.close(connection_fd)
            os.close(mark_fd)
            self._pids[worker] = pid
            return
        status = 1
        try:
            self._become_worker()
            serve(connection_fd, mark_fd)
            status = 0
        finally:
            os._exit(status)

    def _become_worker(self) -> None:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for fd in self._wake:
            os.close(fd)
        # Should this server be killed, nobody else could end its workers.
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def _reap(self) -> None:
        while self._pids:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for worker, known in list(self._pids.items()):
                if known == pid:
                    del self._pids[worker]
                    with suppress(OSError):
                        self._control.send(MESSAGE.pack(EXITED, worker, os.waitstatus_to_exitcode(status)))

    def kill_all(self) -> None:
        """End all workers, and wait for them."""
        for pid in self._pids.values():
            os.killpg(pid, signal.SIGKILL)
        for pid in self._pids.values():
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
