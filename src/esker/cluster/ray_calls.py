"""A client's calls to a coordinator that is a Ray actor: bytes as arguments and results, in place of a stream."""

from __future__ import annotations

import importlib
import threading
from typing import Any

from esker.cluster import wire
from esker.cluster.calls import Calls, put_forgotten, worded
from esker.cluster.greeting import NEW
from esker.cluster.messages import FORGOTTEN, Answer, Done, Failed, Put, Query
from esker.cluster.ray_actors import CLIENTS
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import DeadlineExceededError, EskerError, PeerError, PeerUnreachableError
from esker.runtime.flight import Limits

# How long one call of the actor lasts at most: an actor that hangs is asked again when it was started anew.
_CALL_SECONDS = 5.0
_AGAIN_SECONDS = 0.1


class RayCalls(Calls):
    """Calls of one client, from any number of threads.

    While the actor is away a call waits, and is made again when it is back, until its deadline.
    """

    def __init__(self, actor: Any, limits: Limits) -> None:
        super().__init__()
        self._actor = actor
        self._ray: Any = importlib.import_module("ray")
        self._limits = limits
        self._client = NEW
        self._naming = threading.Lock()
        self._closed = False

    def call(self, message: Put | Query, seconds: float | None = None) -> Done | Answer | Failed:
        data, deadline, late = worded(message, self._limits, seconds)
        away: EskerError | None = None
        said = 0
        while (left := deadline - SYSTEM_CLOCK.seconds()) > 0:
            if self._closed:
                raise PeerUnreachableError("the connection to the coordinator's actor was closed")
            try:
                with self._naming:
                    if self._client == NEW:
                        self._client = self._called("new_client", min(left, _CALL_SECONDS))
                said += 1
                answer = self._asked(message[0], data, min(left, _CALL_SECONDS))
            except PeerUnreachableError as error:
                away = error
                SYSTEM_CLOCK.sleep(_AGAIN_SECONDS)
                continue
            away = None
            if answer is not None:
                found: Done | Answer | Failed = wire.decode(answer, wire.TO_CLIENTS)[1]
                if not isinstance(found, Failed) or found.reason != FORGOTTEN:
                    return found
                self._client = NEW
                if said > 1:
                    raise put_forgotten("Ray's actor")
                said = 0
        if away is not None:
            raise away
        raise DeadlineExceededError(f"the cluster did not answer in time; {late}")

    def close(self) -> None:
        self._closed = True

    def _asked(self, number: int, data: bytes, seconds: float) -> bytes | None:
        answer: bytes | None = self._called("ask", seconds, self._client, number, data, seconds)
        return answer

    def _called(self, name: str, seconds: float, *arguments: Any) -> Any:
        asked = getattr(self._actor, name).options(concurrency_group=CLIENTS).remote(*arguments)
        exceptions = importlib.import_module("ray.exceptions")
        try:
            return self._ray.get(asked, timeout=seconds + _CALL_SECONDS)
        except exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, EskerError) else PeerError(f"the coordinator failed: {error}")) from None
        except (exceptions.RayError, TimeoutError) as error:
            raise PeerUnreachableError(f"the coordinator's actor does not answer: {type(error).__name__}") from error
