"""The worker processes of this process: forked by a clean server, kept warm, lent to whoever runs tasks."""

from __future__ import annotations

import atexit
import mmap
import os
import select
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from esker.core.clock import SYSTEM_CLOCK
from esker.errors import EskerError, ResourceError, UnpicklableFunctionError
from esker.runtime import frames, server_process
from esker.runtime.attempt import MARK_BYTES, read_mark
from esker.runtime.fork_server import EXITED, KILL, MESSAGE, PRELOAD, SPAWN
from esker.runtime.pickled import Shared, dump, dump_task
from esker.runtime.worker import CRASH_BYTES, CREDIT, TASK_HEAD, Setting

# Functions that a worker keeps, in bytes; what was not used for longest is forgotten.
_SHARED_BYTES_MAX = 64 << 20
_IDLE_WORKERS_MAX = 64
# How long a worker that was told to stop may finish what it is at before it is ended.
_STOP_SECONDS = 0.2
# How long the server may take to tell how a worker ended whose connection is closed: it does when it comes to it.
_EXIT_SECONDS = 10.0


def current_setting() -> Setting:
    """Where this process imports from, where it is, and its environment: workers take on those of their driver."""
    try:
        folder = os.getcwd()  # noqa: PTH109 - a word for another process
    except OSError:
        folder = "/"
    return [*sys.path], folder, dict(os.environ)


class Worker:
    """The driver's end of one worker process. One thread at a time."""

    def __init__(self, number: int, connection: socket.socket, mark: mmap.mmap, mark_fd: int) -> None:
        self.number = number
        self.connection = connection
        #: False while a frame is under way: one that was torn, by Ctrl-C, leaves a worker that nobody can speak to.
        self.whole = True
        self._mark = mark
        self._mark_fd = mark_fd
        self._known: OrderedDict[bytes, int] = OrderedDict()
        self._setting: Setting | None = None

    def fileno(self) -> int:
        """What to wait on until the worker says something."""
        return self.connection.fileno()

    def start(self, task: Any, attempt: int, window: int, setting: Setting) -> None:
        """Hand over a task; with a `window` it sends items, that many before it waits for more credit."""
        try:
            data, buffers, shared = dump_task(task)
        except EskerError:
            raise
        except Exception as error:
            raise UnpicklableFunctionError(f"a task cannot go to a worker process: {error}") from error
        preface, _ = dump((self._new_setting(setting), *self._new_blobs(shared)))
        head = TASK_HEAD.pack(attempt, window)
        self.whole = False
        frames.send(self.connection, frames.TASK, head + bytes(data), [preface, *buffers])
        self.whole = True

    def credit(self, items: int) -> None:
        """Let it send so many more."""
        with suppress(OSError):  # a worker that died says so when it is read
            frames.send(self.connection, frames.CREDIT, CREDIT.pack(items))

    def stop(self) -> None:
        """Ask it to end its task; what it then still sends is for nobody."""
        with suppress(OSError):
            frames.send(self.connection, frames.STOP)

    def receive(self) -> frames.Frame | None:
        """Wait for one frame; None when the process is gone."""
        self.whole = False
        frame = frames.receive(self.connection)
        self.whole = True
        return frame

    def last_words(self) -> tuple[tuple[int, str] | None, str]:
        """What a process that is gone left: the element it was at, and the stack of a fatal signal."""
        with suppress(OSError):
            stack = os.pread(self._mark_fd, CRASH_BYTES, MARK_BYTES).decode("utf-8", "replace")
            return read_mark(memoryview(self._mark)), stack
        return None, ""

    def close(self) -> None:
        """Close this end, upon which an idle worker ends."""
        self.connection.close()
        with suppress(BufferError):
            self._mark.close()
        if self._mark_fd >= 0:
            os.close(self._mark_fd)
            self._mark_fd = -1

    def _new_setting(self, setting: Setting) -> Setting | None:
        if setting == self._setting:
            return None
        self._setting = setting
        return setting

    def _new_blobs(self, shared: dict[bytes, Shared]) -> tuple[list[bytes], list[bytes], list[bytes]]:
        digests, blobs, forget = [], [], []
        for digest, value in shared.items():
            if digest not in self._known:
                digests.append(digest)
                blobs.append(value.blob)
                self._known[digest] = len(value.blob)
            self._known.move_to_end(digest)
        while sum(self._known.values()) > _SHARED_BYTES_MAX and len(self._known) > len(shared):
            forget.append(self._known.popitem(last=False)[0])
        return digests, blobs, forget


class WorkerPool:
    """The server, and the workers that nobody uses right now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._numbers = count(1)
        self._exits: dict[int, int] = {}
        self._pid = os.getpid()
        try:
            self._process, self._control = self._started = server_process.take()
        except OSError as error:
            raise ResourceError(
                f"cannot start worker processes: {error.strerror}; use runtime='threads' or 'inline'"
            ) from error
        self._preloaded: set[str] = set()

    def borrow(self) -> Worker:
        """Take an idle worker, or fork one; nobody else uses it until it is given back."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._spawn()

    def give_back(self, worker: Worker) -> None:
        """Return a worker that is idle."""
        with self._lock:
            if len(self._idle) < _IDLE_WORKERS_MAX:
                self._idle.append(worker)
                return
        worker.close()

    def give_back_stopped(self, workers: Sequence[Worker]) -> None:
        """Return workers that were told to stop: they have a moment to do so, and are ended when it is over."""
        until = SYSTEM_CLOCK.seconds() + _STOP_SECONDS
        for worker in workers:
            if self._drain(worker, until):
                self.give_back(worker)
            else:
                self.end(worker)

    def end(self, worker: Worker) -> None:
        """Kill a worker, at once."""
        with suppress(OSError):
            self._control.send(MESSAGE.pack(KILL, worker.number, 0))
        worker.close()

    def exit_status(self, worker: Worker) -> int | None:
        """How a worker that is gone ended: its exit status, or the negative number of a signal."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        until = SYSTEM_CLOCK.seconds() + _EXIT_SECONDS
        while worker.number not in self._exits:
            left = until - SYSTEM_CLOCK.seconds()
            with self._lock:
                if left <= 0 or (worker.number not in self._exits and not poll.poll(max(1, int(left * 1000)))):
                    return None
                if worker.number in self._exits:
                    break
                if not self._hear_exit():
                    return None
        return self._exits.pop(worker.number)

    def alive(self) -> bool:
        """Whether this pool may be used: by the process that made it, while its server runs."""
        return self._pid == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """End all processes of the pool; calling it again does nothing."""
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()
        self._started.close()

    def forget(self) -> None:
        """In a process that was forked from the driver: close what belongs to the driver, and touch nothing."""
        self._started.forget()
        for worker in self._idle:
            worker.close()

    def _drain(self, worker: Worker, until: float) -> bool:
        """Read what a stopped worker still sends; say whether it became idle before `until`."""
        if not worker.whole:
            return False
        poll = select.poll()
        poll.register(worker, select.POLLIN)
        while poll.poll(max(0, int(1000 * (until - SYSTEM_CLOCK.seconds())))):
            frame = worker.receive()
            if frame is None:
                return False
            if frame.kind in (frames.DONE, frames.FAILED, frames.STOPPED):
                return True
        return False

    def _spawn(self) -> Worker:
        ours, theirs = socket.socketpair()
        mark_fd = os.memfd_create("esker-mark", os.MFD_CLOEXEC)
        os.ftruncate(mark_fd, MARK_BYTES)
        worker = Worker(next(self._numbers), ours, mmap.mmap(mark_fd, MARK_BYTES), mark_fd)
        with theirs:
            try:
                self._preload()
                # Tasks may be sent at once: they wait in the socket until the worker is there.
                socket.send_fds(self._control, [MESSAGE.pack(SPAWN, worker.number, 0)], [theirs.fileno(), mark_fd])
            except OSError as error:
                worker.close()
                raise ResourceError(f"the server that starts worker processes is gone: {error.strerror}") from error
        return worker

    def _preload(self) -> None:
        """Let the server import what this process has come to need, for all workers to come."""
        modules = [name for name in _HEAVY_MODULES if name in sys.modules and name not in self._preloaded]
        if modules:
            self._preloaded.update(modules)
            self._control.send(PRELOAD + ",".join(modules).encode())

    def _hear_exit(self) -> bool:
        data = self._control.recv(MESSAGE.size)
        if len(data) < MESSAGE.size:
            return False
        what, number, status = MESSAGE.unpack(data)
        if what == EXITED:
            self._exits[number] = status
        return True


# What this process has loaded already, its workers are likely to need.
_HEAVY_MODULES = ("numpy", "pyarrow", "esker.engine.bag.wide")

_POOL_LOCK = threading.Lock()
_POOL: WorkerPool | None = None


def shared_pool() -> WorkerPool:
    """The pool of this process, started when first asked for."""
    global _POOL
    with _POOL_LOCK:
        if _POOL is None or not _POOL.alive():
            if _POOL is not None and _POOL._pid == os.getpid():
                _POOL.close()
            _POOL = WorkerPool()
        return _POOL


def close_pools() -> None:
    """End all worker processes of this process; the next task starts new ones."""
    global _POOL
    with _POOL_LOCK:
        if _POOL is not None and _POOL._pid == os.getpid():
            _POOL.close()
        _POOL = None


def _after_fork() -> None:
    global _POOL, _POOL_LOCK
    _POOL_LOCK = threading.Lock()
    if _POOL is not None:
        _POOL.forget()
    _POOL = None


atexit.register(close_pools)
os.register_at_fork(after_in_child=_after_fork)
