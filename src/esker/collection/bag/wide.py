"""Steps that bring elements of different partitions together: by key, in order, or evenly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from esker.collection.bag.base import BagBase
from esker.collection.bag.element import K, T, U, V, W
from esker.engine.bag.call_site import call_site
from esker.engine.bag.options import require_whole

# The engine of wide steps loads NumPy and the kernel: a Bag without such steps starts without them.
if TYPE_CHECKING:
    from esker.collection.bag.bag import Bag
    from esker.engine.bag import wide
    from esker.engine.objects import Combine

KeyFunction = Callable[[Any], Any]


class WideSteps(BagBase[T]):
    """Methods of a Bag that add a wide step.

    `partitions` is how many there are afterwards (default: as many as the largest parent has); `partition_function`
    gives the number of a key's partition, taken modulo `partitions` (default: a hash that is the same in every
    process; whole numbers lie at their remainder). Keys are in the order they first appear, values in input order.
    """

    def reduce_by_key(
        self: WideSteps[tuple[K, V]],
        function: Callable[[V, V], V],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, V]]:
        """Reduce the values of each key to one, with a function that is associative.

        >>> import esker
        >>> sorted(esker.of([("a", 1), ("b", 1), ("a", 1)]).reduce_by_key(lambda x, y: x + y).collect())
        [('a', 2), ('b', 1)]

        Values are combined before they are moved, unless keys hardly repeat.
        """
        from esker.engine.objects import Combine

        self._check_function(function, "reduce_by_key", partition_function)
        self._callable(function, "reduce_by_key")
        return self._combined(Combine.reducing(function), "reduce_by_key", partitions, partition_function)

    def fold_by_key(
        self: WideSteps[tuple[K, V]],
        zero: V,
        function: Callable[[V, V], V],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, V]]:
        """Fold the values of each key into a copy of `zero`; `function` merges what was folded apart, too.

        >>> import esker
        >>> sorted(esker.of([("a", 1), ("b", 1), ("a", 1)]).fold_by_key(0, lambda x, y: x + y).collect())
        [('a', 2), ('b', 1)]
        """
        from esker.engine.objects import Combine

        self._check_function(function, "fold_by_key", partition_function)
        self._callable(function, "fold_by_key")
        return self._combined(Combine.folding(zero, function), "fold_by_key", partitions, partition_function)

    def aggregate_by_key(
        self: WideSteps[tuple[K, V]],
        zero: U,
        add: Callable[[U, V], U],
        merge: Callable[[U, U], U],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, U]]:
        """Add the values of each key to a copy of `zero`, and merge what came of different partitions.

        >>> import esker
        >>> pairs = esker.of([("a", 1), ("b", 5), ("a", 2)])
        >>> sorted(pairs.aggregate_by_key((0, 0), lambda t, n: (t[0] + n, t[1] + 1),
        ...                               lambda s, t: (s[0] + t[0], s[1] + t[1])).collect())
        [('a', (3, 2)), ('b', (5, 1))]
        """
        from esker.engine.objects import Combine

        self._check_function(add, "aggregate_by_key", merge, partition_function)
        for function in (add, merge):
            self._callable(function, "aggregate_by_key")
        return self._combined(Combine.aggregating(zero, add, merge), "aggregate_by_key", partitions, partition_function)

    def combine_by_key(
        self: WideSteps[tuple[K, V]],
        create: Callable[[V], U],
        add: Callable[[U, V], U],
        merge: Callable[[U, U], U],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, U]]:
        """Make a combiner of each key's first value, add the others, and merge those of different partitions.

        >>> import esker
        >>> pairs = esker.of([("a", 1), ("b", 5), ("a", 2)])
        >>> sorted(pairs.combine_by_key(str, lambda text, n: text + str(n), lambda s, t: s + t).collect())
        [('a', '12'), ('b', '5')]
        """
        from esker.engine.objects import Combine

        self._check_function(create, "combine_by_key", add, merge, partition_function)
        for function in (create, add, merge):
            self._callable(function, "combine_by_key")
        return self._combined(Combine.combining(create, add, merge), "combine_by_key", partitions, partition_function)

    def _combined(
        self, combine: Combine, operator: str, partitions: int | None, partition_function: KeyFunction | None
    ) -> Bag[Any]:
        from esker.engine.bag import wide

        read = wide.ReadReduced(combine)
        return self._shuffled([], read, operator, partitions, partition_function, combine=combine)

    def group_by_key(
        self: WideSteps[tuple[K, V]], partitions: int | None = None, *, partition_function: KeyFunction | None = None
    ) -> Bag[tuple[K, Collection[V]]]:
        """Bring the values of each key together: a sized iterable that may be larger than memory, and read again.

        >>> import esker
        >>> pairs = esker.of([("a", 1), ("b", 5), ("a", 2)])
        >>> sorted(pairs.group_by_key().map_values(list).collect())
        [('a', [1, 2]), ('b', [5])]
        """
        from esker.engine.bag import wide

        self._check_function(partition_function, "group_by_key")
        return self._shuffled([], wide.read_groups, "group_by_key", partitions, partition_function)

    def group_by(self, function: Callable[[T], K], partitions: int | None = None) -> Bag[tuple[K, Collection[T]]]:
        """Bring elements together by what `function` gives of them.

        >>> import esker
        >>> sorted(esker.range(5).group_by(lambda n: n % 2).map_values(list).collect())
        [(0, [0, 2, 4]), (1, [1, 3])]
        """
        return self._keyed_by(function, "group_by").group_by_key(partitions)

    def distinct(self, partitions: int | None = None) -> Bag[T]:
        """Keep one of all equal elements.

        >>> import esker
        >>> sorted(esker.of([1, 2, 1, 2, 2]).distinct().collect())
        [1, 2]
        """
        from esker.engine.bag import wide
        from esker.engine.objects import Combine, first

        combine = replace(Combine.reducing(first), functions=())
        keyed = self._bag.map(_as_key)
        return keyed._shuffled([], wide.ReadDistinct(combine), "distinct", partitions, None, combine=combine)

    # Two and more

    def cogroup(
        self: WideSteps[tuple[K, Any]],
        *others: Bag[tuple[K, Any]],
        partitions: int | None = None,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, tuple[Collection[Any], ...]]]:
        """Bring the values of each key of several Bags together: pairs of the key and a tuple of groups.

        >>> import esker
        >>> one, other = esker.of([("a", 1), ("b", 2)]), esker.of([("a", 3)])
        >>> grouped = one.cogroup(other).map_values(lambda sides: [list(side) for side in sides])
        >>> sorted(grouped.collect())
        [('a', [[1], [3]]), ('b', [[2], []])]
        """
        from esker.engine.bag import wide

        return self._matched(others, wide.cogroup_of, "cogroup", partitions, partition_function)

    def join(
        self: WideSteps[tuple[K, V]],
        other: Bag[tuple[K, W]],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, tuple[V, W]]]:
        """Make a pair of values of each key that both Bags have, for each pair of them.

        >>> import esker
        >>> ages, towns = esker.of([("Ada", 36), ("Alan", 41)]), esker.of([("Ada", "London")])
        >>> ages.join(towns).collect()
        [('Ada', (36, 'London'))]
        """
        from esker.engine.bag import wide

        return self._matched([other], wide.join_of, "join", partitions, partition_function)

    def left_join(
        self: WideSteps[tuple[K, V]],
        other: Bag[tuple[K, W]],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, tuple[V, W | None]]]:
        """As `join`, and values of this Bag whose key the other does not have, with None.

        >>> import esker
        >>> ages, towns = esker.of([("Ada", 36), ("Alan", 41)]), esker.of([("Ada", "London")])
        >>> sorted(ages.left_join(towns).collect())
        [('Ada', (36, 'London')), ('Alan', (41, None))]
        """
        from esker.engine.bag import wide

        return self._matched([other], wide.left_join_of, "left_join", partitions, partition_function)

    def right_join(
        self: WideSteps[tuple[K, V]],
        other: Bag[tuple[K, W]],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, tuple[V | None, W]]]:
        """As `join`, and values of the other Bag whose key this one does not have, with None."""
        from esker.engine.bag import wide

        return self._matched([other], wide.right_join_of, "right_join", partitions, partition_function)

    def full_join(
        self: WideSteps[tuple[K, V]],
        other: Bag[tuple[K, W]],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, tuple[V | None, W | None]]]:
        """As `join`, and values of keys that only one Bag has, with None."""
        from esker.engine.bag import wide

        return self._matched([other], wide.full_join_of, "full_join", partitions, partition_function)

    def subtract_by_key(
        self: WideSteps[tuple[K, V]],
        other: Bag[tuple[K, Any]],
        partitions: int | None = None,
        *,
        partition_function: KeyFunction | None = None,
    ) -> Bag[tuple[K, V]]:
        """Keep the pairs whose key the other Bag does not have.

        >>> import esker
        >>> esker.of([("a", 1), ("b", 2)]).subtract_by_key(esker.of([("a", 3)])).collect()
        [('b', 2)]
        """
        from esker.engine.bag import wide

        return self._matched([other], wide.subtract_by_key_of, "subtract_by_key", partitions, partition_function)

    def subtract(self, other: Bag[Any], partitions: int | None = None) -> Bag[T]:
        """Keep the elements that the other Bag does not have, as often as they come.

        >>> import esker
        >>> sorted(esker.of([1, 1, 2, 3]).subtract(esker.of([2])).collect())
        [1, 1, 3]
        """
        from esker.engine.bag import wide

        return self._keyed._matched([other.map(_as_key)], wide.subtract_of, "subtract", partitions, None)

    def intersection(self, other: Bag[Any], partitions: int | None = None) -> Bag[T]:
        """Keep the elements that both Bags have, each once.

        >>> import esker
        >>> sorted(esker.of([1, 1, 2, 3]).intersection(esker.of([3, 1])).collect())
        [1, 3]
        """
        from esker.engine.bag import wide

        return self._keyed._matched([other.map(_as_key)], wide.intersection_of, "intersection", partitions, None)

    def cartesian(self, other: Bag[U], partitions: int | None = None) -> Bag[tuple[T, U]]:
        """Make a pair of each element of this Bag with each of the other, which is kept in files.

        >>> import esker
        >>> esker.of("ab").cartesian(esker.of([1, 2])).collect()
        [('a', 1), ('a', 2), ('b', 1), ('b', 2)]

        There is a partition for each pair of partitions; where those are less than `partitions` (default: the number of
        workers), each is cut into ranges of one size, so that all workers share what a few partitions make.
        """
        from esker.engine.bag.cartesian import CartesianNode

        wanted = self._options.worker_count if partitions is None else partitions
        require_whole("cartesian: partitions", wanted, 1)
        pairs = max(1, self._node.partition_count * other._node.partition_count)
        return self._made(CartesianNode(self._node, other._node, -(-wanted // pairs), call_site()))

    # Places and order

    def repartition(self, partitions: int) -> Bag[T]:
        """Deal the elements out evenly.

        >>> import esker
        >>> [len(part) for part in esker.range(10, partitions=1).repartition(3).glom().collect()]
        [4, 3, 3]
        """
        from esker.engine.bag import wide

        require_whole("partitions", partitions, 1)
        return self._made(wide.RepartitionNode([self._node], partitions, "repartition", call_site()))

    def partition_by(self, partitions: int, function: KeyFunction | None = None) -> Bag[T]:
        """Move each pair to the partition of its key.

        >>> import esker
        >>> esker.of([(n, n) for n in range(6)]).partition_by(3).keys().glom().collect()
        [[0, 3], [1, 4], [2, 5]]
        """
        from esker.engine.bag import wide

        self._check_function(function, "partition_by")
        return self._shuffled([], wide.read_records, "partition_by", partitions, function, shape="records")

    def repartition_and_sort_within_partitions(
        self,
        partitions: int | None = None,
        function: KeyFunction | None = None,
        *,
        ascending: bool = True,
        key: KeyFunction | None = None,
    ) -> Bag[T]:
        """Move each pair to the partition of its key, and sort each partition by `key` of the keys.

        >>> import esker
        >>> pairs = esker.of([(3, "c"), (0, "a"), (2, "b")])
        >>> pairs.repartition_and_sort_within_partitions(2).glom().collect()
        [[(0, 'a'), (2, 'b')], [(3, 'c')]]
        """
        from esker.engine.bag import wide

        operator = "repartition_and_sort_within_partitions"
        self._check_function(function, operator, key)
        read = wide.ReadSorted(ascending, key)
        return self._shuffled([], read, operator, partitions, function, shape="records")

    def sort_by_key(
        self, ascending: bool = True, partitions: int | None = None, *, key: KeyFunction | None = None
    ) -> Bag[T]:
        """Sort pairs by their keys, or by `key` of them; equal ones keep their order.

        >>> import esker
        >>> esker.of([("b", 1), ("a", 2), ("b", 0)]).sort_by_key().collect()
        [('a', 2), ('b', 1), ('b', 0)]

        What comes before runs once: it is kept in files while a sample of the keys says where to cut.
        """
        from esker.engine.bag import wide

        self._check_function(key, "sort_by_key")
        return self._sorted(wide.ReadSorted(ascending, key), "sort_by_key", partitions)

    def sort_by(self, function: Callable[[T], Any], ascending: bool = True, partitions: int | None = None) -> Bag[T]:
        """Sort elements by what `function` gives of them; equal ones keep their order.

        >>> import esker
        >>> esker.of(["bb", "a", "cc"]).sort_by(len, ascending=False).collect()
        ['bb', 'cc', 'a']
        """
        from esker.engine.bag import wide

        read = wide.ReadSorted(ascending, values=True)
        return self._keyed_by(function, "sort_by")._sorted(read, "sort_by", partitions)

    def _sorted(self, read: wide.ReadSorted, operator: str, partitions: int | None) -> Bag:
        from esker.engine.bag import wide

        count = self._partitions([self._node], partitions)
        return self._made(wide.SortNode(self._node, count, read, operator, call_site()))

    # For the methods

    @property
    def _bag(self) -> Bag:
        return self._made(self._node)

    def _keyed_by(self, function: KeyFunction, operator: str) -> Bag:
        self._callable(function, operator)
        return self._step("key_by", operator, function)

    @property
    def _keyed(self) -> Bag:
        return self._bag.map(_as_key)

    def _matched(
        self,
        others: Sequence[Bag],
        each: Callable[[Any, Any], Iterable[Any]],
        operator: str,
        partitions: int | None,
        partition_function: KeyFunction | None,
    ) -> Bag:
        from esker.engine.bag import wide

        self._check_function(partition_function, operator)
        return self._shuffled(others, wide.ReadCogrouped(each), operator, partitions, partition_function)

    def _shuffled(
        self,
        others: Sequence[Bag],
        read: Callable[..., Any],
        operator: str,
        partitions: int | None,
        partition_function: KeyFunction | None,
        *,
        shape: str = "groups",
        combine: Combine | None = None,
    ) -> Bag:
        from esker.engine.bag import wide

        if partition_function is not None:
            self._callable(partition_function, operator)
        nodes = [self._node, *(other._node for other in others)]
        to = wide.partitioner_of(self._partitions(nodes, partitions), partition_function)
        return self._made(wide.ShuffleNode(nodes, to, read, operator, call_site(), shape=shape, combine=combine))

    def _partitions(self, nodes: Sequence[Any], partitions: int | None) -> int:
        """As many as asked for, or as the largest parent has; at least one."""
        if partitions is not None:
            require_whole("partitions", partitions, 1)
            return partitions
        counts: list[int] = [node.partition_count for node in nodes]
        return max(1, *counts)


def _as_key(element: Any) -> tuple[Any, None]:
    return element, None
