"""A session on a Ray cluster that the script sees through Ray's client server alone, from outside.

All that the script wants of the cluster it asks the deputy: tasks and what they made, where pages are, their bytes.
"""

from __future__ import annotations

import atexit
import importlib
import os
import socket
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa

from esker.core.spill import SpillFolder
from esker.engine.page_nodes import AnyFile, Giver, PageNodes
from esker.engine.ray_deputy import DeputyLine, KeptName
from esker.engine.ray_session import RaySession, new_security, ray_node
from esker.engine.session import Session
from esker.errors import MissingExtraError, ResourceError, SessionLostError
from esker.runtime.executor import Executor
from esker.runtime.flight import FlightAsker, Security
from esker.runtime.ray_client import require_ray, use_token
from esker.runtime.ray_relay import PART_BYTES, Ask, AskingExecutor
from esker.shuffle.page_server import Place, Places

# Where a client server is when the address does not say.
_PORT = 10001
_LISTENER_SECONDS = 10.0


def outside() -> str:
    """The node of a script that is outside of the cluster: none."""
    return ""


@dataclass(frozen=True)
class _FarPlaces(Places):
    """Nodes whose servers the script cannot reach. In a task they are like any others."""

    ask: Ask | None = None

    def client(self, node: str) -> FlightAsker:
        assert self.ask is not None, "only the script has it"
        return _FarClient(self.ask, self.nodes[node].location, f"the page server of node {node[:12]}")

    def __reduce__(self) -> Any:
        return Places, (self.nodes, ray_node, self.security)


class _Chunk(NamedTuple):
    """A batch, as Flight gives it."""

    data: pa.RecordBatch


class _Answer:
    """The batches of an answer, as Flight gives them."""

    def __init__(self, data: bytes) -> None:
        self._batches = pa.ipc.open_stream(data)

    def read_chunk(self) -> _Chunk:
        """The next; StopIteration behind the last."""
        return _Chunk(self._batches.read_next_batch())

    def __iter__(self) -> Iterator[_Chunk]:
        return map(_Chunk, self._batches)


class _FarClient:
    """Asks a page server through the deputy, which has the token."""

    def __init__(self, ask: Ask, location: str, where: str) -> None:
        self._ask = ask
        self._location = location
        self._where = where

    def do_get(self, ticket: Any, options: Any) -> _Answer:
        """What the server gives for a ticket."""
        return _Answer(self._ask("read", self._location, self._where, ticket.ticket))

    def close(self) -> None:
        """Nothing is held."""


class FarPages(PageNodes):
    """The page actors of a cluster, as the deputy knows them."""

    def __init__(self, ask: Ask, security: Security) -> None:
        super().__init__()
        self._ask = ask
        self._security = security
        self._giver: Giver | None = None
        self._nodes: dict[str, Place] | None = None
        self._lock = threading.Lock()

    def places(self) -> Places:
        # As the deputy knows them: it looks anew when it is asked what is lost. Each task is told.
        with self._lock:
            if self._nodes is None:
                self._nodes = self._ask("places")
            return _FarPlaces(self._nodes, outside, self._security, self._ask)

    def lost(self, outputs: Iterable[AnyFile]) -> list[AnyFile]:
        asked = {KeptName(output.node, output.name): output for output in outputs}
        with self._lock:
            self._nodes = None
            return [asked[name] for name in self._ask("lost", [*asked])]

    def look_again(self, node: str) -> None:
        with self._lock:
            self._nodes = None
            self._ask("look_again", node)

    def remove(self, shuffle: str) -> None:
        with suppress(SessionLostError):  # pages go with the deputy
            self._ask("remove", shuffle)

    def giver(self) -> Giver:
        """A folder here; what is given from it is kept by the deputy, whose server tasks reach."""
        if self._giver is None:
            self._giver = Giver(SpillFolder(), *self._ask("giver"))
        return self._giver

    def give(self, path: Path) -> None:
        begin = 0
        with path.open("rb") as file:
            while data := file.read(PART_BYTES):
                self._ask("keep", path.name, data, begin)
                begin += len(data)

    def close(self) -> None:
        giver, self._giver = self._giver, None
        if giver is not None:
            giver.folder.close()


class RayClientSession(Session):
    """Stages and functions run on a Ray cluster whose client server is at `ray://host:port`.

    It is the connection that this process has, or a new one, which ends with the session.
    """

    def __init__(
        self,
        where: str,
        workers: int | None = None,
        spill_folder: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        authority: str | Path | None = None,
    ) -> None:
        super().__init__("ray", workers)
        self.where = where
        self._ray = require_ray()
        _require_grpc()
        security = new_security(certificate, key, authority)
        self._started = not is_client(self._ray)
        if self._started:
            self._connect()
        try:
            self._line = DeputyLine(self._ray, where, security, str(spill_folder) if spill_folder is not None else None)
        except BaseException:
            self._disconnect()
            raise
        self._pages = FarPages(self._line.ask, security)
        self._line.ask("warm", self.worker_count)
        # A script that ends without `close` leaves nothing either.
        atexit.register(self.close)

    @property
    def worker_count(self) -> int:
        return self._workers or max(1, sum(self._line.facts.cpus))

    @property
    def apart(self) -> bool:
        return True

    @property
    def spread(self) -> bool:
        return True

    @property
    def tasks_of_a_node(self) -> int:
        return max(1, min(self.worker_count, max(self._line.facts.cpus, default=1)))

    def executor(self, workers: int | None = None) -> Executor:
        return AskingExecutor(workers or self.worker_count, self._line.ask)

    def pages(self) -> FarPages:
        return self._pages

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        atexit.unregister(self.close)
        try:
            self._pages.close()
            self._line.close()
        finally:
            self._disconnect()

    def _connect(self) -> None:
        try:
            _require_listener(self.where)
            use_token()
            # Of the sum of all messages; ours are small, and whoever reads this could change nothing.
            warnings.filterwarnings("ignore", "More than 10MB of messages", UserWarning)
            self._ray.init(address=self.where, logging_level="ERROR")
        except Exception as error:
            raise ResourceError(
                f"esker.connect({self.where!r}) failed: {' '.join(str(error).split()) or type(error).__name__}; a"
                " cluster has a client server when it was begun with ray start --head --ray-client-server-port=PORT,"
                " and where it asks for a token, RAY_AUTH_MODE=token and its RAY_AUTH_TOKEN have to be set here, too"
            ) from error

    def _disconnect(self) -> None:
        if self._started:
            self._ray.shutdown()


def is_client(ray: Any) -> bool:
    """Whether this process is connected to a cluster through a client server."""
    return bool(ray.util.client.ray.is_connected())


def _require_grpc() -> None:
    """Ray's client needs it, and Ray itself does not bring it."""
    try:
        importlib.import_module("grpc")
    except ImportError as error:
        raise MissingExtraError.of("grpcio, which Ray's client needs,", "ray") from error


def _require_listener(where: str) -> None:
    """Raise OSError at once when nobody listens; Ray itself would try for more than half a minute."""
    parts = urlsplit(where)
    socket.create_connection((parts.hostname or "", parts.port or _PORT), _LISTENER_SECONDS).close()


def open_ray_session(where: str, workers: int | None, options: dict[str, Any]) -> Session:
    """Open the session that fits: on a cluster that this process is in, or outside of one.

    `ray` is what the process is connected to, or what `RAY_ADDRESS` names; that may be a client server.
    """
    ray = require_ray()
    address = where
    if where == "ray" and not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS") or where
    if address.startswith("ray://") or (ray.is_initialized() and is_client(ray)):
        return RayClientSession(address, workers, **options)
    return RaySession(where, workers, **options)
