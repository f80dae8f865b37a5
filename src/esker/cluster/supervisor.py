"""Starts processes of a cluster on this machine again when they ended: a coordinator that died stays away otherwise."""

from __future__ import annotations

from collections.abc import Callable

from esker.cluster.local import LocalCluster
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.errors import EskerError

LEAST_SECONDS, MOST_SECONDS = 0.5, 60.0
"""How long it waits before it starts a process that ended again and again: twice as long each time."""

CALM_SECONDS = 60.0
"""After so long a process is taken to run well, and its next end is its first."""


class _Ends:
    """When a process may be started again, and how long the next wait is."""

    __slots__ = ("due", "started", "wait")

    def __init__(self) -> None:
        self.due = 0.0
        self.started = 0.0
        self.wait = LEAST_SECONDS


class Supervisor:
    """Looks after the processes of a local cluster: `look` again and again.

    The first time a process ended it is started at once, then after waits that double from LEAST_SECONDS to
    MOST_SECONDS. A process that hangs is left alone: the cluster drops it, and takes it back when it goes on.
    """

    def __init__(self, local: LocalCluster, say: Callable[[str], None], clock: Clock = SYSTEM_CLOCK) -> None:
        self._local = local
        self._say = say
        self._clock = clock
        self._ends: dict[str, _Ends] = {}

    def look(self) -> None:
        """Start what ended and whose time has come."""
        for name in self._local.ended():
            ends = self._ends.setdefault(name, _Ends())
            if self._clock.seconds() >= ends.due:
                self._start(name, ends)

    def _start(self, name: str, ends: _Ends) -> None:
        now = self._clock.seconds()
        if ends.started and now - ends.started >= CALM_SECONDS:
            ends.wait = LEAST_SECONDS
        try:
            started = self._local.start_again(name)
        except EskerError as error:
            self._say(f"{error}; again in {ends.wait:g} s")
        else:
            if started is not None:
                self._say(f"{name} had ended, and was started again: process {started.pid} at {started.address}")
        ends.started = self._clock.seconds()
        ends.due = ends.started + ends.wait
        ends.wait = min(2 * ends.wait, MOST_SECONDS)
