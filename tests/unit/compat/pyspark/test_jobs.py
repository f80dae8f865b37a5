"""Jobs: groups, tags, properties, cancelling, what the tracker tells, tasks' facts, barriers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from esker.compat.pyspark import (
    BarrierTaskContext,
    InheritableThread,
    SparkContext,
    TaskContext,
    inheritable_thread_target,
)
from esker.compat.pyspark.protocol import Py4JJavaError
from esker.errors import CancelledError


def _sleep(folder: Path, n: int) -> int:
    (folder / str(n)).touch()
    time.sleep(100)
    return n


def _cancelled_by(sc: SparkContext, mark: Any, cancel: Any) -> BaseException:
    """Run a job that would take minutes in a thread, cancel it when it runs; gives what it raised."""
    raised: list[BaseException] = []

    def work(folder: Path) -> None:
        mark()
        try:
            sc.range(4).map(partial(_sleep, folder)).collect()
        except BaseException as error:
            raised.append(error)

    with TemporaryDirectory() as name:
        folder = Path(name)
        thread = InheritableThread(target=work, args=(folder,))
        thread.start()
        while not (sc.statusTracker().getActiveJobsIds() and any(folder.iterdir())):  # within the test's time limit
            time.sleep(0.001)
        cancel()
        thread.join(60)
    assert raised, "the job was not stopped"
    return raised[0]


def test_a_group_is_cancelled_while_its_tasks_sleep(sc: SparkContext) -> None:
    error = _cancelled_by(sc, lambda: sc.setJobGroup("slow", "sleeps"), lambda: sc.cancelJobGroup("slow"))
    assert isinstance(error, CancelledError)
    assert isinstance(error, Py4JJavaError)
    assert "as part of group slow" in str(error)
    assert sc.range(3).count() == 3, "the workers go on"


def test_a_tag_is_cancelled(sc: SparkContext) -> None:
    error = _cancelled_by(sc, lambda: sc.addJobTag("slow"), lambda: sc.cancelJobsWithTag("slow"))
    assert "tag slow" in str(error)


def test_stopping_the_context_stops_its_jobs() -> None:
    with SparkContext("local[2]", "stops") as sc:
        error = _cancelled_by(sc, lambda: None, sc.stop)
    assert isinstance(error, CancelledError)


def test_jobs_of_other_groups_go_on(sc: SparkContext) -> None:
    sc.setJobGroup("mine", "stays")
    sc.cancelJobGroup("other")
    assert sc.range(3).count() == 3


def test_the_tracker_tells_of_jobs_and_their_stages(sc: SparkContext) -> None:
    tracker = sc.statusTracker()
    pairs = sc.range(10, numSlices=3).map(lambda n: (n, n))
    parted = pairs.partitionBy(2)
    sc.setJobGroup("joins", "")
    assert sorted(parted.join(parted).collect())[:2] == [(0, (0, 0)), (1, (1, 1))]
    assert sorted(parted.join(pairs).collect())[0] == (0, (0, 0))
    newest, oldest = tracker.getJobIdsForGroup("joins")
    # Rows that lie where they belong are not moved again.
    assert len(tracker.getJobInfo(oldest).stageIds) == 2
    assert len(tracker.getJobInfo(newest).stageIds) == 3
    assert tracker.getJobInfo(oldest).status == "SUCCEEDED"
    stage = tracker.getStageInfo(tracker.getJobInfo(oldest).stageIds[-1])
    assert (stage.numTasks, stage.numCompletedTasks, stage.numFailedTasks) == (2, 2, 0)
    assert tracker.getJobInfo(10_000) is None
    assert tracker.getStageInfo(10_000) is None
    assert len(tracker.getExecutorInfos()) == 1


def test_a_failed_job_is_told_as_one(sc: SparkContext) -> None:
    sc.setJobGroup("fails", "")
    with pytest.raises(Py4JJavaError):
        sc.range(3).map(lambda n: 1 // n).collect()
    (job,) = sc.statusTracker().getJobIdsForGroup("fails")
    assert sc.statusTracker().getJobInfo(job).status == "FAILED"


def test_properties_belong_to_threads_and_are_seen_by_tasks(sc: SparkContext) -> None:
    def seen() -> list[Any]:
        return sc.range(2, numSlices=2).map(lambda _: TaskContext.get().getLocalProperty("colour")).collect()

    sc.setLocalProperty("colour", "blue")
    found: dict[str, Any] = {}
    inheriting = InheritableThread(target=lambda: found.update(inheriting=seen()))
    wrapped = threading.Thread(target=inheritable_thread_target(lambda: found.update(wrapped=seen())))
    plain = threading.Thread(target=lambda: found.update(plain=seen()))
    for thread in (inheriting, wrapped, plain):
        thread.start()
        thread.join()
    assert found == {"inheriting": ["blue"] * 2, "wrapped": ["blue"] * 2, "plain": [None] * 2}
    assert seen() == ["blue"] * 2
    sc.setLocalProperty("colour", None)
    assert sc.getLocalProperty("colour") is None


def test_properties_are_seen_before_a_shuffle_too(sc: SparkContext) -> None:
    sc.setLocalProperty("colour", "green")
    try:
        pairs = sc.range(4).map(lambda n: (TaskContext.get().getLocalProperty("colour"), n))
        assert pairs.reduceByKey(lambda a, b: a + b).collect() == [("green", 6)]
    finally:
        sc.setLocalProperty("colour", None)


def test_tags_are_checked_and_removed(sc: SparkContext) -> None:
    for tag in ("", "a,b"):
        with pytest.raises(ValueError, match="job tag"):
            sc.addJobTag(tag)
    sc.addJobTag("b")
    sc.addJobTag("a")
    assert sc.getJobTags() == {"a", "b"}
    sc.removeJobTag("a")
    sc.removeJobTag("a")
    assert sc.getJobTags() == {"b"}
    sc.clearJobTags()
    assert sc.getJobTags() == set()


def test_a_task_knows_itself_and_the_driver_is_none(sc: SparkContext) -> None:
    assert TaskContext.get() is None
    facts = sc.range(6, numSlices=3).map(lambda _: TaskContext.get()).collect()
    assert [fact.partitionId() for fact in facts] == [0, 0, 1, 1, 2, 2]
    assert {fact.attemptNumber() for fact in facts} == {0}
    assert len({fact.taskAttemptId() for fact in facts}) == 3
    assert len({fact.stageId() for fact in facts}) == 1
    assert (facts[0].cpus(), facts[0].resources()) == (1, {})
    again = sc.range(1, numSlices=1).map(lambda _: TaskContext.get()).first()
    assert again.taskAttemptId() not in {fact.taskAttemptId() for fact in facts}


def test_a_task_that_is_tried_again_has_another_attempt_number() -> None:
    def dies_at_first(n: int) -> int:
        if TaskContext.get().attemptNumber() == 0:
            os._exit(1)
        return n

    with SparkContext("local[2, 3]", "retries") as sc:
        assert sc.range(3, numSlices=3).map(dies_at_first).collect() == [0, 1, 2]
    with SparkContext("local[2]", "fails at once") as sc:
        with pytest.raises(Py4JJavaError):
            sc.range(3, numSlices=3).map(dies_at_first).collect()


def test_a_barrier_waits_for_all_tasks_and_gathers_their_messages() -> None:
    def meet(index: int, elements: Iterator[int]) -> Iterator[Any]:
        facts = BarrierTaskContext.get()
        yield facts.allGather(f"{index}:{sum(elements)}")
        facts.barrier()
        yield len(facts.getTaskInfos()), facts.partitionId()

    with SparkContext("local[3]", "barriers") as sc:
        met = sc.range(9, numSlices=3).barrier().mapPartitionsWithIndex(meet).map(lambda x: x).collect()
    gathered = ["0:3", "1:12", "2:21"]
    assert met == [gathered, (3, 0), gathered, (3, 1), gathered, (3, 2)]


def test_a_barrier_stage_before_a_shuffle_meets_too(sc: SparkContext) -> None:
    def meet(elements: Iterator[int]) -> Iterator[Any]:
        yield tuple(BarrierTaskContext.get().allGather("x")), sum(elements)

    met = sc.range(4, numSlices=2).barrier().mapPartitions(meet).reduceByKey(lambda a, b: a + b).collect()
    assert met == [(("x", "x"), 6)]


def test_a_barrier_stage_wants_as_many_workers_as_tasks(sc: SparkContext) -> None:
    waiting = sc.range(9, numSlices=3).barrier().mapPartitions(lambda it: it)
    with pytest.raises(Py4JJavaError, match="needs as many at once"):
        waiting.collect()


def test_a_barrier_that_is_never_met_fails_with_its_job(sc: SparkContext) -> None:
    def one_fails(index: int, elements: Iterator[int]) -> Iterator[int]:
        if index == 1:
            raise KeyError("one is missing")
        BarrierTaskContext.get().barrier()
        return elements

    def one_dies(index: int, elements: Iterator[int]) -> Iterator[int]:
        if index == 1:
            os._exit(3)
        BarrierTaskContext.get().barrier()
        return elements

    with pytest.raises(Py4JJavaError, match="one is missing"):
        sc.range(4, numSlices=2).barrier().mapPartitionsWithIndex(one_fails).collect()
    with pytest.raises(Py4JJavaError, match="the worker of partition 1 was lost|exit status 3"):
        sc.range(4, numSlices=2).barrier().mapPartitionsWithIndex(one_dies).collect()
    assert sc.range(3).count() == 3


def test_there_is_no_barrier_outside_of_a_barrier_stage(sc: SparkContext) -> None:
    with pytest.raises(RuntimeError, match="NOT_IN_BARRIER_STAGE"):
        BarrierTaskContext.get()
    with pytest.raises(Py4JJavaError, match="NOT_IN_BARRIER_STAGE"):
        sc.range(2).map(lambda n: BarrierTaskContext.get().partitionId()).collect()
