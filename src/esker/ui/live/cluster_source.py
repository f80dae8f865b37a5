"""A cluster that is asked how it is, beside the log: one that runs, or a JSON file that someone writes."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from esker.cluster.ring import POINTS, node_points
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.errors import EskerError, InputFileError
from esker.ui.live.cluster_part import POINTS_MAX, ClusterPart
from esker.ui.live.values import count, items, mapping, text

STATUS_BYTES_MAX = 8 << 20
ASK_SECONDS = 1.0
# How long a cluster may take to answer; nodes that hang take that long too.
DEADLINE_SECONDS = 5.0

Ask = Callable[[], Mapping[str, Any]]


class ClusterSource:
    """Asks again and again while entered, in a thread of its own; `shown` is what the page is told, as JSON text.

    `ask` gives the fields of `cluster_ring` (docs/formats/event-log.md), or what `esker cluster status --json` prints.
    """

    def __init__(self, ask: Ask, clock: Clock = SYSTEM_CLOCK, *, close: Callable[[], None] = lambda: None) -> None:
        self._ask = ask
        self._close = close
        self._clock = clock
        self._start = clock.seconds()
        self._part = ClusterPart()
        self._known: dict[int, Mapping[str, Any]] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="esker-ui-cluster", daemon=True)
        self.shown = "null"

    def __enter__(self) -> ClusterSource:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(DEADLINE_SECONDS)
        self._close()

    def look(self) -> str | None:
        """Ask once; say what is wrong, or None."""
        problem = None
        try:
            fields = self._ask()
            ring = self._ring_of(fields) if "members" in fields and "nodes" in fields else fields
            self._part.take("cluster_ring", ring, self._clock.seconds() - self._start)
            if self._part.to_json() is None:
                problem = "this is not the status of a cluster: it names no members"
        except EskerError as error:
            problem = str(error)
        shown = self._part.to_json() or {"status": None, "events": [], "transactions": {}}
        self.shown = json.dumps({**shown, "problem": problem}, separators=(",", ":"), allow_nan=False)
        return problem

    def _run(self) -> None:
        while not self._stopped.wait(ASK_SECONDS):
            self.look()

    def _ring_of(self, status: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of `cluster_ring` from what a coordinator says; a node that it no longer names is down."""
        nodes = {
            number: one
            for one in map(mapping, items(status.get("nodes"), 1000))
            if (number := count(one.get("number"))) is not None
        }
        self._known |= nodes
        on_ring = {count(one) for one in items(status.get("members"))}
        points = max(1, min(count(status.get("virtual_nodes")) or 1, POINTS_MAX // max(len(self._known), 1)))
        joining = {count(one) for one in items(status.get("greeting"))}
        return {
            "replicas": count(status.get("copies")) or 1,
            "epoch": status.get("epoch"),
            "units": status.get("units"),
            "short": status.get("short"),
            "lost": status.get("lost"),
            "in_doubt": sum(len(items(node.get("in_doubt"))) for node in nodes.values()),
            "members": [
                {
                    "node": number,
                    "state": _state(nodes.get(number), number in on_ring, number in joining),
                    "address": text(one.get("address")).partition("://")[2] or None,
                    "points": [place / POINTS for place in node_points(number, points)],
                    "units": nodes[number].get("units") if number in nodes else None,
                    "bytes": nodes[number].get("log_bytes") if number in nodes else None,
                }
                for number, one in sorted(self._known.items())
            ],
        }


def _state(node: Mapping[str, Any] | None, on_ring: bool, joining: bool) -> str:
    if node is None:
        return "down"
    if node.get("connected") is not True or node.get("error") is not None:
        return "suspect" if on_ring else "down"
    if not on_ring:
        return "joining"
    return "recovering" if joining or node.get("counted") is False else "up"


def cluster_source(place: str, token_file: Path | None = None, authority: Path | None = None) -> ClusterSource:
    """Follow the cluster at `place`: grpc://host:port, the folder of one on this machine, or a JSON file.

    `authority` is the certificate (PEM) that a cluster at grpc+tls://host:port is trusted by.

    Raises InputFileError when there is nothing to ask at first, OptionError for an address that is none.
    """
    if "://" in place:
        return _of_cluster(place, token_file, authority)
    path = Path(place).expanduser()
    if path.is_dir():
        from esker.cluster.local import LocalCluster

        local = LocalCluster(path)
        return _of_cluster(local.address, token_file or local.token_file)
    source = ClusterSource(lambda: _read_status(path))
    if (problem := source.look()) is not None:
        raise InputFileError(f"cannot show the cluster of {path}: {problem}")
    return source


def _of_cluster(location: str, token_file: Path | None, authority: Path | None = None) -> ClusterSource:
    from esker.cluster.client import connect

    cluster = connect(location, token=token_file, authority=authority, deadline=DEADLINE_SECONDS)
    return ClusterSource(cluster.status, close=cluster.close)


def _read_status(path: Path) -> Mapping[str, Any]:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > STATUS_BYTES_MAX:
            raise InputFileError(f"{path} is no file of at most {STATUS_BYTES_MAX >> 20} MiB")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputFileError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputFileError(f"{path} is no JSON") from error
    return mapping(content)
