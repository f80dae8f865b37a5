"""A worker process: takes tasks from a socket, one at a time, and sends back what they make."""

from __future__ import annotations

import faulthandler
import io
import mmap
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from esker.runtime import frames
from esker.runtime.attempt import MARK_BYTES, Attempt, attempting
from esker.runtime.pickled import Bytes, dump, load, load_task

# Attempt, window (0: a task with one result).
TASK_HEAD = struct.Struct("<IQ")
# Of the driver: its sys.path, its folder, its environment.
Setting = tuple[list[str], str, dict[str, str]]
CREDIT = struct.Struct("<Q")
# Where faulthandler writes, behind the mark: both outlive the process.
CRASH_BYTES = 8192


def serve(connection_fd: int, mark_fd: int) -> None:
    """Work until the connection is closed."""
    connection = socket.socket(fileno=connection_fd)
    mark = memoryview(mmap.mmap(mark_fd, MARK_BYTES))
    # Past the mark: the handler appends, and the mark is written in place.
    os.lseek(mark_fd, MARK_BYTES, os.SEEK_SET)
    faulthandler.enable(mark_fd, all_threads=False)
    _Worker(connection, mark).run()


class _Worker:
    def __init__(self, connection: socket.socket, mark: memoryview) -> None:
        self._connection = connection
        self._mark = mark
        self._blobs: dict[bytes, bytes] = {}
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._credit = 0
        self._stopped = False

    def run(self) -> None:
        while (frame := frames.receive(self._connection)) is not None:
            if frame.kind == frames.TASK:
                self._task(frame)
            # Credit or a stop that came too late for the task it was meant for is dropped.

    def _task(self, frame: frames.Frame) -> None:
        number, window = TASK_HEAD.unpack_from(frame.data)
        attempt = Attempt(number, self._mark)
        attempt.clear()
        self._credit, self._stopped = window, False
        try:
            with attempting(attempt):
                task = self._load(frame)
                result = task()
                del task
                if window:
                    self._stream(iter(result))
                    result = None
            data, buffers = dump(result)
            kind = frames.STOPPED if self._stopped else frames.DONE
        except BaseException as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
            kind, buffers = frames.FAILED, []
            data = dump_error(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the outcome is told, whatever the user made of the stream
                stream.flush()
        frames.send(self._connection, kind, data, buffers)

    def _load(self, frame: frames.Frame) -> Any:
        setting, known, blobs, forget = load(frame.buffers[0])
        if setting is not None:
            _settle(*setting)
        for digest in forget:
            self._blobs.pop(digest, None)
        self._blobs.update(zip(known, blobs, strict=True))
        return load_task(frame.data[TASK_HEAD.size :], frame.buffers[1:], self._blobs)

    def _stream(self, items: Iterator[Any]) -> None:
        try:
            for item in items:
                self._hear()
                if self._stopped:
                    return
                self._credit -= 1
                data, buffers = dump(item)
                del item
                frames.send(self._connection, frames.ITEM, data, buffers)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _hear(self) -> None:
        """Take what the driver says; wait for it when it must be asked for more."""
        while not self._stopped and (self._credit <= 0 or self._poll.poll(0)):
            frame = frames.receive(self._connection)
            if frame is None:
                os._exit(0)
            if frame.kind == frames.STOP:
                self._stopped = True
            elif frame.kind == frames.CREDIT:
                self._credit += CREDIT.unpack(frame.data)[0]


def _settle(path: list[str], folder: str, environment: dict[str, str]) -> None:
    """Import from where the driver imports from, be where it is, and have its environment."""
    sys.path[:] = path
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if os.environ.get(name) != value})
    with suppress(OSError):
        os.chdir(folder)


def dump_error(error: BaseException) -> bytes:
    """Pickle a task's error, or, where it cannot be, its words."""
    error.__traceback__ = None  # it cannot be sent; whoever wants lines of it has taken them
    text = f"{type(error).__name__}: {error}"
    try:
        cause = error.__cause__
        if cause is not None:
            cause.__traceback__ = None
        data, buffers = dump((error, cause))
        load(data, buffers)
        assert not buffers or all(isinstance(buffer, memoryview) for buffer in buffers)
        whole = io.BytesIO()
        whole.write(dump((bytes(data), [bytes(buffer) for buffer in buffers], text))[0])
        return whole.getvalue()
    except Exception:  # noqa: BLE001  # an error that cannot be pickled is told in words
        return bytes(dump((None, [], text))[0])


def load_error(data: Bytes) -> BaseException:
    """Read what `dump_error` made."""
    pickled, buffers, text = load(data)
    if pickled is not None:
        with suppress(Exception):  # an error that cannot be read here is told in words
            error, cause = load(pickled, buffers)
            if isinstance(error, BaseException):
                error.__cause__ = cause
                return error
    return RuntimeError(text)
