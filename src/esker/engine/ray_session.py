"""A session on a Ray cluster: Ray starts, places and ends processes; pages lie in files and travel over Arrow Flight.

One actor a node serves the pages that map tasks of that node have left in its folder. Nothing of it is kept in Ray's
object store. An actor that dies takes its pages with it; it is started again, and the pages are made again.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from esker.core.spill import SpillFolder
from esker.engine.page_nodes import AnyFile, Giver, PageNodes, remove_pages
from esker.engine.session import Session
from esker.errors import OptionError, ResourceError
from esker.runtime.executor import Executor
from esker.runtime.executors.ray import RayExecutor
from esker.runtime.flight import Security, ServerAddress, new_token
from esker.runtime.ray_client import require_ray
from esker.shuffle.page_server import PageServer, Place, Places

# How long a node may take to answer whether it has pages, before it counts as gone.
_ANSWER_SECONDS = 20.0
_START_SECONDS = 60.0


class PageActor:
    """One node's pages: a folder, and the server that reads it. Runs as a Ray actor."""

    def __init__(self, security: Security, spill_folder: str | None, only_here: bool) -> None:
        self._folder = SpillFolder(root=Path(spill_folder) if spill_folder is not None else None)
        address, shown = _address(only_here)
        self._server = PageServer(self._folder.path, address, security)
        self._place = Place(str(self._folder.path), f"{security.scheme}://{shown}:{self._server.port}")

    def place(self) -> Place:
        """Where the pages are."""
        return self._place

    def process(self) -> int:
        """The number of the process, on its machine."""
        return os.getpid()

    def missing(self, names: list[str]) -> list[str]:
        """Those files that are not here."""
        return [name for name in names if not (self._folder.path / name).exists()]

    def remove(self, shuffle: str) -> None:
        """Remove the pages of a shuffle."""
        remove_pages(self._folder.path, shuffle)

    def close(self) -> None:
        """Stop serving, and remove everything."""
        self._server.shutdown()
        self._folder.close()


def _address(only_here: bool) -> tuple[ServerAddress, str]:
    """Where a server of this machine listens, and the machine's name in addresses."""
    host = "127.0.0.1" if only_here else str(require_ray().util.get_node_ip_address())
    shown = f"[{host}]" if ":" in host else host
    return ServerAddress(f"{shown}:0"), shown


def warm() -> None:
    """Import what tasks of plans need."""
    importlib.import_module("esker.plan.compile")


def ray_node() -> str:
    """The node of the Ray cluster that this process runs at."""
    node: str = require_ray().get_runtime_context().get_node_id()
    return node


class RayPages(PageNodes):
    """The page actors of a cluster, one for each node that can run tasks."""

    def __init__(self, ray: Any, security: Security, spill_folder: str | None, only_here: bool) -> None:
        super().__init__()
        self._ray = ray
        self._security = security
        self._arguments = (security, spill_folder, only_here)
        self._root = Path(spill_folder) if spill_folder is not None else None
        self._only_here = only_here
        self._giver: Giver | None = None
        self._server: PageServer | None = None
        self._lock = threading.Lock()
        self._actors: dict[str, Any] = {}
        self._places: dict[str, Place] = {}
        self.look()

    def look(self) -> None:
        """Start actors at nodes that have none, and forget nodes that are gone."""
        with self._lock:
            alive = {
                node["NodeID"] for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
            }
            for node in set(self._actors) - alive:
                del self._actors[node]
                self._places.pop(node, None)
            for node in alive - set(self._actors):
                self._actors[node] = self._start(node)
            self._ask([node for node in self._actors if node not in self._places])
            if not self._places:
                raise ResourceError("no node of the Ray cluster could start a page server")

    def actors(self) -> Mapping[str, Any]:
        """The actors, by node."""
        return dict(self._actors)

    def places(self) -> Places:
        with self._lock:
            return Places(dict(self._places), ray_node, self._security)

    def lost(self, outputs: Iterable[AnyFile]) -> list[AnyFile]:
        found: dict[str, list[AnyFile]] = {}
        for output in outputs:
            found.setdefault(output.node, []).append(output)
        lost: list[AnyFile] = []
        for node, there in found.items():
            missing = self._missing(node, [output.name for output in there])
            lost += there if missing is None else [output for output in there if output.name in missing]
            if missing is None or missing:
                with self._lock:
                    # The actor may be another process by now, with another folder and port.
                    self._places.pop(node, None)
        self.look()
        return lost

    def look_again(self, node: str) -> None:
        with self._lock:
            self._places.pop(node, None)
        self.look()

    def giver(self) -> Giver:
        with self._lock:
            if self._giver is None:
                folder = SpillFolder(root=self._root)
                address, shown = _address(self._only_here)
                self._server = PageServer(folder.path, address, self._security)
                location = f"{self._security.scheme}://{shown}:{self._server.port}"
                self._giver = Giver(folder, location, ray_node())
            return self._giver

    def remove(self, shuffle: str) -> None:
        for actor in self.actors().values():
            with suppress(Exception):  # a node that is gone has no pages
                actor.remove.remote(shuffle)

    def close(self) -> None:
        with self._lock:
            actors, self._actors = self._actors, {}
            self._places = {}
            giver, self._giver = self._giver, None
        if giver is not None and self._server is not None:
            self._server.shutdown()
            giver.folder.close()
        if not actors:
            return
        with suppress(Exception):  # those that are gone are swept by whoever spills there next
            ended = [actor.close.remote() for actor in actors.values()]
            self._ray.wait(ended, num_returns=len(ended), timeout=_ANSWER_SECONDS)
        for actor in actors.values():
            with suppress(Exception):  # it may be gone
                self._ray.kill(actor, no_restart=True)

    def _start(self, node: str) -> Any:
        where = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        return (
            self._ray.remote(PageActor)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=0, scheduling_strategy=where)
            .remote(*self._arguments)
        )

    def _ask(self, nodes: list[str]) -> None:
        """Learn the places of nodes; one whose actor does not answer is done without."""
        answers = {node: self._actors[node].place.remote() for node in nodes}
        for node, answer in answers.items():
            for attempt in range(2):
                try:
                    self._places[node] = self._ray.get(answer, timeout=_START_SECONDS)
                    break
                except Exception:  # noqa: BLE001  # Ray's errors have no root that says "gone"
                    if attempt:
                        self._actors.pop(node)
                    else:  # it was being started again
                        answer = self._actors[node].place.remote()

    def _missing(self, node: str, names: list[str]) -> set[str] | None:
        """Which files a node says it does not have; None when it does not answer."""
        actor = self._actors.get(node)
        if actor is None:
            return None
        try:
            return set(self._ray.get(actor.missing.remote(names), timeout=_ANSWER_SECONDS))
        except Exception:  # noqa: BLE001  # Ray's errors have no root that says "gone"
            return None


class RaySession(Session):
    """Stages and functions run on a Ray cluster: one that was started for it, or one that is there.

    It is the cluster that this process is connected to or that `RAY_ADDRESS` names, else a new one on this machine with
    `workers` CPUs. A script outside of it has a `RayClientSession`.
    """

    def __init__(
        self,
        where: str = "ray",
        workers: int | None = None,
        spill_folder: str | Path | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        authority: str | Path | None = None,
    ) -> None:
        super().__init__("ray", workers)
        self.where = where
        self._ray = require_ray()
        security = new_security(certificate, key, authority)
        self._started = not self._ray.is_initialized()
        local = self._connect()
        try:
            self._pages = RayPages(
                self._ray, security, str(spill_folder) if spill_folder is not None else None, only_here=local
            )
            self._warm()
        except BaseException:
            self._disconnect()
            raise

    def _warm(self) -> None:
        """Have workers import what tasks need, while the script goes on."""
        with self.executor() as executor:
            assert isinstance(executor, RayExecutor)
            executor.send_ahead(warm, self.worker_count)

    @property
    def worker_count(self) -> int:
        return self._workers or max(1, sum(self._cpus()))

    @property
    def apart(self) -> bool:
        return True

    @property
    def spread(self) -> bool:
        return True

    @property
    def tasks_of_a_node(self) -> int:
        return max(1, min(self.worker_count, max(self._cpus(), default=1)))

    def executor(self, workers: int | None = None) -> Executor:
        return RayExecutor(workers or self.worker_count, self._pages.actors)

    def pages(self) -> RayPages:
        return self._pages

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        try:
            self._pages.close()
        finally:
            self._disconnect()

    def _cpus(self) -> list[int]:
        return cpus_of(self._ray)

    def _connect(self) -> bool:
        """Connect, or start a cluster; says whether nobody outside of this machine is in it."""
        if not self._started:
            return False
        options: dict[str, Any] = {"logging_level": "ERROR", "configure_logging": True}
        address = _running_address()
        if address is None:
            cpus = self._workers or len(os.sched_getaffinity(0))
            # "local": a new cluster, and not one that somebody else started on this machine.
            start = partial(
                self._ray.init, "local", include_dashboard=False, num_cpus=cpus, _node_ip_address="127.0.0.1"
            )
            try:
                start(**options)
            except Exception:  # noqa: BLE001  # Ray has no error of its own for this
                # On a busy machine its processes do not always find one another in time.
                self._ray.shutdown()
                self._reached(partial(start, **options))
            return True
        self._reached(partial(self._ray.init, address=address, **options))
        return False

    def _reached(self, connect: Callable[[], Any]) -> None:
        try:
            connect()
        except Exception as error:
            first_line = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise ResourceError(f"esker.connect({self.where!r}) failed: {first_line}") from error

    def _disconnect(self) -> None:
        if self._started:
            self._ray.shutdown()


def cpus_of(ray: Any) -> list[int]:
    """The CPUs of each node of the cluster."""
    return [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]


def _running_address() -> str | None:
    """The cluster that Ray would join: the one that RAY_ADDRESS names."""
    return os.environ.get("RAY_ADDRESS") or None


def new_security(certificate: str | Path | None, key: str | Path | None, authority: str | Path | None) -> Security:
    """A new token, and TLS between nodes where certificates are given."""
    if (certificate is None) != (key is None):
        raise OptionError("TLS needs both a certificate and its key")
    files = [Path(path) if path is not None else None for path in (certificate, key, authority)]
    read = Security.from_files(None, *files)
    return Security(new_token(), read.certificate, read.key, read.authority)
