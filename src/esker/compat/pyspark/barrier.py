"""Barriers among the tasks of a stage: the driver waits for all, then answers all.

Each task holds a connection to the driver over a Unix socket in a private folder, and says lines of JSON: that it
stands at a barrier, with what message, or that it is done. The driver answers when the last has come. A connection
that ends without that word is a task that failed: whoever waits is told so, and why.
"""

from __future__ import annotations

import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esker.compat.pyspark.errors import PySparkRuntimeError
from esker.engine.bag.task_state import current_task

ADDRESS = "esker.barrier"
_LINE_BYTES_MAX = 16 << 20
_POLL_SECONDS = 0.05

_CURRENT = threading.local()


class BarrierTaskInfo:
    """Where a task of a barrier stage runs."""

    def __init__(self, address: str) -> None:
        self.address = address


class Rendezvous:
    """One task's side: meets the others, again and again."""

    def __init__(self, address: str, stage: str, partition: int, task_count: int) -> None:
        self.task_count = task_count
        self._where = {"stage": stage, "partition": partition}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address)
        self._stream = self._connection.makefile("rwb")
        self._say(begins=True)

    def meet(self, message: str) -> list[str]:
        """Wait for all tasks; give their messages in the order of partitions."""
        self._say(message=message)
        answer = json.loads(self._stream.readline() or '{"failed": "the job has ended"}')
        if "failed" in answer:
            raise PySparkRuntimeError(f"the barrier will not be met: {answer['failed']}", "BARRIER_STAGE_FAILED")
        messages: list[str] = answer["messages"]
        return messages

    def end(self, failure: str = "") -> None:
        """Say that the task is done, or that it failed and how."""
        with suppress(OSError):
            self._say(**({"failed": failure} if failure else {"done": True}))

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._stream.close()
        self._connection.close()

    def _say(self, **words: Any) -> None:
        self._stream.write(json.dumps({**self._where, **words}).encode() + b"\n")
        self._stream.flush()


def current_rendezvous() -> Rendezvous | None:
    """Give the running task's rendezvous; None outside of a barrier stage."""
    found: Rendezvous | None = getattr(_CURRENT, "rendezvous", None)
    return found


@dataclass(frozen=True)
class InBarrier:
    """A partition function that may meet those of the other partitions."""

    user_function: Callable[[int, Iterable[Any]], Iterable[Any]]
    stage: str
    task_count: int

    def __call__(self, index: int, elements: Iterable[Any]) -> Iterator[Any]:
        task = current_task()
        assert task is not None
        if task.attempt:
            raise PySparkRuntimeError(
                f"the worker of partition {index} was lost within a barrier stage; the others have met without it, "
                "so it cannot be tried again alone: run the job again",
                "BARRIER_TASK_LOST",
            )
        with closing(Rendezvous(task.properties[ADDRESS], self.stage, index, self.task_count)) as rendezvous:
            _CURRENT.rendezvous = rendezvous
            try:
                yield from self.user_function(index, elements)
            except BaseException as error:
                rendezvous.end(f"partition {index} failed with {type(error).__name__}: {error}")
                raise
            finally:
                _CURRENT.rendezvous = None
            rendezvous.end()


class BarrierServer:
    """The driver's side of a job: knows how many tasks each stage has."""

    def __init__(self, folder: Path, task_counts: dict[str, int]) -> None:
        self.address = str(folder / f"barrier-{secrets.token_hex(4)}")
        self._counts = task_counts
        self._changed = threading.Condition()
        # For each stage and round, the messages of those who have come.
        self._met: dict[tuple[str, int], dict[int, str]] = {}
        self._failure = ""
        self._server = _Server(self.address, self._serve)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    def __enter__(self) -> BarrierServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._fail("the job has ended")
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with suppress(OSError):
            Path(self.address).unlink()

    def _serve(self, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """Hear one task out, and answer it."""
        words: dict[str, Any] = {}
        round = 0
        for line in lines:
            words = json.loads(line)
            if "message" in words:
                round += 1
                yield self._meet(str(words["stage"]), round, int(words["partition"]), str(words["message"]))
        if "done" not in words:
            self._fail(words.get("failed") or f"the worker of partition {words.get('partition')} was lost")

    def _meet(self, stage: str, round: int, partition: int, message: str) -> dict[str, Any]:
        with self._changed:
            messages = self._met.setdefault((stage, round), {})
            messages[partition] = message
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._failure or len(messages) == self._counts[stage])
            if len(messages) < self._counts[stage]:
                return {"failed": self._failure}
            return {"messages": [messages[number] for number in sorted(messages)]}

    def _fail(self, reason: str) -> None:
        with self._changed:
            self._failure = self._failure or reason
            self._changed.notify_all()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str, serve: Callable[[Iterable[bytes]], Iterable[dict[str, Any]]]) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                lines = iter(lambda: self.rfile.readline(_LINE_BYTES_MAX), b"")
                for answer in serve(lines):
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

            def finish(self) -> None:
                # A task that is gone needs no answer.
                with suppress(OSError):
                    super().finish()

        super().__init__(address, Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a task that is gone in the middle of a word has been told of elsewhere."""
