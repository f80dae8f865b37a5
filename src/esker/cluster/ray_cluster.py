"""A cluster on the machines of a Ray cluster: actors, each with its folder on its machine."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from esker.cluster.client import Cluster, connect
from esker.cluster.joined import wait_for_nodes
from esker.cluster.ray_actors import (
    CONTROL,
    COORDINATOR_NAME,
    GROUPS,
    CoordinatorActor,
    NodeActor,
    Setting,
    Standing,
    node_name,
)
from esker.cluster.ray_calls import RayCalls
from esker.core.clock import SYSTEM_CLOCK
from esker.errors import DeadlineExceededError, InputFileError, OptionError, WorkerLostError
from esker.runtime.flight import Limits, Security
from esker.runtime.ray_client import running_ray

#: Ways that queries and words take: streams of Arrow Flight, or calls of actors.
PATHS = ("flight", "calls")
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_GONE_SECONDS = 20.0
# What an actor takes of a machine's resource: enough to be placed there.
_TRACE = 0.001


class Placed(NamedTuple):
    """An actor of the cluster: its process, where it listens, and the resource of its machine."""

    pid: int
    address: str
    machine: str


class RayCluster:
    """Actors on the Ray cluster that this process is connected to; `folder` is a path on each of its machines.

    >>> import tempfile, esker
    >>> from esker.bitmap import Bitmap
    >>> with esker.connect("ray", workers=2), RayCluster(tempfile.mkdtemp()) as hosts:  # doctest: +SKIP
    ...     hosts.up(nodes=2)
    ...     with hosts.connect() as cluster:
    ...         cluster.put_many({2: Bitmap.from_positions([0, 3], 5), 3: Bitmap.from_positions([3], 5)})
    ...         cluster.count("R:[2,2]&[3,3]")
    1

    As a context manager it ends them. An actor whose process dies is started again by Ray on its folder; one whose
    machine went, when that machine is back. With `keep` actors go on when this process ends, and another finds them by
    the same folder. `path` is how queries and the words of nodes travel: `"flight"` or `"calls"` (of actors).

    `machines` are Ray resources that one machine each has (default: `node:ADDRESS` of all that are alive); nodes are
    dealt out to them, and a folder stays where it was first. `security` is TLS, as for `esker.connect("ray")`.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        machines: Sequence[str] | None = None,
        path: str = "flight",
        keep: bool = False,
        security: Security | None = None,
    ) -> None:
        if path not in PATHS:
            raise OptionError(f"path={path!r}: there is {', '.join(PATHS)}")
        self._ray = running_ray()
        self.folder = Path(folder).absolute()
        self._machines = list(machines) if machines is not None else None
        self._path = path
        self._keep = keep
        self._tls = security or Security()
        digest = hashlib.blake2b(str(self.folder).encode(), digest_size=8).hexdigest()
        self._namespace = f"esker-cluster-{digest}"
        self._started: dict[str, Any] = {}

    def up(self, nodes: int, *, copies: int = 2, planner: str = "fewest_nodes") -> None:
        """Start what is not there: a coordinator, and nodes up to `nodes`; returns when they are on the ring.

        Raises OptionError for fewer nodes than copies and a machine that is not there, WorkerLostError for an actor
        that does not start.
        """
        if nodes < copies:
            raise OptionError(f"{nodes} nodes cannot keep {copies} copies")
        machines = self._alive_machines()
        setting = Setting(
            str(self.folder), self._namespace, self._path == "calls", self._is_local(), copies, planner, self._tls
        )
        coordinator = self._actor(COORDINATOR_NAME) or self._start(
            COORDINATOR_NAME, machines[0], CoordinatorActor, setting
        )
        address = self._standing(COORDINATOR_NAME, coordinator).address
        token = self._get(coordinator.token.options(concurrency_group=CONTROL).remote())
        wanted = {node_name(number): machines[number % len(machines)] for number in range(nodes)}
        placed = self._get(coordinator.place.options(concurrency_group=CONTROL).remote(wanted))
        begun = {}
        for number in range(nodes):
            name = node_name(number)
            if self._actor(name) is None:
                begun[name] = self._start(name, placed[name], NodeActor, setting, number, address, token)
        for name, actor in begun.items():
            self._standing(name, actor)
        with self.connect() as cluster:
            wait_for_nodes(cluster, nodes, "see the logs of Ray's workers", _START_SECONDS)

    @property
    def address(self) -> str:
        """The coordinator's address; InputFileError when there is no cluster."""
        return self._standing(COORDINATOR_NAME, self._coordinator()).address

    def actors(self) -> dict[str, Any]:
        """The actors that are there, started or being started again, by name."""
        names = self._ray.util.list_named_actors(all_namespaces=True)
        ours = sorted(one["name"] for one in names if one["namespace"] == self._namespace)
        found = {name: self._actor(name) for name in ours}
        return {name: actor for name, actor in found.items() if actor is not None}

    def standing(self, name: str) -> Standing:
        """The process of an actor and where it listens; waits while it is started again."""
        actor = self._actor(name)
        if actor is None:
            raise InputFileError(f"{self.folder} has no actor {name}; start it: up()")
        return self._standing(name, actor)

    def connect(self, *, deadline: float = 30.0, message_bytes: int = Limits.message_bytes) -> Cluster:
        """Open it, by the path of this object. Any other Flight client can come, with the token."""
        actor = self._coordinator()
        token = self._get(actor.token.options(concurrency_group=CONTROL).remote())
        cluster = connect(self.address, token=token, deadline=deadline, message_bytes=message_bytes)
        if self._path == "flight":
            return cluster
        cluster.close()
        limits = Limits(message_bytes, deadline)
        return Cluster(self.address, Security(token, authority=self._tls.authority), limits, RayCalls(actor, limits))

    def down(self) -> list[str]:
        """End all actors, and name them: asked first, then killed; their folders stay."""
        actors = self.actors()
        asked = [actor.stop.options(concurrency_group=CONTROL).remote() for actor in actors.values()]
        with suppress(Exception):  # those that hang or are gone are killed all the same
            self._ray.wait(asked, num_returns=len(asked), timeout=_STOP_SECONDS)
        for actor in actors.values():
            with suppress(Exception):  # it may be gone
                self._ray.kill(actor, no_restart=True)
        self._started.clear()
        self._wait_gone()
        return [*actors]

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ray.is_initialized():
            self.down()

    # ---- inside ----

    def _start(self, name: str, machine: str, kind: type[Any], *arguments: Any) -> Any:
        actor = (
            self._ray.remote(concurrency_groups=GROUPS)(kind)
            .options(
                name=name,
                namespace=self._namespace,
                num_cpus=0,
                # Only where its folder is: while that machine is away, it waits.
                resources={machine: _TRACE},
                max_restarts=-1,
                max_task_retries=0,
                lifetime="detached" if self._keep else None,
            )
            .remote(*arguments)
        )
        # Ray ends an actor that is not to be kept with the last handle of whoever started it.
        self._started[name] = actor
        return actor

    def _actor(self, name: str) -> Any:
        try:
            return self._ray.get_actor(name, namespace=self._namespace)
        except ValueError:
            return None

    def _coordinator(self) -> Any:
        actor = self._actor(COORDINATOR_NAME)
        if actor is None:
            raise InputFileError(f"{self.folder} holds no cluster that runs on this Ray cluster; start it: up()")
        return actor

    def _standing(self, name: str, actor: Any) -> Standing:
        deadline = SYSTEM_CLOCK.seconds() + _START_SECONDS
        unavailable = self._ray.exceptions.ActorUnavailableError
        while True:
            try:
                found: Standing = self._get(actor.standing.options(concurrency_group=CONTROL).remote())
                return found
            except unavailable as error:
                if SYSTEM_CLOCK.seconds() >= deadline:
                    raise WorkerLostError(f"{name} did not come back: {_first_line(error)}") from error
                SYSTEM_CLOCK.sleep(0.1)
            except Exception as error:
                raise WorkerLostError(f"{name} did not start: {_first_line(error)}") from error

    def _get(self, reference: Any) -> Any:
        return self._ray.get(reference, timeout=_START_SECONDS)

    def _alive_machines(self) -> list[str]:
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        there = {name for node in alive for name in node["Resources"]}
        if self._machines is None:
            own = f"node:{self._ray.util.get_node_ip_address()}"
            found = sorted(name for name in there if name.startswith("node:") and not name.startswith("node:__"))
            # The coordinator goes to the first: where this process is.
            return sorted(found, key=lambda name: name != own)
        for machine in self._machines:
            if machine not in there:
                raise OptionError(f"no machine of the Ray cluster has the resource {machine!r}")
        return self._machines

    def _is_local(self) -> bool:
        """Whether nobody outside of this machine is in the Ray cluster."""
        return all(node["NodeManagerAddress"] == "127.0.0.1" for node in self._ray.nodes() if node["Alive"])

    def _wait_gone(self) -> None:
        deadline = SYSTEM_CLOCK.seconds() + _GONE_SECONDS
        while left := self.actors():
            if SYSTEM_CLOCK.seconds() >= deadline:
                raise DeadlineExceededError(f"actors did not end: {', '.join(left)}")
            SYSTEM_CLOCK.sleep(0.05)


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else type(error).__name__
