"""What a watched run of a Bag counts: the elements that each step gives, by the steps of the plan that was drawn.

A step that counts stands in the pipeline behind what it counts, and is compiled into its loop as one addition. Steps
that give one element for each they take share the count of the step below them. A run that nobody watches has no such
steps, and pays nothing.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

from esker.core.activity import Activity, Counts, Meter
from esker.core.explanation import Explanation
from esker.engine.bag.pipeline import Pipeline
from esker.engine.bag.plan import Node
from esker.engine.bag.sketch import sketch_bag
from esker.engine.bag.steps import COUNT, ONE_FOR_ONE, Step
from esker.engine.bag.task_state import Counted
from esker.runtime.pickled import Shared


class CountedPlan:
    """The plan of one run, with a meter for each of its steps."""

    def __init__(self, node: Node, activity: Activity) -> None:
        drawn: dict[int, list[Explanation]] = defaultdict(list)
        self.explanation = sketch_bag(node, drawn)
        # A node that two steps read is drawn for each of them, in the order in which they ask for it.
        self._drawn = {known: deque(steps) for known, steps in drawn.items()}
        self._activity = activity
        self._meters: dict[int, Meter] = {}

    def place(self, node: Node) -> int | None:
        """Which step of the plan stands for `node`, asked for once more; None for what was not drawn."""
        steps = self._drawn.get(id(node))
        if steps is None:
            return None
        step = steps.popleft() if len(steps) > 1 else steps[0]
        assert step.step is not None
        if step.step not in self._meters:
            self._meters[step.step] = self._activity.meter(step, node.partition_count)
        return step.step

    def add(self, counts: Mapping[tuple[int, ...], Counted]) -> None:
        """What a task counted."""
        for places, counted in counts.items():
            for place in places:
                meter = self._meters[place]
                meter.add(Counts(counted.elements, None, 0, 0, 0), partitions=counted.partitions)


def with_count(pipelines: Sequence[Pipeline], operator: str, place: int) -> list[Pipeline]:
    """Count what the partitions give for a step of the plan; partitions that share their steps still do."""
    programs: dict[int, Shared] = {}
    alone = Shared((Step(COUNT, operator, (place,)),))

    def counted(pipeline: Pipeline, index: int) -> Pipeline:
        if pipeline.index != index:
            # Its steps belong to the numbering before a union: they keep it.
            return Pipeline(pipeline, alone, index)
        known = programs.get(id(pipeline.program))
        if known is None:
            known = programs[id(pipeline.program)] = Shared(_counting(pipeline.steps, operator, place))
        return Pipeline(pipeline.split, known, index)

    return [counted(pipeline, index) for index, pipeline in enumerate(pipelines)]


def _counting(steps: tuple[Step, ...], operator: str, place: int) -> tuple[Step, ...]:
    """The steps with one more count: that of a step before, where those behind it give one for one.

    >>> steps = (Step(COUNT, "of", (1,)), Step("map", "map", str))
    >>> [(step.kind, step.function) for step in _counting(steps, "map", 0)]
    [('count', (1, 0)), ('map', <class 'str'>)]
    """
    number = len(steps) - 1
    while number >= 0 and steps[number].kind in ONE_FOR_ONE:
        number -= 1
    if number < 0 or steps[number].kind != COUNT:
        return (*steps, Step(COUNT, operator, (place,)))
    shared = Step(COUNT, steps[number].operator, (*steps[number].function, place))
    return (*steps[:number], shared, *steps[number + 1 :])
