"""What a program may ask of its jobs while they run."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

from esker.compat.pyspark.jobs import Job, Jobs


class SparkJobInfo(NamedTuple):
    """A job: its stages, and RUNNING, SUCCEEDED or FAILED."""

    jobId: int
    stageIds: list[int]
    status: str


class SparkStageInfo(NamedTuple):
    """A stage of a running job. Tasks are counted for the last stage, whose partitions are known beforehand."""

    stageId: int
    currentAttemptId: int
    name: str
    numTasks: int
    numActiveTasks: int
    numCompletedTasks: int
    numFailedTasks: int


class SparkExecutorInfo(NamedTuple):
    """The one executor there is: this machine."""

    host: str
    port: int
    cacheSize: int
    numRunningTasks: int
    usedOnHeapStorageMemory: int
    usedOffHeapStorageMemory: int
    totalOnHeapStorageMemory: int
    totalOffHeapStorageMemory: int


class StatusTracker:
    """Tell of jobs. Ask a context for it: `sc.statusTracker()`."""

    def __init__(self, jobs: Jobs, workers: Callable[[], int]) -> None:
        self._jobs = jobs
        self._workers = workers

    def getJobIdsForGroup(self, jobGroup: str | None = None) -> list[int]:
        """Give the numbers of a group's jobs that are known, or of those without a group, newest first."""
        return [job.number for job in reversed(self._jobs.all()) if job.group == jobGroup]

    def getActiveStageIds(self) -> list[int]:
        """Give the numbers of the stages of running jobs."""
        return sorted(stage for job in self._jobs.active() for stage in job.stages)

    def getActiveJobsIds(self) -> list[int]:
        """Give the numbers of the running jobs."""
        return sorted(job.number for job in self._jobs.active())

    def getJobInfo(self, jobId: int) -> SparkJobInfo | None:
        """Tell of a job; None for one that is not known (any more)."""
        job = self._jobs.find(jobId)
        return SparkJobInfo(job.number, list(job.stages), job.status) if job is not None else None

    def getStageInfo(self, stageId: int) -> SparkStageInfo | None:
        """Tell of a stage; None for one that is not known (any more)."""
        for job in self._jobs.all():
            if stageId in job.stages:
                return _stage_info(job, stageId, self._workers())
        return None

    def getExecutorInfos(self) -> list[SparkExecutorInfo]:
        """Tell of this machine."""
        running = len(self._jobs.active()) * self._workers()
        return [SparkExecutorInfo(socket.gethostname(), 0, 0, running, 0, 0, 0, 0)]


def _stage_info(job: Job, stage: int, workers: int) -> SparkStageInfo:
    tasks = job.partition_count if stage == job.stages[-1] else 0
    running = min(tasks, workers) if job.status == "RUNNING" else 0
    return SparkStageInfo(
        stage, 0, job.name, tasks, running, tasks if job.status == "SUCCEEDED" else 0, int(job.status == "FAILED")
    )
