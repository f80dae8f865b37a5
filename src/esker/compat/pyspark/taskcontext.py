"""What a function may ask about the task it runs in."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from esker.compat.pyspark.barrier import BarrierTaskInfo, Rendezvous, current_rendezvous
from esker.compat.pyspark.errors import PySparkRuntimeError
from esker.compat.pyspark.jobs import JOB, STAGE
from esker.engine.bag.task_state import current_task

_PARTITIONS_MAX = 1 << 24
_ATTEMPTS_MAX = 1 << 8


@dataclass(frozen=True)
class TaskContext:
    """The facts of a task. `TaskContext.get()` gives those of the running one, or None on the driver.

    >>> from esker.compat.pyspark import SparkContext
    >>> with SparkContext("local[2]", "facts") as sc:
    ...     sc.range(4, numSlices=2).map(lambda n: TaskContext.get().partitionId()).collect()
    [0, 0, 1, 1]
    """

    _partitionId: int = 0
    _attemptNumber: int = 0
    _stageId: int = 0
    _taskAttemptId: int = 0
    _localProperties: dict[str, str] = field(default_factory=dict)

    @classmethod
    def get(cls) -> TaskContext | None:
        """Give the running task's facts; None outside of a task."""
        task = current_task()
        if task is None:
            return None
        properties = task.properties
        job = int(properties.get(JOB, 0))
        return cls(
            task.partition,
            task.attempt,
            int(properties.get(STAGE, 0)) - task.stage,
            (job * _PARTITIONS_MAX + task.partition) * _ATTEMPTS_MAX + task.attempt,
            dict(properties),
        )

    def stageId(self) -> int:
        """Give the number of the stage."""
        return self._stageId

    def partitionId(self) -> int:
        """Give the number of the partition."""
        return self._partitionId

    def attemptNumber(self) -> int:
        """Tell how often this partition was tried before."""
        return self._attemptNumber

    def taskAttemptId(self) -> int:
        """Give a number that no other try of a task has."""
        return self._taskAttemptId

    def getLocalProperty(self, key: str) -> str | None:
        """Give a property of the thread that started the job."""
        return self._localProperties.get(key)

    def cpus(self) -> int:
        """Give how many cores a task has: one."""
        return 1

    def cpuAmount(self) -> Decimal:
        """Give how many cores a task has: one."""
        return Decimal(1)

    def resources(self) -> dict[str, Any]:
        """Give the accelerators a task was given: none."""
        return {}


class BarrierTaskContext(TaskContext):
    """The facts of a task whose stage runs all its tasks at once, and a barrier among them."""

    @classmethod
    def get(cls) -> BarrierTaskContext:
        """Give the running task's facts. Raises PySparkRuntimeError outside of a barrier stage."""
        facts = super().get()
        _rendezvous()
        assert isinstance(facts, cls)
        return facts

    def barrier(self) -> None:
        """Wait until all tasks of the stage have called it."""
        self.allGather()

    def allGather(self, message: str = "") -> list[str]:
        """Wait as `barrier` does, and give the messages of all tasks in the order of partitions."""
        if not isinstance(message, str):
            raise TypeError("Argument `message` must be of type `str`")
        return _rendezvous().meet(message)

    def getTaskInfos(self) -> list[BarrierTaskInfo]:
        """Tell of all tasks of the stage, in the order of partitions."""
        return [BarrierTaskInfo("localhost:0")] * _rendezvous().task_count


def _rendezvous() -> Rendezvous:
    found = current_rendezvous()
    if found is None:
        raise PySparkRuntimeError("It is not in a barrier stage.", "NOT_IN_BARRIER_STAGE")
    return found
