"""`python -m esker.cluster.drill`: a real cluster whose processes are killed and stopped while it is used.

Writers put groups of vectors that are new each time, readers ask for them, and every answer is compared with what one
process says of what may be there. Faults are kill -9 and SIGSTOP of nodes and of the coordinator, and nodes that join.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from esker.bitmap import Bitmap, ranges
from esker.cluster.client import Cluster
from esker.cluster.local import COORDINATOR_NAME, LocalCluster
from esker.core.clock import SYSTEM_CLOCK
from esker.core.row_set import RowSet
from esker.core.seeded import generator
from esker.errors import DeadlineExceededError, PeerUnreachableError

ROWS = 200_000
GROUPS, VECTORS = 8, 3
FAULTS = (
    "kill node", "stop node", "kill coordinator", "stop coordinator", "join",
    "join and kill node", "kill node, then coordinator",
)  # fmt: skip
_BLOCK_ROWS = 1 << 16
_FAULT_SECONDS = 4.0
_DROPPED_SECONDS = 0.8
_STOPPED_SECONDS = 3.0
_WRITERS = 2
_READERS = 2
_DEADLINE = 60.0


@dataclass
class Report:
    """What happened: how long after each fault every reader had an answer again, and what was wrong (nothing)."""

    puts: int = 0
    answers: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    answered_after: dict[str, list[float]] = field(default_factory=dict)
    put_after: dict[str, list[float]] = field(default_factory=dict)


class _Group:
    """Vectors that are put together; each put has contents of its own."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.begun = 0
        self.acknowledged = 0

    def vectors(self, generation: int) -> dict[int, Bitmap]:
        """What put number `generation` stores."""
        first = self.number * VECTORS
        dice = generator(self.number << 32 | generation)
        return {
            first + place: Bitmap.from_positions(dice.integers(0, ROWS, 40), ROWS, "auto") for place in range(VECTORS)
        }

    @property
    def question(self) -> list[tuple[int, int]]:
        """All of the group: two ORed, and the last with the first ORed."""
        first = self.number * VECTORS
        return [(first, first + 1), (first, first + 2)]

    def expected(self, generation: int) -> RowSet:
        """The answer of one process."""
        return ranges(self.vectors(generation), self.question).rows()


class Drill:
    """A cluster under use and under faults; `run` gives the report."""

    def __init__(self, folder: Path, *, nodes: int = 6, seed: int = 0, say: Callable[[str], None] = print) -> None:
        self.local = LocalCluster(folder)
        self._nodes = nodes
        self._dice = generator(seed)
        self._say = say
        self._report = Report()
        self._groups = [_Group(number) for number in range(GROUPS)]
        self._over = threading.Event()
        self._lock = threading.Lock()
        # What each reader and writer had since the last fault: when it was asked, and when answered.
        self._marks: dict[str, list[tuple[float, float]]] = {}
        self._errors: list[BaseException] = []

    def run(self, faults: list[str]) -> Report:
        """Make the faults one after the other while the cluster is used, and check all at the end."""
        with self.local as local:
            local.up(self._nodes)
            with local.connect(deadline=_DEADLINE) as cluster:
                cluster.create("vectors", ROWS, block_rows=_BLOCK_ROWS)
                for group in self._groups:
                    self._put(cluster, group)
            threads = [threading.Thread(target=self._guarded, args=(self._write, n)) for n in range(_WRITERS)]
            threads += [threading.Thread(target=self._guarded, args=(self._read, n)) for n in range(_READERS)]
            for thread in threads:
                thread.start()
            try:
                for fault in faults:
                    self._make(fault)
            finally:
                self._over.set()
                for thread in threads:
                    thread.join()
            if self._errors:
                raise self._errors[0]
            self._check_all()
        return self._report

    # ---- use ----

    def _write(self, number: int) -> None:
        with self.local.connect(deadline=_DEADLINE) as cluster:
            mine = self._groups[number::_WRITERS]
            while not self._over.is_set():
                for group in mine:
                    began = SYSTEM_CLOCK.seconds()
                    self._put(cluster, group)
                    self._mark(f"put {number}", began)

    def _put(self, cluster: Cluster, group: _Group) -> None:
        group.begun += 1
        cluster.put_many(group.vectors(group.begun))
        group.acknowledged = group.begun
        with self._lock:
            self._report.puts += 1

    def _read(self, number: int) -> None:
        dice = generator(1000 + number)
        with self.local.connect(deadline=_DEADLINE) as cluster:
            while not self._over.is_set():
                group = self._groups[int(dice.integers(GROUPS))]
                floor, began = group.acknowledged, SYSTEM_CLOCK.seconds()
                found = cluster.query(group.question)
                self._mark(f"read {number}", began)
                may_be = range(floor, group.begun + 1)
                if not any(found == group.expected(generation) for generation in may_be):
                    self._report.wrong.append(f"group {group.number}: {found} is none of puts {floor} to {may_be[-1]}")
                with self._lock:
                    self._report.answers += 1
                # Not to take all of the machine from the cluster that shares it.
                SYSTEM_CLOCK.sleep(0.005)

    def _mark(self, who: str, began: float) -> None:
        self._marks.setdefault(who, []).append((began, SYSTEM_CLOCK.seconds()))

    def _guarded(self, run: Callable[[int], None], number: int) -> None:
        try:
            run(number)
        except BaseException as error:  # noqa: BLE001  # raised in `run`
            self._errors.append(error)
            self._over.set()

    # ---- faults ----

    def _make(self, fault: str) -> None:
        """Make a fault, see how long until all are answered again, and mend it."""
        running = sorted(name for name in self.local.running() if name != COORDINATOR_NAME)
        name = (
            COORDINATOR_NAME
            if fault.endswith(" coordinator") and "," not in fault
            else running[int(self._dice.integers(len(running)))]
        )
        for marks in self._marks.values():
            marks.clear()
        moment = SYSTEM_CLOCK.seconds()
        if "join" in fault:
            self._nodes += 1
            self.local.start_node(self._nodes - 1)
            moment = SYSTEM_CLOCK.seconds()
        if fault == "join":
            name = f"node-{self._nodes - 1}"
        else:
            self.local.signal(name, signal.SIGSTOP if "stop" in fault else signal.SIGKILL)
        if "then coordinator" in fault:
            # The node is off the ring, and its copies are being made again.
            SYSTEM_CLOCK.sleep(_DROPPED_SECONDS)
            self.local.signal(COORDINATOR_NAME, signal.SIGKILL)
        if "coordinator" in fault and "kill" in fault:
            # While there is none nobody is answered: from here on it counts.
            self.local.start_coordinator()
            moment = SYSTEM_CLOCK.seconds()
        if fault == "stop coordinator":
            SYSTEM_CLOCK.sleep(_STOPPED_SECONDS)
            self.local.signal(name, signal.SIGCONT)
            moment = SYSTEM_CLOCK.seconds()
        read, put = self._await_marks("read", moment), self._await_marks("put", moment)
        self._report.answered_after.setdefault(fault, []).append(read)
        self._report.put_after.setdefault(fault, []).append(put)
        self._say(f"{fault:27} {name:12} queries answered again after {read:5.2f} s, puts after {put:5.2f} s")
        SYSTEM_CLOCK.sleep(max(moment + _FAULT_SECONDS - SYSTEM_CLOCK.seconds(), 0.0))
        if fault == "stop node":
            self.local.signal(name, signal.SIGCONT)
        elif "kill node" in fault:
            self.local.start_node(int(name.removeprefix("node-")))
        self._await_whole()

    def _await_marks(self, kind: str, moment: float) -> float:
        """Seconds from a moment until everyone of a kind had something that began after it."""
        while not self._over.is_set():
            firsts = [
                next((ended for began, ended in marks if began >= moment), None)
                for who, marks in self._marks.items()
                if who.startswith(kind)
            ]
            found = [ended for ended in firsts if ended is not None]
            if len(found) == len(firsts) > 0:
                return max(found) - moment
            SYSTEM_CLOCK.sleep(0.002)
        return float("inf")

    def _await_whole(self) -> None:
        """Wait until every unit has all its copies again."""
        with self.local.connect() as cluster:
            deadline = SYSTEM_CLOCK.seconds() + _DEADLINE
            while not self._over.is_set():
                try:
                    status = cluster.coordinator_status()
                    if not status["short"] and len(status["members"]) == self._nodes and not status["greeting"]:
                        return
                except (DeadlineExceededError, PeerUnreachableError):
                    status = {"short": "nobody knows"}
                if SYSTEM_CLOCK.seconds() > deadline:
                    raise DeadlineExceededError(f"not whole again after {_DEADLINE:.0f} s: {status}")
                SYSTEM_CLOCK.sleep(0.1)

    def _check_all(self) -> None:
        """Every acknowledged put is there, on every planner's way."""
        with self.local.connect(deadline=_DEADLINE) as cluster:
            for planner in ("fewest_nodes", "one_call_per_node", "least_loaded", "random_replica"):
                for group in self._groups:
                    found = cluster.query(group.question, planner=planner)
                    if not any(found == group.expected(one) for one in range(group.acknowledged, group.begun + 1)):
                        self._report.missing.append(f"put {group.acknowledged} of group {group.number}, {planner}")
            self._await_no_doubt(cluster)

    def _await_no_doubt(self, cluster: Cluster) -> None:
        """A node that missed an outcome asks for it: soon nobody is in doubt."""
        deadline = SYSTEM_CLOCK.seconds() + _DEADLINE
        while in_doubt := [one for node in cluster.status()["nodes"] for one in node.get("in_doubt", [])]:
            if SYSTEM_CLOCK.seconds() > deadline:
                self._report.wrong.append(f"in doubt for {_DEADLINE:.0f} s: {in_doubt}")
                return
            SYSTEM_CLOCK.sleep(0.1)


def main() -> int:
    """Run a drill and print what came of it; gives 1 when something was missing or wrong."""
    parser = argparse.ArgumentParser(prog="python -m esker.cluster.drill", description=__doc__)
    parser.add_argument("--nodes", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault is made")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fault", action="append", choices=FAULTS, help="only this; repeatable")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="esker-drill-") as folder:
        drill = Drill(Path(folder) / "cluster", nodes=options.nodes, seed=options.seed)
        report = drill.run([*(options.fault or FAULTS)] * options.rounds)
    print(f"{report.puts:,} puts acknowledged, {len(report.missing)} missing; "
          f"{report.answers:,} answers, {len(report.wrong)} wrong")  # fmt: skip
    for fault, seconds in report.answered_after.items():
        print(f"{fault:27} answers again within {max(seconds):.2f} s, puts within {max(report.put_after[fault]):.2f} s")
    for line in [*report.missing, *report.wrong][:20]:
        print(line)
    return 1 if report.missing or report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
