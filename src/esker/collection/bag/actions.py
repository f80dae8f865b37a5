"""Actions: they run the plan, and give a result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import reduce as reduce_all
from typing import Any, overload

from esker.collection.bag.base import BagBase
from esker.collection.bag.element import K, T, U, V
from esker.engine.bag.consumers import (
    Extreme,
    Fold,
    ForEach,
    ForPartition,
    Reduce,
    Smallest,
    Statistics,
    Take,
    ValuesOf,
    count_values,
)
from esker.engine.bag.histogram import Histogram, bounds, even_edges
from esker.engine.bag.options import require_whole
from esker.engine.bag.pipeline import even_spans
from esker.engine.bag.plan import count_elements
from esker.engine.bag.run import UNBOUNDED, running_bag
from esker.engine.bag.task import Consumer
from esker.errors import EmptyBagError, OptionError

# With each round of a take that found too little, so many times more partitions are asked.
_TAKE_FACTOR = 4


class Actions(BagBase[T]):
    """Methods of a Bag that run it."""

    def collect(self) -> list[T]:
        """Take all elements, in order, into a list (in the caller's memory, outside the budget).

        >>> import esker
        >>> esker.of([3, 1, 2]).collect()
        [3, 1, 2]
        """
        with running_bag(self._options, self._node) as run:
            stream = run.stream(run.pipelines(self._node), self._consumer(iter, "collect").operator, UNBOUNDED)
            return [element for batch in stream for element in batch]

    def iterate(self) -> Generator[T]:
        """Give the elements one by one, in order, while workers are at most some batches ahead; `iter(bag)` as well.

        >>> import esker
        >>> sum(esker.range(1000).iterate())
        499500

        A reader that leaves early ends the work; close the generator, or let it go out of scope.
        """
        operator = self._consumer(iter, "iterate").operator

        def elements() -> Generator[T]:
            with running_bag(self._options, self._node) as run:
                for batch in run.stream(run.pipelines(self._node), operator):
                    yield from batch

        return elements()

    def __iter__(self) -> Generator[T]:
        return self.iterate()

    def run(self, consumer: Callable[[Iterator[T]], U], partitions: Sequence[int] | None = None) -> list[U]:
        """Call `consumer` with the iterator of each partition (of those named, by number), and take what it returns.

        >>> import esker
        >>> esker.range(10, partitions=5).run(list, partitions=[0, 4])
        [[0, 1], [8, 9]]
        """
        return list(self.run_each(consumer, partitions))

    def run_each(self, consumer: Callable[[Iterator[T]], U], partitions: Sequence[int] | None = None) -> Generator[U]:
        """As `run`, one result after the other, in order, as they are there."""
        for number in partitions or ():
            if not 0 <= number < self.partition_count:
                raise OptionError(f"run: no partition {number}; there are {self.partition_count}")
        wrapped = self._consumer(consumer, "run", consumer)

        def results() -> Generator[U]:
            with running_bag(self._options, self._node) as run:
                yield from run.each(run.pipelines(self._node), wrapped, partitions)

        return results()

    # Numbers

    def count(self) -> int:
        """Count the elements.

        >>> import esker
        >>> esker.range(1_000_000).filter(lambda n: n % 7 == 0).count()
        142858
        """
        return sum(self._results(self._consumer(count_elements, "count")))

    def is_empty(self) -> bool:
        """Whether there is no element; stops at the first."""
        return not self.take(1)

    @overload
    def sum(self: Actions[int]) -> int: ...

    @overload
    def sum(self: Actions[float]) -> float: ...

    @overload
    def sum(self) -> Any: ...

    def sum(self) -> Any:
        """Add the elements up; 0 if there are none."""
        return sum(self._results(self._consumer(sum, "sum")))

    def stats(self) -> Statistics:
        """Count, mean, variance, extremes of numbers, in one pass.

        >>> import esker
        >>> found = esker.of([1, 2, 3, 4]).stats()
        >>> found.count, found.mean, found.variance, found.max
        (4, 2.5, 1.25, 4)
        """
        return reduce_all(Statistics.merged, self._results(self._consumer(Statistics.of, "stats")), Statistics())

    def mean(self) -> float:
        """The mean of numbers; EmptyBagError if there are none."""
        found = self.stats()
        if not found.count:
            raise EmptyBagError("mean of a Bag without elements")
        return found.mean

    def histogram(self, buckets: int | Sequence[Any]) -> tuple[list[Any], list[int]]:
        """Count elements by ranges: the edges, and how many lie in each.

        >>> import esker
        >>> esker.range(51).histogram(2)
        ([0, 25, 50], [25, 26])
        >>> esker.of(["a", "b", "d"]).histogram(["a", "c", "e"])
        (['a', 'c', 'e'], [2, 1])

        A number of buckets makes them even, from the least to the greatest element. A range holds its lower edge, the
        last one both; what lies outside, None and NaN are not counted.
        """
        if isinstance(buckets, int):
            edges = even_edges(self._results(self._consumer(bounds, "histogram")), buckets)
        else:
            edges = list(buckets)
        parts = self._results(self._consumer(Histogram(edges), "histogram"))
        return edges, [sum(column) for column in zip(*parts, strict=True)] if parts else [0] * (len(edges) - 1)

    # Combining

    def reduce(self, function: Callable[[T, T], T]) -> T:
        """Combine all elements with a function that is associative; EmptyBagError if there are none.

        >>> import esker
        >>> esker.of(["a", "b", "c"]).reduce(lambda left, right: left + right)
        'abc'
        """
        parts = self._results(self._consumer(Reduce(function), "reduce", function))
        found = [value for part in parts for value in part]
        if not found:
            raise EmptyBagError("reduce of a Bag without elements; use fold, which has a zero")
        combined: T = reduce_all(function, found)
        return combined

    def fold(self: Actions[U], zero: U, function: Callable[[U, U], U]) -> U:
        """Combine the elements of each partition, and then their results, beginning with a copy of `zero` each time.

        >>> import esker
        >>> esker.range(5).fold(0, lambda left, right: left + right)
        10
        """
        return self.aggregate(zero, function, function)

    def aggregate(self, zero: U, add: Callable[[U, T], U], merge: Callable[[U, U], U]) -> U:
        """Add the elements of each partition to a copy of `zero`, then merge what came out, in order.

        >>> import esker
        >>> esker.range(5).aggregate((0, 0), lambda t, n: (t[0] + n, t[1] + 1), lambda a, b: (a[0] + b[0], a[1] + b[1]))
        (10, 5)
        """
        self._callable(merge, "aggregate")
        start = Fold(zero, merge)
        parts = self._results(self._consumer(Fold(zero, add), "aggregate", add))
        merged: U = start(iter(parts))
        return merged

    def tree_reduce(self, function: Callable[[T, T], T], depth: int = 2) -> T:
        """As `reduce`, where many partitions' results are combined by workers first, in rounds."""
        parts = self._results(self._consumer(Reduce(function), "tree_reduce", function))
        found = [value for part in parts for value in part]
        if not found:
            raise EmptyBagError("tree_reduce of a Bag without elements; use tree_aggregate, which has a zero")
        rounds = self._in_rounds(found, Reduce(function), depth, "tree_reduce", lambda part: part[0])
        combined: T = reduce_all(function, rounds)
        return combined

    def tree_aggregate(self, zero: U, add: Callable[[U, T], U], merge: Callable[[U, U], U], depth: int = 2) -> U:
        """As `aggregate`, where many partitions' results are merged by workers first, in rounds."""
        self._callable(merge, "tree_aggregate")
        parts = self._results(self._consumer(Fold(zero, add), "tree_aggregate", add))
        rounds = self._in_rounds(parts, Reduce(merge), depth, "tree_aggregate", lambda part: part[0])
        merged: U = reduce_all(merge, rounds) if rounds else Fold(zero, add)(iter(()))
        return merged

    def _in_rounds(
        self, parts: list[Any], combine: Any, depth: int, operator: str, take: Callable[[Any], Any]
    ) -> list[Any]:
        from esker.collection.bag.read import from_partitions

        require_whole(f"{operator}: depth", depth, 1)
        scale = max(2, round(len(parts) ** (1 / depth) + 0.5))
        # As Spark: another round only while it spares the driver work.
        while len(parts) > scale + -(-len(parts) // scale):
            count = -(-len(parts) // scale)
            grouped = from_partitions([parts[a:b] for a, b in even_spans(len(parts), count)])
            round_ = self._made(grouped._node)
            parts = [take(part) for part in round_._results(self._consumer(combine, operator))]
        return parts

    # A few

    def take(self, limit: int) -> list[T]:
        """Take the first elements; partitions are asked one after the other, until there are enough.

        >>> import esker
        >>> esker.range(10**12).map(str).take(3)
        ['0', '1', '2']
        """
        require_whole("take: limit", limit, 0)
        found: list[T] = []
        operator = self._consumer(iter, "take").operator
        with running_bag(self._options, self._node) as run:
            pipelines = run.pipelines(self._node) if limit else []
            begin, wanted = 0, 1
            while begin < len(pipelines) and len(found) < limit:
                partitions = range(begin, min(begin + wanted, len(pipelines)))
                for part in run.each(pipelines, Consumer(Take(limit - len(found)), operator), partitions):
                    found += part[: limit - len(found)]
                begin, wanted = partitions.stop, wanted * _TAKE_FACTOR
        return found

    def first(self) -> T:
        """Take the first element; EmptyBagError if there is none.

        >>> import esker
        >>> esker.of([7, 8]).first()
        7
        """
        found = self.take(1)
        if not found:
            raise EmptyBagError("first of a Bag without elements")
        return found[0]

    def top(self, limit: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Take the greatest elements, in falling order.

        >>> import esker
        >>> esker.of([10, 4, 2, 12, 3]).top(2)
        [12, 10]
        """
        return self._smallest(limit, key, True, "top")

    def take_ordered(self, limit: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Take the least elements, in order.

        >>> import esker
        >>> esker.of([10, 1, 2, 9]).take_ordered(2, key=lambda n: -n)
        [10, 9]
        """
        return self._smallest(limit, key, False, "take_ordered")

    def _smallest(self, limit: int, key: Callable[[Any], Any] | None, largest: bool, operator: str) -> list[Any]:
        require_whole(f"{operator}: limit", limit, 0)
        choose = Smallest(limit, key, largest)
        parts = self._results(self._consumer(choose, operator, key))
        return choose([element for part in parts for element in part])

    def min(self, key: Callable[[T], Any] | None = None) -> T:
        """Take the least element, the first of equal ones; EmptyBagError if there is none."""
        least: T = self._extreme(Extreme(key, False), "min")
        return least

    def max(self, key: Callable[[T], Any] | None = None) -> T:
        """Take the greatest element, the first of equal ones; EmptyBagError if there is none.

        >>> import esker
        >>> esker.of(["a", "ccc", "bb"]).max(key=len)
        'ccc'
        """
        greatest: T = self._extreme(Extreme(key, True), "max")
        return greatest

    def _extreme(self, extreme: Extreme, operator: str) -> Any:
        parts = self._results(self._consumer(extreme, operator, extreme.key))
        found = [value for part in parts for value in part]
        if not found:
            raise EmptyBagError(f"{operator} of a Bag without elements")
        return reduce_all(extreme.better, found)

    def count_by_value(self) -> dict[T, int]:
        """Count how often each element occurs, in the order of first appearance.

        >>> import esker
        >>> esker.of("abca").count_by_value()
        {'a': 2, 'b': 1, 'c': 1}
        """
        return _added(self._results(self._consumer(count_values, "count_by_value")))

    def count_by_key(self: Actions[tuple[K, Any]]) -> dict[K, int]:
        """Count how many pairs each key has.

        >>> import esker
        >>> esker.of([("a", 1), ("b", 1), ("a", 1)]).count_by_key()
        {'a': 2, 'b': 1}
        """
        return _added(self._results(self._consumer(_count_keys, "count_by_key")))

    def count_approx_distinct(self, relative_error: float = 0.05) -> int:
        """Count different elements, about: the standard error is `relative_error` of the count.

        >>> import esker
        >>> 970 <= esker.range(10_000).map(lambda n: n % 1000).count_approx_distinct(0.01) <= 1030
        True
        """
        from esker.engine.bag.distinct_estimate import Registered, bits_for, estimated

        bits = bits_for(relative_error)
        return estimated(self._results(self._consumer(Registered(bits), "count_approx_distinct")), bits)

    def lookup(self: Actions[tuple[K, V]], key: K) -> list[V]:
        """Take the values of one key, in order.

        >>> import esker
        >>> esker.of([("a", 1), ("b", 2), ("a", 3)]).lookup("a")
        [1, 3]
        """
        parts = self._results(self._consumer(ValuesOf(key), "lookup"))
        return [value for part in parts for value in part]

    def take_sample(self, limit: int, seed: int = 0, *, replacement: bool = False) -> list[T]:
        """Take `limit` elements by chance, in the order of chance; the same for the same seed.

        >>> import esker
        >>> drawn = esker.range(1000).take_sample(3, seed=5)
        >>> len(set(drawn)), drawn == esker.range(1000).take_sample(3, seed=5)
        (3, True)

        Every set of so many is as likely as another; all are taken where there are no more. With `replacement` each
        draw is from all elements, so that one may come again, and they come in the order of the partitions.
        """
        from esker.engine.bag.sampled import AtPlaces, DrawLots, drawn_places, put_in_order

        require_whole("take_sample: limit", limit, 0)
        require_whole("take_sample: seed", seed, 0)
        if not replacement:
            parts = self._results(self._consumer(DrawLots(limit, seed), "take_sample"))
            lots = sorted((lot for part in parts for lot in part), key=lambda lot: lot[0])
            return [element for _, element in lots[:limit]]
        with running_bag(self._options, self._node) as run:
            pipelines = run.pipelines(self._node)
            operator = self._consumer(iter, "take_sample").operator
            counts = run.results(pipelines, Consumer(count_elements, operator), ahead=True)
            wanted = drawn_places(counts, limit, seed)
            found = run.results(pipelines, Consumer(AtPlaces(tuple(wanted)), operator))
        return put_in_order(wanted, found)

    def collect_as_dict(self: Actions[tuple[K, V]]) -> dict[K, V]:
        """Collect pairs as a dict; the last value of a key stays."""
        return dict(self.collect())

    # For what they do

    def foreach(self, function: Callable[[T], Any]) -> None:
        """Call `function` with each element, for what it does."""
        self._results(self._consumer(ForEach(function), "foreach", function))

    def foreach_partition(self, function: Callable[[Iterator[T]], Any]) -> None:
        """Call `function` with the iterator of each partition, for what it does."""
        self._results(self._consumer(ForPartition(function), "foreach_partition", function))


def _added(parts: Iterable[dict[Any, int]]) -> dict[Any, int]:
    total: dict[Any, int] = {}
    for part in parts:
        for key, count in part.items():
            total[key] = total.get(key, 0) + count
    return total


def _count_keys(elements: Iterator[Any]) -> dict[Any, int]:
    return count_values(pair[0] for pair in elements)
