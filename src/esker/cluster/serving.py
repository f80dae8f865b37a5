"""What the processes of nodes and of the coordinator share: they serve until they are stopped, or fail inside."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

from pyarrow import flight

from esker.errors import PeerError
from esker.runtime.flight import Security, server_options


class Serving(ABC):
    """A machine that is served over Flight; `wait` returns when `stop` was called, or raises what went wrong inside."""

    _server: flight.FlightServerBase

    def __init__(self) -> None:
        self._failure: BaseException | None = None
        self._stopped = threading.Event()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is stopped; False when that did not happen in so many seconds."""
        stopped = self._stopped.wait(seconds)
        if self._failure is not None:
            raise self._failure
        return stopped

    def stop(self) -> None:
        """End at once; what was promised or acknowledged is on the disk. Calling it again does nothing."""
        self._stopped.set()
        self._close()
        # A stream that a peer holds open would be waited for.
        threading.Thread(target=self._server.shutdown, daemon=True).start()

    @abstractmethod
    def status(self) -> dict[str, Any]:
        """Say what this process knows."""

    @abstractmethod
    def exchange(self, descriptor: Any, reader: Any, writer: Any) -> None:
        """Hear what a peer has to say, until it has no more."""

    @abstractmethod
    def _close(self) -> None:
        """Close all but the server."""

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._stopped.set()


class ServedFlight(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow has no types
    """The Flight methods that both have: the exchange of words, and the action `status`."""

    def __init__(self, location: str, security: Security, served: Serving) -> None:
        self._served = served
        super().__init__(location, **server_options(security))

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        self._served.exchange(descriptor, reader, writer)

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        return [("status", "What this process knows and waits for, as JSON.")]

    def do_action(self, context: Any, action: Any) -> Iterator[bytes]:
        return _answer(action, self._served.status)


def _answer(action: Any, status: Callable[[], dict[str, Any]]) -> Iterator[bytes]:
    if action.type != "status":
        raise PeerError(f"no action {action.type!r}; there is: status")
    yield json.dumps(status()).encode()
