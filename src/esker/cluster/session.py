"""A client's stream to the coordinator: calls that are said again until they are answered, or their time is over."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import Any

import pyarrow as pa

from esker.cluster import wire
from esker.cluster.calls import Calls, Words, put_forgotten, worded
from esker.cluster.greeting import CLIENT, NEW, Caller, greeting, read_number
from esker.cluster.link import next_word
from esker.cluster.messages import FORGOTTEN, Answer, Done, Failed, Put, Query
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import DeadlineExceededError, EskerError, PeerError, PeerUnreachableError
from esker.runtime.flight import Limits, Security, call_options, open_client, peer_errors

_REPEAT_SECONDS = 1.0
_WATCH_SECONDS = 0.1
_AGAIN_SECONDS = 0.1


class _Waiting:
    """A call that waits; `turn` is set when it is answered, or when it is its turn to read for all."""

    __slots__ = ("answer", "data", "deadline", "is_put", "late", "repeat_at", "said", "turn")

    def __init__(self, words: Words, is_put: bool) -> None:
        self.data, self.deadline, self.late = words
        self.is_put = is_put
        self.said = 0
        self.repeat_at = SYSTEM_CLOCK.seconds() + _REPEAT_SECONDS
        self.turn = threading.Event()
        self.answer: Any = None


class _Stream:
    """One exchange with the coordinator."""

    def __init__(self, location: str, caller: Caller, security: Security) -> None:
        self.client = open_client(location, security)
        self.writer, self.reader = self.client.do_exchange(greeting(caller), call_options(security))
        self._writing = threading.Lock()

    def send(self, data: bytes) -> None:
        with self._writing:
            self.writer.write_metadata(data)

    def close(self) -> None:
        self.reader.cancel()
        with suppress(pa.ArrowException, OSError):
            self.writer.close()
        self.client.close()


class Session(Calls):
    """Calls of one client, from any number of threads. A put that is said again is done once.

    While the coordinator is away a call waits, and goes on when it is back, until its deadline. The thread that waits
    reads the stream itself, for all that wait: an answer wakes nobody twice. One thread watches deadlines.
    """

    def __init__(self, location: str, security: Security, limits: Limits) -> None:
        super().__init__()
        self.location = location
        self._limits = limits
        self._security = security
        self._caller = Caller(CLIENT, NEW)
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._stream: _Stream | None = None
        self._refused: EskerError | None = None
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    def call(self, message: Put | Query, seconds: float | None = None) -> Done | Answer | Failed:
        number, waiting = message[0], _Waiting(worded(message, self._limits, seconds), isinstance(message, Put))
        with self._lock:
            if self._refused is not None:
                raise self._refused
            self._waiting[number] = waiting
            self._watch()
        try:
            self._say(waiting)
            while waiting.answer is None:
                if self._reading.acquire(blocking=False):
                    try:
                        self._read_for_all(waiting)
                    finally:
                        self._reading.release()
                        self._give_turn(waiting)
                else:
                    waiting.turn.wait()
                    waiting.turn.clear()
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if isinstance(waiting.answer, EskerError):
            raise waiting.answer
        found: Done | Answer | Failed = waiting.answer
        return found

    def close(self) -> None:
        self._closed.set()
        self._refused = PeerUnreachableError(f"the connection to {self.location} was closed")
        self._fail_all(self._refused)
        self._drop()

    # ---- the thread that waits ----

    def _say(self, waiting: _Waiting) -> None:
        stream = self._stream
        if stream is not None:
            try:
                waiting.said += 1
                stream.send(waiting.data)
            except (pa.ArrowException, OSError):
                self._drop()

    def _read_for_all(self, mine: _Waiting) -> None:
        """Read until one's own call is answered; opens the stream when there is none."""
        while mine.answer is None:
            try:
                with peer_errors(self.location):
                    if self._stream is None:
                        self._open()
                    stream = self._stream
                    data = next_word(stream.reader) if stream is not None else None
                if data is None:
                    raise PeerUnreachableError(f"{self.location} ended the connection")
                if data:
                    self._hear(data)
            except EskerError as error:
                self._drop()
                if type(error) is PeerError or not getattr(error, "temporary", False):
                    self._refuse(error)
                elif mine.answer is None:
                    self._closed.wait(_AGAIN_SECONDS)

    def _open(self) -> None:
        stream = self._stream = _Stream(self.location, self._caller, self._security)
        # The server says our number when it has taken us in: only then does anybody hear what we say.
        number = read_number(next_word(stream.reader))
        renewed = self._caller.number not in (NEW, number)
        self._caller = Caller(CLIENT, number)
        with self._lock:
            waiting = [one for one in self._waiting.values() if one.answer is None]
        for one in waiting:
            if renewed and one.is_put and one.said:
                self._end_uncertain(one)
                continue
            one.said += 1
            stream.send(one.data)

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _hear(self, data: bytes) -> None:
        _, message = wire.decode(data, wire.TO_CLIENTS)
        with self._lock:
            waiting = self._waiting.get(message[0])
        if waiting is None:
            return
        if isinstance(message, Failed) and message.reason == FORGOTTEN:
            self._be_forgotten(waiting)
        else:
            waiting.answer = message
            waiting.turn.set()

    def _be_forgotten(self, waiting: _Waiting) -> None:
        """Come anew: the coordinator knows no more what this client had done."""
        self._caller = Caller(CLIENT, NEW)
        if waiting.said > 1:
            self._end_uncertain(waiting)
        # What was said once, and refused, was not done: it is said again in the new number's name.
        raise PeerUnreachableError(f"{self.location} has forgotten this client's number; it comes anew")

    def _end_uncertain(self, waiting: _Waiting) -> None:
        waiting.answer = put_forgotten(self.location)
        waiting.turn.set()

    def _give_turn(self, mine: _Waiting) -> None:
        """Let somebody else read who still waits."""
        with self._lock:
            other = next((one for one in self._waiting.values() if one is not mine and one.answer is None), None)
        if other is not None:
            other.turn.set()

    def _refuse(self, error: EskerError) -> None:
        # What one call says that is wrong ends the stream; the next may be right.
        if type(error) is not PeerError:
            self._refused = error
        self._fail_all(error)

    def _fail_all(self, error: EskerError) -> None:
        with self._lock:
            waiting = list(self._waiting.values())
        for one in waiting:
            if one.answer is None:
                one.answer = error
            one.turn.set()

    # ---- the thread that watches ----

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(
                target=_watch, args=(weakref.ref(self), self._closed), name="esker-session", daemon=True
            )
            self._watcher.start()

    def look_after(self) -> None:
        """Say again what was not answered in a second, and end what is over its time."""
        now = SYSTEM_CLOCK.seconds()
        with self._lock:
            waiting = [one for one in self._waiting.values() if one.answer is None]
        late = [one for one in waiting if now >= one.deadline]
        for one in late:
            away = self._stream is None
            one.answer = (
                PeerUnreachableError(f"no coordinator can be reached at {self.location}")
                if away
                else DeadlineExceededError(f"the cluster at {self.location} did not answer in time; {one.late}")
            )
            one.turn.set()
        if late:
            # Whoever reads may be one of them: the stream is opened anew by the next.
            stream = self._stream
            if stream is not None:
                stream.reader.cancel()
            return
        for one in waiting:
            if now >= one.repeat_at:
                one.repeat_at = now + _REPEAT_SECONDS
                self._say(one)


def _watch(reference: weakref.ref[Session], closed: threading.Event) -> None:
    while not closed.wait(_WATCH_SECONDS):
        session = reference()
        if session is None:
            return
        session.look_after()
        del session
