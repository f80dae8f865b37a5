"""The coordinator and the nodes of a cluster as Ray actors: the same servers, each with its folder on its machine.

Ray places them, and starts one again whose process or machine went. Their machines talk over Arrow Flight, from inside
the actors; or, as a variant, by calls of actors, whose arguments and results are the bytes that Flight would carry.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from esker.cluster import wire
from esker.cluster.coordinator_server import CoordinatorServer
from esker.cluster.greeting import CLIENT, NEW, NODE, Caller
from esker.cluster.machine import Send
from esker.cluster.messages import COORDINATOR
from esker.cluster.node_server import NodeServer
from esker.core.clock import SYSTEM_CLOCK
from esker.core.file_system import LOCAL
from esker.errors import InputFileError
from esker.runtime.flight import Security, ServerAddress, read_token, write_token
from esker.runtime.ray_client import require_ray

COORDINATOR_NAME = "coordinator"
# Groups of threads that an actor answers calls with: words keep their order.
WORDS, CLIENTS, CONTROL = "words", "clients", "control"
GROUPS = {WORDS: 1, CLIENTS: 16, CONTROL: 2}
_TOKEN_FILE, _PORT_FILE, _MACHINES_FILE = "token", "port.json", "machines.json"
_REPEAT_SECONDS = 1.0
_BEFORE_END_SECONDS = 1.0


class Setting(NamedTuple):
    """What all actors of a cluster have in common."""

    folder: str
    namespace: str
    by_calls: bool
    only_here: bool
    copies: int
    planner: str
    tls: Security


class Standing(NamedTuple):
    """Where an actor is."""

    pid: int
    address: str


def node_name(number: int) -> str:
    """The name of a node's actor.

    >>> node_name(3)
    'node-3'
    """
    return f"node-{number}"


class _Actor:
    """A server in an actor. When what it runs fails the process ends, and Ray starts it again on its folder."""

    def __init__(self, setting: Setting, name: str) -> None:
        self.setting = setting
        self.name = name
        self.folder = Path(setting.folder) / name
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _watch(self, server: NodeServer | CoordinatorServer) -> None:
        threading.Thread(target=self._wait, args=(server,), name="esker-actor", daemon=True).start()

    def _wait(self, server: NodeServer | CoordinatorServer) -> None:
        try:
            server.wait()
        except BaseException as error:  # noqa: BLE001  # said, and the process ends: what it said was durable
            print(f"{self.name} of {self.setting.folder} ends: {error}", file=sys.stderr, flush=True)
            # Not again and again at full speed.
            SYSTEM_CLOCK.sleep(_BEFORE_END_SECONDS)
            os._exit(1)


class CoordinatorActor(_Actor):
    """The coordinator. It keeps the token, and on which machine the folder of each node is."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, COORDINATOR_NAME)
        self._token = _token(self.folder)
        self._placing = threading.Lock()
        listen = ServerAddress(f"{_host(setting)}:{_port_before(self.folder)}")
        security = replace(setting.tls, token=self._token)
        make = partial(_CalledCoordinator, setting.namespace) if setting.by_calls else CoordinatorServer
        self._server = make(self.folder, listen, security, copies=setting.copies, planner=setting.planner)
        _write(self.folder / _PORT_FILE, self._server.port)
        self._watch(self._server)

    def standing(self) -> Standing:
        """Say where this is."""
        return Standing(os.getpid(), self._server.address)

    def token(self) -> str:
        """Give the token: whoever can call an actor can do anything in its Ray cluster."""
        return self._token

    def place(self, wanted: dict[str, str]) -> dict[str, str]:
        """Say on which machine the folder of each node is; `wanted` is for those that have none yet."""
        with self._placing:
            path = self.folder / _MACHINES_FILE
            known = _machines(path)
            placed = {name: known.get(name, machine) for name, machine in wanted.items()}
            if placed.keys() - known.keys():
                _write(path, {**known, **placed})
            return placed

    def hear(self, source: int, data: bytes) -> None:
        """Hear a node's word."""
        self._called().hear(source, data)

    def new_client(self) -> int:
        """Give a client its number."""
        return self._server.session_number(NEW)

    def ask(self, client: int, number: int, data: bytes, seconds: float) -> bytes | None:
        """Do what a client says; None when there is no answer after so many seconds."""
        return self._called().ask(client, number, data, seconds)

    def stop(self) -> None:
        """End the server; the actor is ended by whoever called."""
        self._server.stop()

    def _called(self) -> _CalledCoordinator:
        assert isinstance(self._server, _CalledCoordinator), "called only where that was asked for"
        return self._server


class NodeActor(_Actor):
    """A node."""

    def __init__(self, setting: Setting, number: int, coordinator: str, token: str) -> None:
        super().__init__(setting, node_name(number))
        listen = ServerAddress(f"{_host(setting)}:0")
        security = replace(setting.tls, token=token)
        make = partial(_CalledNode, setting.namespace) if setting.by_calls else NodeServer
        self._server = make(self.folder, listen, coordinator, security, number=number)
        self._watch(self._server)

    def standing(self) -> Standing:
        """Say where this is."""
        return Standing(os.getpid(), self._server.address)

    def hear(self, source: int, data: bytes) -> None:
        """Hear a word of the coordinator, or of another node."""
        assert isinstance(self._server, _CalledNode), "called only where that was asked for"
        self._server.hear(source, data)

    def stop(self) -> None:
        """End the server; the actor is ended by whoever called."""
        self._server.stop()


class _Handles:
    """Actors of the cluster by name, each looked up when it greets."""

    def __init__(self, namespace: str) -> None:
        self._ray = require_ray()
        self._namespace = namespace
        self._found: dict[str, Any] = {}

    def look(self, name: str) -> None:
        """Look an actor up anew. There is none where somebody came by another way."""
        try:
            self._found[name] = self._ray.get_actor(name, namespace=self._namespace)
        except ValueError:
            self._found.pop(name, None)

    def say(self, name: str, source: int, data: bytes) -> bool:
        """Say a word to an actor, and do not wait; says whether there is one."""
        actor = self._found.get(name)
        if actor is None:
            return False
        # What becomes of it is not asked: a word that is lost is said again by the machines.
        actor.hear.options(concurrency_group=WORDS).remote(source, data)
        return True


class _CalledNode(NodeServer):
    """A node whose words are calls of actors. It greets over Flight, where it is seen who is there and who went."""

    def __init__(self, namespace: str, *arguments: Any, **options: Any) -> None:
        self._handles = _Handles(namespace)
        super().__init__(*arguments, **options)

    def hear(self, source: int, data: bytes) -> None:
        """Hear a word that came by a call."""
        self._heard(source, wire.FROM_COORDINATOR if source == COORDINATOR else wire.FROM_PEERS, data)

    def _send(self, effect: Send) -> None:
        name = COORDINATOR_NAME if effect.target == COORDINATOR else node_name(effect.target)
        if not self._handles.say(name, self.number, wire.encode(effect.stamp, effect.message)):
            super()._send(effect)

    def _hello(self) -> None:
        self._handles.look(COORDINATOR_NAME)
        super()._hello()

    def _meet(self, book: wire.Addresses) -> None:
        for number, _ in book.nodes:
            if number != self.number:
                self._handles.look(node_name(number))
        super()._meet(book)


class _Call:
    """A client's call that waits for its answer."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: bytes | None = None


class _CalledCoordinator(CoordinatorServer):
    """A coordinator whose words to nodes are calls of actors, and whose clients call."""

    def __init__(self, namespace: str, *arguments: Any, **options: Any) -> None:
        self._handles = _Handles(namespace)
        self._calls: dict[tuple[int, int], _Call] = {}
        super().__init__(*arguments, **options)

    def hear(self, source: int, data: bytes) -> None:
        """Hear a node's word that came by a call."""
        self._hear(Caller(NODE, source), wire.FROM_NODES, data)

    def ask(self, client: int, number: int, data: bytes, seconds: float) -> bytes | None:
        """Do what a client says in its call of that number; None when there is no answer after so many seconds."""
        key = (client, number)
        call = self._calls[key] = _Call()
        until = SYSTEM_CLOCK.seconds() + seconds
        try:
            while not call.answered.is_set():
                left = until - SYSTEM_CLOCK.seconds()
                if left <= 0 or self._stopped.is_set():
                    return None
                # Said again, as over a stream: the machine may have been without the nodes it needs.
                self._hear(Caller(CLIENT, client), wire.FROM_CLIENTS, data)
                call.answered.wait(min(left, _REPEAT_SECONDS))
            return call.answer
        finally:
            self._calls.pop(key, None)

    def _send(self, effect: Send) -> None:
        if effect.target >= 0:
            if not self._handles.say(node_name(effect.target), COORDINATOR, wire.encode(effect.stamp, effect.message)):
                super()._send(effect)
            return
        call = self._calls.get((effect.target, effect.message[0]))
        if call is None:
            super()._send(effect)
            return
        call.answer = wire.encode(effect.stamp, effect.message)
        call.answered.set()

    def _enter(self, connection: Any) -> None:
        if connection.caller.role == NODE:
            self._handles.look(node_name(connection.caller.number))
        super()._enter(connection)


def _host(setting: Setting) -> str:
    host = "127.0.0.1" if setting.only_here else str(require_ray().util.get_node_ip_address())
    return f"[{host}]" if ":" in host else host


def _token(folder: Path) -> str:
    path = folder / _TOKEN_FILE
    return read_token(path) if path.exists() else write_token(path)


def _port_before(folder: Path) -> int:
    """Where nodes and clients look for the coordinator that was here before; 0 when there was none."""
    path = folder / _PORT_FILE
    if not path.exists():
        return 0
    try:
        return int(json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise InputFileError(f"{path} does not say a port; remove it") from error


def _machines(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        return {str(name): str(machine) for name, machine in json.loads(path.read_bytes()).items()}
    except (ValueError, AttributeError) as error:
        raise InputFileError(f"{path} does not say which node is on which machine") from error


def _write(path: Path, said: Any) -> None:
    with LOCAL.write_aside(path, overwrite=True, mode=0o600) as file:
        file.write(json.dumps(said).encode())
