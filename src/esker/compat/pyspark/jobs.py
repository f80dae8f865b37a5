"""Jobs of a context: who asked for them, how they ended, and how to stop them.

What Spark keeps for each thread (job group, tags, local properties) is kept for each thread here; an
`InheritableThread` starts with a copy of those of the thread that started it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from esker.core.cancellation import Cancellation

GROUP = "spark.jobGroup.id"
DESCRIPTION = "spark.job.description"
TAGS = "spark.job.tags"
STAGE = "esker.stage"
JOB = "esker.job"

# Finished jobs that the status tracker still knows, as spark.ui.retainedJobs.
_RETAINED_JOBS = 1000


class LocalProperties(threading.local):
    """The properties of the calling thread."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}


PROPERTIES = LocalProperties()


@dataclass
class Job:
    """One action: its number, its stages, the properties it was started with, and how it stands."""

    number: int
    stages: range
    name: str
    partition_count: int
    properties: dict[str, str]
    status: str = "RUNNING"
    cancellation: Cancellation = field(default_factory=Cancellation)

    @property
    def group(self) -> str | None:
        """The group it was started in."""
        return self.properties.get(GROUP)

    @property
    def tags(self) -> set[str]:
        """The tags it was started with."""
        return tags_of(self.properties)


def tags_of(properties: dict[str, str]) -> set[str]:
    """Read the tags among properties."""
    return set(filter(None, properties.get(TAGS, "").split(",")))


class Jobs:
    """All jobs of a context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._stages = 0

    @contextmanager
    def running(self, name: str, stage_count: int, partition_count: int) -> Iterator[Job]:
        """Register a job for as long as the block takes, with the calling thread's properties."""
        job = self._begin(name, stage_count, partition_count)
        try:
            yield job
        except BaseException:
            job.status = "FAILED"
            raise
        job.status = "SUCCEEDED"

    def _begin(self, name: str, stage_count: int, partition_count: int) -> Job:
        with self._lock:
            number = len(self._jobs) if not self._jobs else max(self._jobs) + 1
            stages = range(self._stages, self._stages + stage_count)
            self._stages = stages.stop
            job = Job(number, stages, name, partition_count, dict(PROPERTIES.values))
            self._jobs[number] = job
            done = [old for old in self._jobs.values() if old.status != "RUNNING"]
            for old in done[: max(0, len(self._jobs) - _RETAINED_JOBS)]:
                del self._jobs[old.number]
        return job

    def all(self) -> list[Job]:
        """Give the jobs that are known, oldest first."""
        with self._lock:
            return list(self._jobs.values())

    def active(self) -> list[Job]:
        """Give the jobs that run."""
        return [job for job in self.all() if job.status == "RUNNING"]

    def find(self, number: int) -> Job | None:
        """Give a job by its number."""
        return self._jobs.get(number)

    def cancel(self, chosen: Callable[[Job], bool], reason: str) -> None:
        """Stop the running jobs that `chosen` picks; their actions raise in their own threads."""
        for job in self.active():
            if chosen(job):
                job.cancellation.cancel(f"job {job.number} was cancelled {reason}")


class InheritableThread(threading.Thread):
    """A thread that starts with the local properties, job group and tags of the thread that starts it."""

    def __init__(
        self, target: Callable[..., Any] | None = None, *args: Any, session: Any = None, **kwargs: Any
    ) -> None:
        # Spark takes the target first; threading.Thread takes a group there.
        super().__init__(None, target, *args, **kwargs)
        self._inherited: dict[str, str] = {}

    def start(self) -> None:
        """Start, with the caller's properties as they are now."""
        self._inherited = dict(PROPERTIES.values)
        super().start()

    def run(self) -> None:
        """Run the target with them."""
        PROPERTIES.values = self._inherited
        super().run()


def inheritable_thread_target(f: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """Wrap a thread's target so that it runs with the properties of the thread that wraps it.

    >>> PROPERTIES.values["colour"] = "blue"
    >>> seen = []
    >>> target = inheritable_thread_target(lambda: seen.append(PROPERTIES.values.pop("colour")))
    >>> thread = threading.Thread(target=target)
    >>> thread.start(), thread.join()
    (None, None)
    >>> seen, PROPERTIES.values.pop("colour")
    (['blue'], 'blue')
    """
    if f is None or not callable(f):
        return inheritable_thread_target
    inherited = dict(PROPERTIES.values)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        PROPERTIES.values = dict(inherited)
        return f(*args, **kwargs)

    return wrapped
