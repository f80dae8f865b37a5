"""The plan of a Bag: nodes that say, when a run asks, what each partition's recipe is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from esker.engine.bag.pipeline import JoinedSplit, Pipeline, Split, ZippedSplit, even_spans, pipelines_of, with_step
from esker.engine.bag.steps import KEEP_KEYS, PARTITION, Step
from esker.engine.bag.task import Consumer
from esker.errors import InputError

if TYPE_CHECKING:
    from esker.core.explanation import Explanation
    from esker.engine.bag.run import Run
    from esker.engine.objects import Partitioner


class Node(ABC):
    """A step of the plan, lazily: asking for `partition_count` runs nothing."""

    operator = ""
    site = ""
    #: What it is made of.
    parents: tuple[Node, ...] = ()
    #: The plan of the last run that was watched, with what it counted.
    ran: Explanation | None = None

    @property
    @abstractmethod
    def partition_count(self) -> int:
        """How many partitions there are."""

    @property
    def placed_by(self) -> Partitioner | None:
        """What told each pair its partition by its key; None where nobody knows that any more."""
        return None

    @abstractmethod
    def pipelines(self, run: Run) -> list[Pipeline]:
        """The recipe of each partition; wide nodes run what lies before them."""


class SourceNode(Node):
    """Partitions that come from outside."""

    def __init__(self, splits: Sequence[Split], operator: str, site: str = "") -> None:
        self._splits = splits
        self.operator = operator
        self.site = site

    @property
    def partition_count(self) -> int:
        return len(self._splits)

    def pipelines(self, run: Run) -> list[Pipeline]:
        return pipelines_of(self._splits)


class MadeNode(Node):
    """Partitions that running something makes: once in a run, however many ways of the plan lead here."""

    def __init__(self, parents: Sequence[Node], partition_count: int, operator: str, site: str) -> None:
        self.parents = tuple(parents)
        self._partitions = partition_count
        self.operator = operator
        self.site = site

    @property
    def partition_count(self) -> int:
        return self._partitions

    def pipelines(self, run: Run) -> list[Pipeline]:
        made: Sequence[Split] | None = run.made.get(id(self))
        if made is None:
            made = run.made[id(self)] = self.make(run)
        return pipelines_of(made)

    @abstractmethod
    def make(self, run: Run) -> Sequence[Split]:
        """Run what comes before, and give what reads each partition."""


class StepNode(Node):
    """A narrow step."""

    def __init__(self, parent: Node, step: Step) -> None:
        self.parents = (parent,)
        self._parent = parent
        self.step = step
        self.operator = step.operator
        self.site = step.site

    @property
    def partition_count(self) -> int:
        return self._parent.partition_count

    @property
    def placed_by(self) -> Partitioner | None:
        return self._parent.placed_by if self.step.kind in KEEP_KEYS else None

    def pipelines(self, run: Run) -> list[Pipeline]:
        return with_step(run.pipelines(self._parent), self.step)


class UnionNode(Node):
    """The partitions of several Bags, one Bag after the other."""

    operator = "union"

    def __init__(self, parents: Sequence[Node]) -> None:
        self.parents = tuple(parents)

    @property
    def partition_count(self) -> int:
        return sum(parent.partition_count for parent in self.parents)

    def pipelines(self, run: Run) -> list[Pipeline]:
        return [pipeline for parent in self.parents for pipeline in run.pipelines(parent)]


class HandleNode(Node):
    """A place in a plan: what is put there later holds for all plans that were made of it before, too.

    For Spark's RDDs, which are kept, or cut off from what they were made of, after others were made of them.
    """

    def __init__(self, node: Node) -> None:
        self.put(node)

    @property
    def node(self) -> Node:
        """What is there now."""
        return self.parents[0]

    def put(self, node: Node) -> None:
        """Use `node` from now on; it must give the same elements."""
        self.parents = (node,)
        self.operator = node.operator
        self.site = node.site

    @property
    def partition_count(self) -> int:
        return self.node.partition_count

    @property
    def placed_by(self) -> Partitioner | None:
        return self.node.placed_by

    def pipelines(self, run: Run) -> list[Pipeline]:
        return run.pipelines(self.node)


class AlignedUnionNode(Node):
    """Several Bags with as many partitions, put together partition by partition."""

    operator = "union_partitions"

    def __init__(self, parents: Sequence[Node]) -> None:
        self.parents = tuple(parents)

    @property
    def partition_count(self) -> int:
        return self.parents[0].partition_count

    @property
    def placed_by(self) -> Partitioner | None:
        first, *others = (parent.placed_by for parent in self.parents)
        return first if all(other == first for other in others) else None

    def pipelines(self, run: Run) -> list[Pipeline]:
        sides = zip(*(run.pipelines(parent) for parent in self.parents), strict=True)
        return pipelines_of([JoinedSplit(side) for side in sides])


class ZipNode(Node):
    """Two Bags side by side, partition by partition."""

    operator = "zip"

    def __init__(self, left: Node, right: Node, site: str) -> None:
        self.parents = (left, right)
        self.site = site

    @property
    def partition_count(self) -> int:
        return self.parents[0].partition_count

    def pipelines(self, run: Run) -> list[Pipeline]:
        left, right = (run.pipelines(parent) for parent in self.parents)
        return pipelines_of([ZippedSplit(one, other) for one, other in zip(left, right, strict=True)])


class CoalesceNode(Node):
    """Neighbouring partitions joined, without a shuffle."""

    operator = "coalesce"

    def __init__(self, parent: Node, partition_count: int) -> None:
        self.parents = (parent,)
        self._wanted = partition_count

    @property
    def partition_count(self) -> int:
        return min(self._wanted, self.parents[0].partition_count)

    def pipelines(self, run: Run) -> list[Pipeline]:
        parts = run.pipelines(self.parents[0])
        return pipelines_of([JoinedSplit(tuple(parts[a:b])) for a, b in even_spans(len(parts), self.partition_count)])


class NumberedNode(Node):
    """Elements with numbers that count through all partitions; how many each has is counted first."""

    def __init__(self, parent: Node, start: int, flipped: bool, operator: str, site: str) -> None:
        self.parents = (parent,)
        self._start = start
        self._flipped = flipped
        self.operator = operator
        self.site = site

    @property
    def partition_count(self) -> int:
        return self.parents[0].partition_count

    def pipelines(self, run: Run) -> list[Pipeline]:
        parts = run.pipelines(self.parents[0])
        # Nobody asks where the last partition ends.
        counting = Consumer(count_elements, self.operator)
        counts = run.results(parts[:-1], counting, stage=run.next_stage(), ahead=True)
        starts = [self._start]
        for size in counts:
            starts.append(starts[-1] + size)
        numbering = _Numbering(starts, self._flipped)
        return with_step(parts, Step(PARTITION, self.operator, numbering, self.site))


class _Numbering:
    def __init__(self, starts: Sequence[int], flipped: bool) -> None:
        self._starts = starts
        self._flipped = flipped

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterable[Any]:
        numbers = count(self._starts[index])
        return zip(numbers, elements, strict=False) if self._flipped else zip(elements, numbers, strict=False)


def count_elements(elements: Iterator[Any]) -> int:
    """How many there are, holding one at a time.

    >>> count_elements(iter("abc"))
    3
    """
    from collections import deque

    numbers = count()
    # All at the speed of C; zip takes a number for each element, and one more at the end.
    deque(zip(elements, numbers, strict=False), maxlen=0)
    return next(numbers)


def require_same_partitions(left: Node, right: Node, operator: str) -> None:
    """Raise InputError unless both have the same number of partitions."""
    if left.partition_count != right.partition_count:
        raise InputError(
            f"{operator}: the left Bag has {left.partition_count} partitions, the right one {right.partition_count};"
            " make them alike with repartition or partitions="
        )
