"""One run of a Bag: its tasks go to an executor, results come back in the order of partitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from esker.core.context import QueryContext
from esker.engine.bag.accumulator import apply_updates
from esker.engine.bag.closures import find_unpicklable
from esker.engine.bag.failure import UserFailure, describe_step, lost_error, partition_name, user_error
from esker.engine.bag.options import BagOptions
from esker.engine.bag.pipeline import Pipeline
from esker.engine.bag.task import Consumer, Report, StreamTask, Task
from esker.engine.bag.task_state import current_task
from esker.engine.session import current_session, default_runtime, open_executor
from esker.errors import EskerError, NestedCollectionError, PagesLostError, UnpicklableFunctionError, WorkerLostError
from esker.runtime.executor import Executor
from esker.runtime.pickled import Shared

if TYPE_CHECKING:
    from esker.engine.bag.counted import CountedPlan
    from esker.engine.bag.plan import Node

# Batches of a stream that wait to be taken, for each partition that is worked on.
_WINDOW = 4
# For results that are wanted whole anyway: as many as there are.
UNBOUNDED = 1 << 40


class Run:
    """What all tasks of one action share. Made by `running_bag`."""

    def __init__(
        self, options: BagOptions, context: QueryContext, executor: Executor, plan: CountedPlan | None = None
    ) -> None:
        self.options = options
        self.context = context
        self._executor = executor
        self._plan = plan
        self._stage = 0
        # What is made once in a run, by the node of the plan that makes it.
        self.made: dict[int, Any] = {}

    @property
    def apart(self) -> bool:
        """Whether tasks run in other processes."""
        return self._executor.apart

    def pipelines(self, node: Node) -> list[Pipeline]:
        """The recipe of each partition of `node`, which counts its elements where someone watches."""
        if self._plan is None:
            return node.pipelines(self)
        from esker.engine.bag.counted import with_count

        place = self._plan.place(node)
        found = node.pipelines(self)
        return found if place is None else with_count(found, node.operator, place)

    def next_stage(self) -> int:
        """Number a stage that runs before the last one, which is 0."""
        self._stage += 1
        return self._stage

    def each(
        self,
        pipelines: Sequence[Pipeline],
        consumer: Consumer,
        partitions: Sequence[int] | None = None,
        stage: int = 0,
        *,
        ahead: bool = False,
    ) -> Generator[Any]:
        """Yield what `consumer` makes of each partition (of the chosen ones, by number), in their order.

        What is only looked at, `ahead` of being read, is not counted for the plan.
        """
        numbers = range(len(pipelines)) if partitions is None else partitions
        shared = Shared(consumer)
        operator = f"{consumer.operator} (stage {stage})" if stage else consumer.operator
        self._check_functions(pipelines, shared)
        count, properties = len(pipelines), self.options.task_properties
        tasks = [Task(pipelines[n], shared, n, count, stage, self.options.seed, properties) for n in numbers]
        places = {self._executor.submit(task): (place, 0) for place, task in enumerate(tasks)}
        waiting: dict[int, Report] = {}
        following = 0
        while following < len(tasks):
            self.context.check()
            for completion in self._executor.completed():
                place, attempt = places.pop(completion.ticket)
                if completion.error is not None:
                    self._fail_or_retry(completion.error, tasks[place], attempt)
                    places[self._executor.submit(tasks[place], attempt + 1)] = place, attempt + 1
                    continue
                waiting[place] = completion.value
            while following in waiting:
                report = waiting.pop(following)
                self._take(report, ahead=ahead)
                following += 1
                self.context.progress.advance(operator, following, len(tasks), "partitions")
                yield report.value
                del report

    def results(
        self,
        pipelines: Sequence[Pipeline],
        consumer: Consumer,
        partitions: Sequence[int] | None = None,
        stage: int = 0,
        *,
        ahead: bool = False,
    ) -> list[Any]:
        """What `consumer` makes of each partition, in order."""
        return list(self.each(pipelines, consumer, partitions, stage, ahead=ahead))

    def made_again(
        self, pipelines: Sequence[Pipeline], consumer: Consumer, partitions: Sequence[int], stage: int
    ) -> list[Any]:
        """The same results of some partitions once more, while other tasks run; what they count was counted before."""
        with open_executor(self.options.runtime or default_runtime(), self.options.worker_count) as executor:
            executor.watch(self.context.check)
            return _Again(self.options, self.context, executor).results(pipelines, consumer, partitions, stage)

    def _take(self, report: Report, *, ahead: bool = False) -> None:
        apply_updates(report.updates)
        if self._plan is not None and not ahead:
            self._plan.add(report.counts)

    def stream(self, pipelines: Sequence[Pipeline], operator: str, window: int = _WINDOW) -> Generator[list[Any]]:
        """Yield the elements themselves, in batches, in order; partitions ahead are worked on within their window."""
        shared = Shared(Consumer(iter, operator))
        self._check_functions(pipelines, shared)
        ahead: deque[Generator[list[Any]]] = deque()
        tasks = (
            StreamTask(pipeline, shared, n, len(pipelines), 0, self.options.seed, self.options.task_properties)
            for n, pipeline in enumerate(pipelines)
        )
        count = self.options.worker_count if self._executor.concurrent else 1
        try:
            for task in tasks:
                ahead.append(self._started(task, window))
                if len(ahead) >= count:
                    yield from ahead.popleft()
                    self.context.progress.advance(operator, task.partition + 2 - count, len(pipelines), "partitions")
            while ahead:
                yield from ahead.popleft()
                self.context.progress.advance(operator, len(pipelines) - len(ahead), len(pipelines), "partitions")
        finally:
            for stream in ahead:
                stream.close()

    def _check_functions(self, pipelines: Sequence[Pipeline], consumer: Shared) -> None:
        """Pickle the functions now, so that one that cannot be is named before anything runs."""
        if not self._executor.apart:
            return
        for shared in (consumer, *{id(pipeline.program): pipeline.program for pipeline in pipelines}.values()):
            try:
                _ = shared.blob
            except EskerError:
                raise
            except Exception as error:
                raise _unpicklable(shared.value, error) from error

    def _started(self, task: StreamTask, window: int) -> Generator[list[Any]]:
        return self._watched(task, self._executor.stream(task, window), window)

    def _watched(self, task: StreamTask, items: Generator[Any], window: int) -> Generator[list[Any]]:
        """Pass items on; begin again behind those that were passed on when the worker dies."""
        taken = attempt = 0
        while True:
            try:
                with closing(items):
                    for item in items:
                        self.context.check()
                        if isinstance(item, Report):
                            self._take(item)
                            continue
                        taken += len(item)
                        yield item
                return
            except (UserFailure, WorkerLostError, PagesLostError) as error:
                self._fail_or_retry(error, task, attempt)
            attempt += 1
            again = replace(task, skip=taken)
            items = self._executor.stream(again, window, attempt)

    def _heal(self, error: PagesLostError, attempt: int) -> None:
        """Have what is gone made again, or raise the error."""
        from esker.engine.remote import PAGE_LOSSES_MAX, heal

        if attempt >= PAGE_LOSSES_MAX:
            raise error
        heal(error, self.context)

    def _fail_or_retry(self, error: BaseException, task: Task, attempt: int) -> None:
        """Raise what the caller is to see, or return when the task may be tried again."""
        where = partition_name(task.partition, task.partition_count, task.pipeline.describe())
        if isinstance(error, UserFailure):
            raise user_error(error, where) from error.original
        if isinstance(error, PagesLostError):
            self._heal(error, attempt)
            return
        if not isinstance(error, WorkerLostError):
            raise error
        if attempt >= self.options.retries:
            consumer: Consumer = task.consumer.value
            made_by = task.pipeline.made_by()
            steps = map(describe_step, task.pipeline.all_steps())
            names = [*([made_by] if made_by else []), *steps, consumer.operator]
            raise lost_error(error, names, where, attempt + 1) from None
        if (session := current_session()) is not None and session.spread:
            from esker.engine.remote import look_again

            look_again(error, session)


class _Again(Run):
    """Tasks that are done a second time, because what they left is gone."""

    def _take(self, report: Report, *, ahead: bool = False) -> None:
        """Nothing: accumulators and counts have it from the first time."""


def _unpicklable(value: Any, error: Exception) -> UnpicklableFunctionError:
    functions = [(value.operator, value.function)] if isinstance(value, Consumer) else []
    functions += [(describe_step(step), step.function) for step in value] if isinstance(value, tuple) else []
    for operator, function in functions:
        inner = getattr(function, "user_function", function)
        held = find_unpicklable(inner)
        if held:
            return UnpicklableFunctionError(
                f"the function of {operator} holds {held} and cannot go to a worker process ({error}); make it within"
                " the function, or use with_options(runtime='threads')"
            )
    names = ", ".join(operator for operator, _ in functions)
    return UnpicklableFunctionError(f"a function of {names} cannot go to a worker process: {error}")


@contextmanager
def running_bag(options: BagOptions, node: Node) -> Iterator[Run]:
    """A run of `node` with the context and executor that `options` ask for; all of it is freed at the end."""
    if current_task() is not None:
        raise NestedCollectionError(
            "a Bag cannot be run inside a function that itself runs on partitions: run it before and use its result,"
            " esker.broadcast(result) for a large one, or join the two"
        )
    with options.context() as context:
        with open_executor(options.runtime or default_runtime(), options.worker_count) as executor:
            executor.watch(context.check)
            context.cancellation.on_cancel(executor.wake)
            plan = _counted_plan(node, context)
            yield Run(options, context, executor, plan)
        context.activity.flush()
        shown = plan.explanation.to_json() if plan is not None else None
        context.log.emit("query_done", rows=None, peak_held_bytes=context.budget.peak_bytes, plan=shown)
        if plan is not None:
            node.ran = plan.explanation


def _counted_plan(node: Node, context: QueryContext) -> CountedPlan | None:
    """The plan whose steps count, where someone is told of it."""
    if not context.log.heard:
        return None
    from esker.engine.bag.counted import CountedPlan

    plan = CountedPlan(node, context.activity)
    context.log.emit("query_planned", plan=plan.explanation.to_json())
    return plan
