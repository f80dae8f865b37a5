"""What all methods of a Bag stand on: its plan, its options, a new Bag with one step more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Unpack

from esker.collection.bag.element import T
from esker.engine.bag.call_site import call_site
from esker.engine.bag.closures import require_no_collections
from esker.engine.bag.options import DEFAULT_BAG_OPTIONS, BagOptions, BagOptionsGiven
from esker.engine.bag.persisted import PersistNode
from esker.engine.bag.plan import Node, StepNode, count_elements
from esker.engine.bag.run import running_bag
from esker.engine.bag.sketch import sketch_bag
from esker.engine.bag.steps import Step
from esker.engine.bag.task import Consumer
from esker.engine.user_function import function_name
from esker.errors import NestedCollectionError, OptionError

if TYPE_CHECKING:
    from esker.collection.bag.bag import Bag
    from esker.core.explanation import Explanation


class BagBase(Generic[T]):
    """A plan and its options. Never run by itself."""

    collection_kind = "Bag"

    def __init__(self, node: Node, options: BagOptions = DEFAULT_BAG_OPTIONS) -> None:
        self._node = node
        self._options = options

    @property
    def partition_count(self) -> int:
        """How many partitions there are; nothing is run to know it.

        >>> import esker
        >>> esker.of("abcdef", partitions=3).partition_count
        3
        """
        return self._node.partition_count

    @property
    def options(self) -> BagOptions:
        """How it is run."""
        return self._options

    def with_options(self, **changes: Unpack[BagOptionsGiven]) -> Bag[T]:
        """The same elements, run otherwise: `runtime`, `workers`, `retries`, `memory`, `seed`, ... (`BagOptions`).

        >>> import esker
        >>> esker.of([1, 2]).with_options(runtime="inline").count()
        2

        Steps and Bags made of it keep the options; of two Bags, those of the left one hold.
        """
        return self._made(self._node, self._options.updated(changes))

    def persist(self, level: str = "memory") -> Bag[T]:
        """Keep the elements once they were computed, in `memory` or on `disk`; of a partition, when it was read whole.

        >>> import esker
        >>> computed = esker.accumulator()
        >>> kept = esker.range(10).map(lambda n: computed.add(1) or n).persist()
        >>> kept.sum(), kept.sum(), computed.value
        (45, 45, 10)
        >>> dropped = kept.unpersist()

        In memory lies at most half of what `memory=` allows, what is more on disk. Files go with the last Bag that
        uses them, with `unpersist`, or with the process.
        """
        return self._made(PersistNode(self._node, level, self._options))

    def unpersist(self) -> Bag[T]:
        """Drop what `persist` kept; gives the Bag before it. Bags made of the kept one compute again."""
        node = self._node
        if not isinstance(node, PersistNode):
            return self._made(node)
        node.drop()
        return self._made(node.parents[0] if node.parents else node)

    def checkpoint(self) -> Bag[T]:
        """Run now, keep all partitions on disk, and forget how they were made.

        >>> import esker
        >>> esker.range(3).map(str).checkpoint().collect()
        ['0', '1', '2']

        For plans that grow by iteration. What is kept goes with the last Bag that uses it, or with the process.
        """
        node = PersistNode(self._node, "disk", self._options)
        kept = self._made(node)
        kept._results(self._consumer(count_elements, "checkpoint"))
        node.cut()
        return kept

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise NestedCollectionError(
            "a Bag cannot go to another process, as part of a function or of data: compute what is needed of it"
            " before, pass a large result with esker.broadcast(), or join the two"
        )

    def __repr__(self) -> str:
        node = self._node
        return f"Bag({node.operator}{f' at {node.site}' if node.site else ''}, {node.partition_count} partitions)"

    def explain(self, format: str = "text") -> str:
        """The steps of the plan, with the lines that made them: `text`, or a picture as `svg`, `mermaid` or `dot`.

        Of a Bag that was run with a log or progress it is the plan of the last such run, with what each step gave.

        >>> import esker
        >>> print(esker.range(3).map(str).explain("dot").splitlines()[-2])
          s1 -> s0;

        Nothing is run.
        """
        return self._plan().draw(format)

    def _repr_html_(self) -> str:
        from esker.collection.notebook import note_html, plan_html, section

        where = f"Functions run in {self._options.runtime}, {self._options.worker_count} at once."
        if self._node.ran is None:
            words = "Nothing was run; .take(5) runs as much as it needs."
        else:
            words = "The plan has the elements that each step gave in the last run with a log or progress."
        return section(
            f"Bag · {self._node.partition_count:,} partitions",
            note_html(f"{where} {words}"),
            plan_html(self._plan()),
        )

    def _plan(self) -> Explanation:
        return self._node.ran or sketch_bag(self._node)

    # For the methods

    def _made(self, node: Node, options: BagOptions | None = None) -> Bag[Any]:
        from esker.collection.bag.bag import Bag

        return Bag(node, options or self._options)

    def _step(self, kind: str, operator: str, function: Any) -> Bag[Any]:
        """One narrow step more; what the function holds is looked through."""
        self._check_function(function, operator)
        return self._made(StepNode(self._node, Step(kind, operator, function, call_site())))

    def _check_function(self, function: Any, operator: str, *others: Any) -> None:
        for one in (function, *others):
            require_no_collections(one, operator)

    def _callable(self, function: Any, operator: str) -> None:
        if not callable(function):
            raise OptionError(f"{operator} takes a function, not {function!r}")

    def _consumer(self, function: Callable[[Iterator[Any]], Any], operator: str, user: Any = None) -> Consumer:
        """What an action makes of a partition; `user` is the caller's own function in it."""
        name = f"({function_name(user)})" if user is not None else "()"
        if user is not None:
            self._callable(user, operator)
            self._check_function(user, operator)
        return Consumer(function, f"{operator}{name} at {call_site()}")

    def _results(self, consumer: Consumer) -> list[Any]:
        """Run, and give what `consumer` makes of each partition, in order."""
        with running_bag(self._options, self._node) as run:
            return run.results(run.pipelines(self._node), consumer)
