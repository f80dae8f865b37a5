"""Steps that look at one element, or one partition, at a time: they are fused, and move nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from esker.collection.bag.base import BagBase
from esker.collection.bag.element import K, T, U, V
from esker.engine.bag.call_site import call_site
from esker.engine.bag.options import require_whole
from esker.engine.bag.plan import (
    AlignedUnionNode,
    CoalesceNode,
    NumberedNode,
    UnionNode,
    ZipNode,
    require_same_partitions,
)
from esker.engine.bag.steps import PARTITION
from esker.errors import OptionError

if TYPE_CHECKING:
    from esker.collection.bag.bag import Bag


class NarrowSteps(BagBase[T]):
    """Methods of a Bag that add a narrow step."""

    def map(self, function: Callable[[T], U]) -> Bag[U]:
        """Call `function` with each element.

        >>> import esker
        >>> esker.of([1, 2, 3]).map(lambda n: n * n).collect()
        [1, 4, 9]
        """
        self._callable(function, "map")
        return self._step("map", "map", function)

    def star_map(self, function: Callable[..., U]) -> Bag[U]:
        """Call `function` with the parts of each element as its arguments.

        >>> import esker
        >>> esker.of([(2, 3), (4, 5)]).star_map(lambda a, b: a * b).collect()
        [6, 20]
        """
        self._callable(function, "star_map")
        return self._step("star_map", "star_map", function)

    def filter(self, predicate: Callable[[T], Any]) -> Bag[T]:
        """Keep the elements for which `predicate` is true.

        >>> import esker
        >>> esker.range(10).filter(lambda n: n % 3 == 0).collect()
        [0, 3, 6, 9]
        """
        self._callable(predicate, "filter")
        return self._step("filter", "filter", predicate)

    def flat_map(self, function: Callable[[T], Iterable[U]]) -> Bag[U]:
        """Call `function` with each element, and take what it gives one by one; a generator is never held whole.

        >>> import esker
        >>> esker.of(["to be", "or not"]).flat_map(str.split).collect()
        ['to', 'be', 'or', 'not']
        """
        self._callable(function, "flat_map")
        return self._step("flat_map", "flat_map", function)

    def map_partitions(self, function: Callable[[Iterator[T]], Iterable[U]]) -> Bag[U]:
        """Call `function` with the iterator of each partition, and take what it gives.

        >>> import esker
        >>> esker.range(6, partitions=2).map_partitions(lambda numbers: [sum(numbers)]).collect()
        [3, 12]
        """
        self._callable(function, "map_partitions")
        return self._step(PARTITION, "map_partitions", _WithoutIndex(function))

    def map_partitions_with_index(self, function: Callable[[int, Iterator[T]], Iterable[U]]) -> Bag[U]:
        """Call `function` with the number of each partition and its iterator, and take what it gives.

        >>> import esker
        >>> lines = esker.of(["name", "Ada", "Alan"], partitions=2)
        >>> lines.map_partitions_with_index(lambda n, lines: list(lines)[1:] if n == 0 else lines).collect()
        ['Ada', 'Alan']
        """
        self._callable(function, "map_partitions_with_index")
        return self._step(PARTITION, "map_partitions_with_index", function)

    def map_batches(self, function: Callable[[list[T]], Iterable[U]], batch_rows: int = 1000) -> Bag[U]:
        """Call `function` with lists of up to `batch_rows` elements of a partition, and take what it gives.

        >>> import esker
        >>> esker.range(5, partitions=1).map_batches(lambda batch: [len(batch)], 2).collect()
        [2, 2, 1]
        """
        self._callable(function, "map_batches")
        require_whole("map_batches: batch_rows", batch_rows, 1)
        return self._step(PARTITION, "map_batches", _InBatches(function, batch_rows))

    def glom(self) -> Bag[list[T]]:
        """Make each partition one list.

        >>> import esker
        >>> esker.range(5, partitions=2).glom().collect()
        [[0, 1], [2, 3, 4]]
        """
        return self._step(PARTITION, "glom", _glom)

    def pluck(self, key: Any, default: Any = None) -> Bag[Any]:
        """Take the item `key` of each element; with a `default`, where there is none. A list of keys gives a tuple.

        >>> import esker
        >>> people = esker.of([{"name": "Ada", "born": 1815}, {"name": "Alan", "born": 1912}])
        >>> people.pluck("name").collect(), people.pluck(["born", "name"]).first()
        (['Ada', 'Alan'], (1815, 'Ada'))
        """
        if default is not None:
            return self._step("map", "pluck", _Item(key, default))
        if isinstance(key, list):
            if not key:
                raise OptionError("pluck([]): name at least one key")
            return self._step("map", "pluck", _Items(tuple(key)))
        return self._step("pluck", "pluck", key)

    # Pairs

    def key_by(self, function: Callable[[T], K]) -> Bag[tuple[K, T]]:
        """Make pairs of what `function` gives for an element, and the element.

        >>> import esker
        >>> esker.of(["a", "bb"]).key_by(len).collect()
        [(1, 'a'), (2, 'bb')]
        """
        self._callable(function, "key_by")
        return self._step("key_by", "key_by", function)

    def map_values(self: NarrowSteps[tuple[K, V]], function: Callable[[V], U]) -> Bag[tuple[K, U]]:
        """Call `function` with the value of each pair, whose key stays.

        >>> import esker
        >>> esker.of([("a", 1), ("b", 2)]).map_values(lambda n: -n).collect()
        [('a', -1), ('b', -2)]
        """
        self._callable(function, "map_values")
        return self._step("map_values", "map_values", function)

    def flat_map_values(self: NarrowSteps[tuple[K, V]], function: Callable[[V], Iterable[U]]) -> Bag[tuple[K, U]]:
        """Call `function` with the value of each pair, and make a pair of each thing it gives.

        >>> import esker
        >>> esker.of([("a", "xy"), ("b", "z")]).flat_map_values(list).collect()
        [('a', 'x'), ('a', 'y'), ('b', 'z')]
        """
        self._callable(function, "flat_map_values")
        return self._step("flat_map_values", "flat_map_values", function)

    def keys(self: NarrowSteps[tuple[K, Any]]) -> Bag[K]:
        """Take the first of each pair."""
        return self._step("keys", "keys", None)

    def values(self: NarrowSteps[tuple[Any, V]]) -> Bag[V]:
        """Take the second of each pair."""
        return self._step("values", "values", None)

    # Numbers, samples, neighbours

    def zip(self, other: Bag[U]) -> Bag[tuple[T, U]]:
        """Make pairs with the elements of another Bag, in order; both have the same partitions.

        >>> import esker
        >>> esker.of("ab", partitions=2).zip(esker.of([1, 2], partitions=2)).collect()
        [('a', 1), ('b', 2)]

        Raises InputError, when it runs, if two partitions are not of one length.
        """
        require_same_partitions(self._node, other._node, "zip")
        return self._made(ZipNode(self._node, other._node, call_site()))

    def zip_with_index(self) -> Bag[tuple[T, int]]:
        """Make pairs of each element and its number, which counts through all partitions.

        >>> import esker
        >>> esker.of("abc", partitions=2).zip_with_index().collect()
        [('a', 0), ('b', 1), ('c', 2)]

        With more than one partition the elements of all but the last are counted first.
        """
        return self._made(NumberedNode(self._node, 0, False, "zip_with_index", call_site()))

    def enumerate(self, start: int = 0) -> Bag[tuple[int, T]]:
        """Make pairs of a number and each element, as Python's own `enumerate`.

        >>> import esker
        >>> esker.of("abc").enumerate(1).collect()
        [(1, 'a'), (2, 'b'), (3, 'c')]
        """
        return self._made(NumberedNode(self._node, start, True, "enumerate", call_site()))

    def zip_with_unique_id(self) -> Bag[tuple[T, int]]:
        """Make pairs of each element and a number nobody else has; nothing is counted.

        >>> import esker
        >>> esker.of("abcde", partitions=3).zip_with_unique_id().collect()
        [('a', 0), ('b', 1), ('c', 4), ('d', 2), ('e', 5)]

        Partition k of n gives k, n + k, 2n + k, ...
        """
        return self._step(PARTITION, "zip_with_unique_id", _UniqueNumbers(self.partition_count))

    def sample(self, fraction: float, seed: int = 0, *, replacement: bool = False) -> Bag[T]:
        """Keep each element with the chance `fraction`; the same for the same seed.

        >>> import esker
        >>> kept = esker.range(1000).sample(0.1, seed=7)
        >>> kept.collect() == kept.collect(), 60 < kept.count() < 140
        (True, True)

        With `replacement` an element comes as often as chance has it, `fraction` times on average (Poisson).
        """
        from esker.engine.bag.sampled import Sampled

        if fraction < 0 or (fraction > 1 and not replacement):
            raise OptionError(f"sample({fraction}): give a fraction from 0 to 1, or more with replacement=True")
        require_whole("sample: seed", seed, 0)
        return self._step(PARTITION, "sample", Sampled(float(fraction), seed, replacement))

    def random_split(self, weights: Sequence[float], seed: int = 0) -> list[Bag[T]]:
        """Deal the elements out to as many Bags as there are weights, each in proportion.

        >>> import esker
        >>> left, right = esker.range(100).random_split([1, 3], seed=5)
        >>> left.count() + right.count(), sorted(left.collect() + right.collect()) == list(range(100))
        (100, True)
        """
        from esker.engine.bag.sampled import SampledBetween, sampling_ranges

        require_whole("random_split: seed", seed, 0)
        return [
            self._step(PARTITION, "random_split", SampledBetween(low, high, seed))
            for low, high in sampling_ranges(weights)
        ]

    def pipe(
        self,
        command: str | Sequence[str],
        env: Mapping[str, str] | None = None,
        check: bool = False,
        inherit: bool = True,
    ) -> Bag[str]:
        """Write each element of a partition as a line to a command, and take the lines it prints.

        >>> import esker
        >>> esker.of(["b", "a"], partitions=1).pipe("sort").collect()
        ['a', 'b']

        A command in one text is split as a shell would, but run without one. With `check` its failure is an
        error; without `inherit` its environment is `env` alone.
        """
        from esker.engine.bag.piped import Piped

        return self._step(PARTITION, "pipe", Piped.of(command, env, check, inherit))

    def union(self, *others: Bag[U]) -> Bag[T | U]:
        """Put other Bags behind this one, partitions as they are.

        >>> import esker
        >>> (esker.of([1, 2]) + esker.of([3])).collect()
        [1, 2, 3]
        """
        return self._made(UnionNode([self._node, *(other._node for other in others)]))

    def union_partitions(self, *others: Bag[U]) -> Bag[T | U]:
        """Put the partitions of other Bags behind those of this one, each to each: all have as many.

        >>> import esker
        >>> esker.of("abcd", partitions=2).union_partitions(esker.of("xy", partitions=2)).glom().collect()
        [['a', 'b', 'x'], ['c', 'd', 'y']]
        """
        for other in others:
            require_same_partitions(self._node, other._node, "union_partitions")
        return self._made(AlignedUnionNode([self._node, *(other._node for other in others)]))

    def __add__(self, other: Bag[U]) -> Bag[T | U]:
        return self.union(other)

    def combinations(self, k: int, partitions: int | None = None) -> Bag[tuple[T, ...]]:
        """Take all ways to choose `k` elements, as tuples, in the order of Python's `itertools.combinations`.

        >>> import esker
        >>> esker.of("abc").combinations(2).collect()
        [('a', 'b'), ('a', 'c'), ('b', 'c')]

        Their order is cut into `partitions` ranges of one size (default: four for each worker), so that all workers
        share what few elements make. The elements are collected first, and held by each worker.
        """
        from esker.engine.bag.combined import CombinationsNode

        require_whole("combinations: k", k, 0)
        count = 4 * self._options.worker_count if partitions is None else partitions
        require_whole("combinations: partitions", count, 1)
        return self._made(CombinationsNode(self._node, k, count, call_site()))

    def coalesce(self, partitions: int) -> Bag[T]:
        """Join neighbouring partitions, until at most so many are left; nothing is moved.

        >>> import esker
        >>> esker.range(6, partitions=6).coalesce(2).glom().collect()
        [[0, 1, 2], [3, 4, 5]]
        """
        require_whole("coalesce: partitions", partitions, 1)
        return self._made(CoalesceNode(self._node, partitions))


def _glom(index: int, elements: Iterator[Any]) -> Iterable[Any]:
    return (list(elements),)


@dataclass(frozen=True)
class _WithoutIndex:
    user_function: Callable[[Iterator[Any]], Iterable[Any]]

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterable[Any]:
        return self.user_function(elements)


@dataclass(frozen=True)
class _InBatches:
    user_function: Callable[[list[Any]], Iterable[Any]]
    rows: int

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterator[Any]:
        while batch := list(islice(elements, self.rows)):
            yield from self.user_function(batch)


@dataclass(frozen=True)
class _Item:
    key: Any
    default: Any

    def __call__(self, element: Any) -> Any:
        try:
            return element[self.key]
        except (KeyError, IndexError):
            return self.default


@dataclass(frozen=True)
class _Items:
    keys: tuple[Any, ...]

    def __call__(self, element: Any) -> tuple[Any, ...]:
        return tuple(map(operator.getitem, (element,) * len(self.keys), self.keys))


@dataclass(frozen=True)
class _UniqueNumbers:
    partition_count: int

    def __call__(self, index: int, elements: Iterator[Any]) -> Iterator[Any]:
        for number, element in enumerate(elements):
            yield element, number * self.partition_count + index
