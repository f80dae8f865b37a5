"""What runs in a task may ask: which partition this is, a generator of its own, and accumulators to add to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from esker.runtime.attempt import current_attempt

if TYPE_CHECKING:
    import numpy as np


class Counted(NamedTuple):
    """How many elements a step gave, and how many partitions of it were read to their end."""

    elements: int
    partitions: int


@dataclass
class TaskState:
    """The partition a task works on: its number, how many there are, the stage of the plan (0: the last), the seed,
    and what `task_properties` of its Bag say."""

    partition: int = 0
    partition_count: int = 1
    stage: int = 0
    seed: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    attempt: int = 0
    generators: dict[int, np.random.Generator] = field(default_factory=dict)
    updates: dict[int, Any] = field(default_factory=dict)
    # By the steps of the plan that share a count.
    counts: dict[tuple[int, ...], Counted] = field(default_factory=dict)

    def count(self, places: tuple[int, ...], elements: int, whole: bool) -> None:
        """Steps of the plan gave so many elements of a partition, which is `whole` if it was read to its end."""
        before = self.counts.get(places, Counted(0, 0))
        self.counts[places] = Counted(before.elements + elements, before.partitions + whole)


_STATE = threading.local()


def current_task() -> TaskState | None:
    """The task that this thread runs, or None outside of one."""
    found: TaskState | None = getattr(_STATE, "task", None)
    return found


@contextmanager
def running(task: TaskState) -> Iterator[TaskState]:
    """Run `task` in this thread."""
    before = current_task()
    task.attempt = current_attempt().number
    _STATE.task = task
    try:
        yield task
    finally:
        _STATE.task = before


def rng(seed: int | None = None) -> np.random.Generator:
    """Give this partition's own NumPy generator: independent of all others, the same in each run.

    Within a function of a Bag it depends on the seed (`with_options(seed=)`, or the one given here) and the number of
    the partition, not on the worker, the timing or the number of tries; asked again, it goes on where it was. Outside
    it is a fresh generator of the seed.

    >>> import esker
    >>> dice = esker.range(4, partitions=2).map(lambda n: int(esker.rng().integers(1, 7)))
    >>> dice.collect() == dice.collect()
    True
    """
    from esker.core.seeded import generator

    task = current_task()
    if task is None:
        return generator(seed or 0)
    wanted = task.seed if seed is None else seed
    if wanted not in task.generators:
        task.generators[wanted] = generator(wanted, task.stage, task.partition)
    return task.generators[wanted]
