"""Workers of a Ray cluster: control, tasks and results travel in Ray's own channels."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from esker.errors import EskerError, ResourceError, UnpicklableFunctionError, WorkerLostError
from esker.runtime import frames
from esker.runtime.attempt import Attempt, attempting
from esker.runtime.pickled import dump, dump_task, load, load_task, out_of_band
from esker.runtime.queued_executor import Job, QueuedExecutor
from esker.runtime.ray_client import cancel, is_of_a_node, lost, running_ray
from esker.runtime.worker import dump_error, load_error

# How often whoever waits for Ray looks whether the query was cancelled.
_LOOK_SECONDS = 0.1
# How long a task that was told to stop may take before its process is ended. Far from the second that Ray takes to see
# that a stream which waits for its reader was cancelled: a process that is ended for a task that is done by then may
# have another one of ours.
_STOP_SECONDS = 10.0
# More items than this never wait: Ray counts them in 32 bits.
_WINDOW_MAX = 1 << 20

Outcome = tuple[int, bytes, list[Any]]
#: A task: its bytes, its large buffers, what it shares with others, where the driver imports from, and where it is.
Sent = tuple[bytes, list[Any], dict[bytes, bytes], list[str], str]


@dataclass(eq=False)
class RayJob(Job):
    """A job, with the node that has it."""

    node: str = ""
    # The object reference of a task's outcome, or the generator of a stream's.
    reference: Any = None
    ended: Any = None


@dataclass
class _Node:
    """A node of the cluster: how many of our tasks it may run, and how many it does."""

    slots: int
    running: int = 0


@dataclass
class _Nodes:
    """Where tasks may go. Each goes to the node that has most room, so that budgets can be told by node."""

    chosen: Callable[[], Collection[str]] | None = None
    nodes: dict[str, _Node] = field(default_factory=dict)
    # The cluster says for a while that a node is alive that is not.
    distrusted: set[str] = field(default_factory=set)

    def look(self, ray: Any) -> None:
        """Ask the cluster which nodes are alive."""
        chosen = self.chosen() if self.chosen is not None else None
        alive = {
            node["NodeID"]: int(node["Resources"]["CPU"])
            for node in ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1 and (chosen is None or node["NodeID"] in chosen)
        }
        self.nodes = {
            name: _Node(slots, self.nodes[name].running if name in self.nodes else 0) for name, slots in alive.items()
        }
        if not self.nodes:
            raise ResourceError("the Ray cluster has no node with a CPU that is alive")

    def take(self) -> str:
        """The node for one more task."""
        trusted = [name for name in self.nodes if name not in self.distrusted] or [*self.nodes]
        name = max(trusted, key=lambda one: self.nodes[one].slots - self.nodes[one].running)
        self.nodes[name].running += 1
        return name

    def give_back(self, name: str) -> None:
        """A task there has ended."""
        if name in self.nodes:
            self.nodes[name].running -= 1


class RayExecutor(QueuedExecutor[RayJob]):
    """Run `worker_count` tasks at once on the nodes of the Ray cluster that this process is connected to.

    A task that dies with its worker or node fails with WorkerLostError, which may be tried again; Ray itself tries
    nothing again. Functions are pickled by value where no module holds them, and Esker has to be installed on every
    node. `nodes` are those that may be used, if not all. `esker.connect("ray")` is the way to a cluster.
    `wake` does nothing: whoever waits for Ray looks up ten times a second.
    """

    def __init__(self, worker_count: int, nodes: Callable[[], Collection[str]] | None = None) -> None:
        super().__init__(worker_count, RayJob)
        self._ray = running_ray()
        self._work = self._ray.remote(_work)
        self._make = self._ray.remote(_make)
        self._nodes = _Nodes(nodes)
        self._nodes.look(self._ray)

    def close(self) -> None:
        self._waiting.clear()
        self._end([job for job in self._running if not job.window], force=True)
        self._end(list(self._running), force=False)

    def send_ahead(self, task: Callable[[], Any], count: int) -> None:
        """Have `count` workers run a task that nobody waits for."""
        sent = pack(task)
        for _ in range(count):
            where = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(self._nodes.take(), soft=False)
            self._work.options(num_cpus=1, max_retries=0, scheduling_strategy=where).remote(0, *sent)

    def _packed(self, task: Any) -> Sent:
        """What goes to a worker."""
        return pack(task)

    def _opened(self, outcome: Outcome) -> Any:
        """What a worker has answered: the value, or its error raised."""
        return unpack(outcome)

    def _start(self, job: RayJob) -> None:
        sent = self._packed(job.task)
        job.node = self._nodes.take()
        # To that node and no other: a task that waits for a node which is gone fails, and is tried elsewhere.
        where = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(job.node, soft=False)
        options: dict[str, Any] = {"num_cpus": 1, "max_retries": 0, "scheduling_strategy": where}
        if job.window:
            options |= {
                # It may wait for its reader, who may wait for tasks of another run: those must find a CPU.
                "num_cpus": 0,
                "num_returns": "streaming",
                "_generator_backpressure_num_objects": min(job.window, _WINDOW_MAX),
            }
            job.reference = self._make.options(**options).remote(job.attempt, *sent)
            job.ended = job.reference.completed()
        else:
            job.reference = job.ended = self._work.options(**options).remote(job.attempt, *sent)
        self._running.append(job)

    def _listen(self) -> None:
        self._check()
        by_reference = {job.ended: job for job in self._running}
        ended = [*by_reference]
        if ended:
            ready, _ = self._ray.wait(ended, num_returns=1, timeout=_LOOK_SECONDS, fetch_local=False)
            if ready:
                ready, _ = self._ray.wait(ended, num_returns=len(ended), timeout=0, fetch_local=False)
            for reference in ready:
                self._take(by_reference[reference])
        self._assign()

    def _take(self, job: RayJob) -> None:
        """A task has ended. What a stream has still to give stays with it."""
        self._leave(job)
        if job.window:
            return
        try:
            job.value = self._opened(self._ray.get(job.reference))
        except Exception as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
            job.error = self._outcome(error, job)
        job.reference = job.ended = None
        self._finish(job)

    def _items(self, job: RayJob) -> Generator[Any]:
        try:
            while job.reference is None:
                self._listen()
            while True:
                self._check()
                outcome = self._next(job, _LOOK_SECONDS)
                if outcome is None:
                    continue
                if outcome[0] != frames.ITEM:
                    self._leave(job)
                    unpack(outcome)
                    return
                item = load(outcome[1], outcome[2])
                del outcome
                yield item
                del item
        finally:
            self._drop(job)
            job.reference = job.ended = None

    def _next(self, job: RayJob, seconds: float) -> Outcome | None:
        """What a stream gives next; None when it gives nothing for so long."""
        ready, _ = self._ray.wait([job.reference], timeout=seconds)
        if not ready:
            return None
        try:
            outcome: Outcome = self._ray.get(next(job.reference))
        except StopIteration:
            raise WorkerLostError("a worker of the Ray cluster ended a stream without a word") from None
        except Exception as error:  # noqa: BLE001  # Ray's errors have no root that says "gone"
            raise self._outcome(error, job) from None
        return outcome

    def _outcome(self, error: BaseException, job: RayJob) -> BaseException:
        gone = lost(error)
        if gone is None:
            return error
        if is_of_a_node(error):
            self._nodes.distrusted.add(job.node)
        self._nodes.look(self._ray)
        return gone

    def _leave(self, job: RayJob) -> None:
        if job in self._running:
            self._running.remove(job)
            self._nodes.give_back(job.node)

    def _end(self, jobs: Sequence[RayJob], *, force: bool) -> None:
        left = self._not_ended([job.ended for job in jobs], 0)
        for forced in (True,) if force else (False, True):
            cancel([job.reference for job in jobs if job.ended in left], force=forced)
            left = self._not_ended(left, _STOP_SECONDS)
        for job in jobs:
            self._leave(job)

    def _not_ended(self, tasks: list[Any], seconds: float) -> list[Any]:
        """Those that have not ended after so long."""
        if not tasks:
            return []
        left: list[Any] = self._ray.wait(tasks, num_returns=len(tasks), timeout=seconds, fetch_local=False)[1]
        return left


def pack(task: Callable[[], Any]) -> Sent:
    """Make what goes to a worker: the task, the functions it shares with others, and where the driver imports from."""
    try:
        data, buffers, shared = dump_task(task)
        blobs = {digest: value.blob for digest, value in shared.items()}
    except EskerError:
        raise
    except Exception as error:
        raise UnpicklableFunctionError(f"a task cannot go to a worker of the Ray cluster: {error}") from error
    try:
        folder = os.getcwd()  # noqa: PTH109 - a word for another process
    except OSError:
        folder = "/"
    return bytes(data), out_of_band(buffers), blobs, [*sys.path], folder


def unpack(outcome: Outcome) -> Any:
    """Read what a worker has answered: the value, or its error raised."""
    kind, data, buffers = outcome
    if kind == frames.FAILED:
        raise load_error(data)
    return load(data, buffers)


# ---- at the worker ----


def _work(
    attempt: int, data: bytes, buffers: list[Any], blobs: dict[bytes, bytes], path: list[str], folder: str
) -> Outcome:
    """Run a task; its error is an outcome like any other, so that Ray does not wrap it."""
    _settle(path, folder)
    try:
        with attempting(Attempt(attempt)):
            return _outcome(frames.DONE, load_task(data, buffers, blobs)())
    except KeyboardInterrupt:  # how Ray cancels
        raise
    except BaseException as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
        return frames.FAILED, dump_error(error), []


def _make(
    attempt: int, data: bytes, buffers: list[Any], blobs: dict[bytes, bytes], path: list[str], folder: str
) -> Iterator[Outcome]:
    """Run a task that makes items: each goes out as it is made, while the reader has room; then a last word."""
    _settle(path, folder)
    items: Any = None
    try:
        with attempting(Attempt(attempt)):
            items = iter(load_task(data, buffers, blobs)())
            for item in items:
                yield _outcome(frames.ITEM, item)
                del item
        yield _outcome(frames.DONE, None)
    except (KeyboardInterrupt, GeneratorExit):  # how Ray cancels
        raise
    except BaseException as error:  # noqa: BLE001  # the error is the task's outcome, the caller decides
        yield frames.FAILED, dump_error(error), []
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _outcome(kind: int, value: Any) -> Outcome:
    data, buffers = dump(value)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the outcome is told, whatever the user made of the stream
            stream.flush()
    return kind, bytes(data), out_of_band(buffers)


def _settle(path: list[str], folder: str) -> None:
    """Import also from where the driver imports from, and be where it is, as far as this machine has that."""
    sys.path += [entry for entry in path if entry not in sys.path and (not entry or os.path.isdir(entry))]  # noqa: PTH112  # an entry is a text
    with suppress(OSError):
        os.chdir(folder)
