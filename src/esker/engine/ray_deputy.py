"""The deputy: an actor in a Ray cluster that works for a script outside of it.

Ray's client server carries calls of actors, and no generators; and who reaches it alone reaches no page server. So one
actor starts tasks, holds what they made and reads pages for the script, a few MiB for each question it is asked. It
ends all that when the script says so, or says nothing any more.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import flight

from esker.core.version import VERSION
from esker.engine.page_nodes import remove_pages
from esker.engine.ray_session import RayPages, cpus_of, ray_node, warm
from esker.errors import ResourceError, SessionLostError, SpillError
from esker.runtime import frames
from esker.runtime.executors.ray import RayExecutor
from esker.runtime.flight import FlightAsker, Limits, Security, call_options, open_client, peer_errors
from esker.runtime.ray_client import require_ray
from esker.runtime.ray_relay import RelayExecutor
from esker.runtime.worker import dump_error, load_error

# The script says a word at least as often, and is gone when it has said none so many times in a row. Ray itself ends
# what a client leaves after 30 seconds, but removes no file.
WORD_SECONDS = 2.0
SILENCES_MAX = 10
# Threads that answer: more questions wait.
ANSWERS_AT_ONCE = 32


class Facts(NamedTuple):
    """What a script knows of its deputy, and of the cluster as it is now."""

    version: str
    node: str
    process: int
    cpus: tuple[int, ...]


class KeptName(NamedTuple):
    """The name of a file, and the node that keeps it."""

    node: str
    name: str


class Deputy:
    """Answers the script's questions, several at a time. Runs as a Ray actor."""

    def __init__(self, security: Security, spill_folder: str | None) -> None:
        self._ray = require_ray()
        self._security = security
        self._limits = Limits()
        self._pages = RayPages(self._ray, security, spill_folder, only_here=False)
        self._executors: dict[int, RelayExecutor] = {}
        self._numbers = count(1)
        self._clients: dict[str, FlightAsker] = {}
        self._gives = False
        self._lock = threading.Lock()
        self._heard = threading.Event()
        self._closed = threading.Event()
        self._words: dict[str, Callable[..., Any]] = {
            "facts": self._facts,
            "warm": self._warm,
            "open_executor": self._open_executor,
            "stow": lambda number, part, begin: self._executors[number].stow(part, begin),
            "begin": lambda number, *arguments: self._executors[number].begin(*arguments),
            "ended": lambda number: self._executors[number].ended(),
            "items": lambda number, ticket: self._executors[number].items(ticket),
            "end": lambda number, tickets: self._executors[number].end(tickets),
            "close_executor": self._close_executor,
            "places": lambda: dict(self._pages.places().nodes),
            "lost": self._pages.lost,
            "look_again": self._pages.look_again,
            "remove": self._remove,
            "read": self._read,
            "giver": self._giver,
            "keep": self._keep,
            "close": self._close,
        }
        self._watching = threading.Thread(target=self._watch, name="esker-deputy", daemon=True)
        self._watching.start()

    def answer(self, word: str, arguments: Sequence[Any]) -> tuple[int, Any]:
        """Answer a question; an error is an answer like any other, so that Ray does not wrap it."""
        self._heard.set()
        try:
            if self._closed.is_set() and word != "close":
                raise SessionLostError(
                    "the deputy in the Ray cluster had not heard of the script for so long that it ended its work;"
                    " open a new session"
                )
            return frames.DONE, self._words[word](*arguments)
        except Exception as error:  # noqa: BLE001  # the script is to judge
            return frames.FAILED, dump_error(error)

    def _facts(self) -> Facts:
        return Facts(VERSION, ray_node(), os.getpid(), tuple(cpus_of(self._ray)))

    def _warm(self, worker_count: int) -> None:
        """Have workers import what tasks need, while the script goes on."""
        with RayExecutor(worker_count, self._pages.actors) as executor:
            executor.send_ahead(warm, worker_count)

    def _open_executor(self, worker_count: int) -> int:
        executor = RelayExecutor(worker_count, self._pages.actors)
        with self._lock:
            number = next(self._numbers)
            self._executors[number] = executor
        return number

    def _close_executor(self, number: int) -> None:
        with self._lock:
            executor = self._executors.pop(number, None)
        if executor is not None:
            executor.close()

    def _remove(self, shuffle: str) -> None:
        self._pages.remove(shuffle)
        if self._gives:
            remove_pages(self._pages.giver().folder.path, shuffle)

    def _read(self, location: str, where: str, ticket: bytes) -> bytes:
        """Ask a page server, and give what it gives as the bytes of an Arrow stream."""
        with self._lock:
            if location not in self._clients:
                self._clients[location] = open_client(location, self._security)
            client = self._clients[location]
        sink = pa.BufferOutputStream()
        with peer_errors(where):
            chunks = client.do_get(flight.Ticket(ticket), call_options(self._security, self._limits.deadline_seconds))
            with pa.ipc.new_stream(sink, chunks.schema) as writer:
                for chunk in chunks:
                    writer.write_batch(chunk.data)
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def _giver(self) -> tuple[str, str]:
        giver = self._pages.giver()
        self._gives = True
        return giver.location, giver.node

    def _keep(self, name: str, data: bytes, begin: int) -> None:
        """Add to a file that the page server here gives to tasks."""
        folder = self._pages.giver().folder
        path = folder.path / Path(name).name
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (0 if begin else os.O_CREAT | os.O_EXCL)
        try:
            with os.fdopen(os.open(path, flags, 0o600), "ab") as file:
                if file.tell() != begin:
                    raise SpillError(f"{path} does not end at byte {begin:,}")
                file.write(data)
        except OSError as error:
            raise folder.failure(error, len(data)) from error

    def _close(self) -> None:
        """End all tasks and page servers, and remove all pages."""
        self._closed.set()
        with self._lock:
            executors, self._executors = self._executors, {}
            clients, self._clients = self._clients, {}
        # First: a task may take long to end, and Ray, which ends it anyway, removes no page.
        self._pages.close()
        for executor in executors.values():
            with suppress(Exception):  # the others are to be closed, too
                executor.close()
        for client in clients.values():
            client.close()

    def _watch(self) -> None:
        """End everything when the script has been silent for long.

        Silences are counted, and not seconds: where the whole machine stood still, nobody is to blame.
        """
        silences = 0
        while not self._closed.is_set():
            self._heard.clear()
            self._closed.wait(WORD_SECONDS)
            silences = 0 if self._heard.is_set() else silences + 1
            if silences >= SILENCES_MAX:
                self._close()


class DeputyLine:
    """The script's side: asks the deputy, and lets it know that the script is there. Threads: any."""

    def __init__(self, ray: Any, where: str, security: Security, spill_folder: str | None) -> None:
        self._ray = ray
        self._where = where
        self._closed = threading.Event()
        self._name = "the deputy"
        self._actor = (
            ray.remote(Deputy)
            .options(num_cpus=0, max_restarts=0, max_concurrency=ANSWERS_AT_ONCE)
            .remote(security, spill_folder)
        )
        try:
            self.facts: Facts = self.ask("facts")
            if self.facts.version != VERSION:
                raise ResourceError(
                    f"esker.connect({where!r}): the cluster has Esker {self.facts.version}, and this is {VERSION};"
                    " install the same at both"
                )
        except BaseException:
            self._kill()
            raise
        self._name = f"the deputy (process {self.facts.process} at node {self.facts.node[:12]})"
        threading.Thread(target=self._keep_in_touch, name="esker-deputy-line", daemon=True).start()

    def ask(self, word: str, *arguments: Any) -> Any:
        """The deputy's answer; SessionLostError when there is none, else the error that it came upon."""
        if self._closed.is_set():
            raise SessionLostError(f"esker.connect({self._where!r}): the session is closed; open a new one")
        return self._ask(word, arguments)

    def _ask(self, word: str, arguments: Sequence[Any] = ()) -> Any:
        try:
            kind, value = self._ray.get(self._actor.answer.remote(word, arguments))
        except Exception as error:
            lines = (str(error) or type(error).__name__).strip().splitlines()
            why = lines[0] if len(lines) < 2 else f"{lines[0]} {lines[-1].strip()}"
            raise SessionLostError(
                f"esker.connect({self._where!r}): {self._name} in the Ray cluster does not answer, and what it did is"
                f" lost; close this session and open a new one ({why})"
            ) from error
        if kind == frames.FAILED:
            raise load_error(value)
        return value

    def close(self) -> None:
        """Have the deputy end its work, and end it."""
        self._closed.set()
        with suppress(SessionLostError):
            self._ask("close")
        self._kill()

    def _kill(self) -> None:
        with suppress(Exception):  # it may be gone
            self._ray.kill(self._actor, no_restart=True)

    def _keep_in_touch(self) -> None:
        while not self._closed.wait(WORD_SECONDS):
            try:
                self.facts = self.ask("facts")
            except SessionLostError:
                return
