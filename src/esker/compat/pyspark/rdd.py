"""RDD: Spark's resilient distributed datasets over Esker's Bag.

Names, arguments, defaults and results are those of PySpark 4.3; its own doctests are the tests. How a step runs is
Bag's: fused generators, worker processes, one memory budget, spilling.
"""

from __future__ import annotations

import operator
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from esker.collection.bag.bag import Bag
from esker.compat.pyspark import histogram as histograms
from esker.compat.pyspark import partition_work, sampling, saving
from esker.compat.pyspark.approximate import BoundedFloat, bounded_mean, bounded_sum, exact
from esker.compat.pyspark.barrier import InBarrier
from esker.compat.pyspark.errors import NestedRDDError, PySparkNotImplementedError
from esker.compat.pyspark.partitioner import Partitioner, portable_hash
from esker.compat.pyspark.protocol import Py4JJavaError
from esker.compat.pyspark.resultiterable import ResultIterable
from esker.compat.pyspark.statcounter import StatCounter
from esker.compat.pyspark.storagelevel import StorageLevel
from esker.engine.bag.histogram import bounds
from esker.engine.bag.plan import HandleNode
from esker.errors import CancelledError, EmptyBagError

if TYPE_CHECKING:
    from esker.compat.pyspark.context import SparkContext

__all__ = ["RDD", "RDDBarrier", "Partitioner", "portable_hash", "BoundedFloat"]

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K")
V = TypeVar("V")
W = TypeVar("W")

PairFunction = Callable[[Any], int]

_SMALLEST_RELATIVE_SD = 0.000017


def _itself(value: T) -> T:
    return value


def _as_results(groups: Sequence[Collection[Any]]) -> tuple[ResultIterable[Any], ...]:
    return tuple(ResultIterable(group) for group in groups)


def _needs_hadoop(name: str) -> NoReturn:
    raise PySparkNotImplementedError(
        f"{name} runs Hadoop's Java classes, and there is no JVM here: "
        "use saveAsTextFile and textFile, or a Bag's write_parquet and read_parquet"
    )


class RDD(Generic[T]):
    """A partitioned collection; made by a SparkContext and by other RDDs.

    >>> from esker.compat.pyspark import SparkContext
    >>> with SparkContext("local[2]", "words") as sc:
    ...     words = sc.parallelize(["to be", "or not", "to be"]).flatMap(str.split)
    ...     sorted(words.map(lambda word: (word, 1)).reduceByKey(lambda a, b: a + b).collect())
    [('be', 2), ('not', 1), ('or', 1), ('to', 2)]
    """

    # What a Bag's check of closures calls it, and raises.
    collection_kind = "RDD"
    nested_error = NestedRDDError

    def __init__(
        self,
        bag: Bag,
        ctx: SparkContext,
        operation: str,
        parents: Sequence[RDD[Any]] = (),
        *,
        kind: str = "PythonRDD",
        partitioner: Partitioner | None = None,
        wide: bool = False,
        barrier: bool = False,
    ) -> None:
        # What is put there when it is cached or saved holds for RDDs that were made of it before, as in Spark.
        self._place = HandleNode(bag._node)
        self._options = bag.options
        self.ctx = ctx
        self.is_cached = False
        self.is_checkpointed = False
        self.has_resource_profile = False
        self.partitioner = partitioner
        self._id = ctx._next_rdd_id()
        self._operation = operation
        self._parents = tuple(parents)
        self._kind = kind
        self._wide = wide
        self._barrier = barrier
        self._name: str | None = None
        self._level = StorageLevel.NONE
        self._locally_checkpointed = False
        self._checkpoint_file: str | None = None

    @property
    def _bag(self) -> Bag:
        return Bag(self._place, self._options)

    @_bag.setter
    def _bag(self, bag: Bag) -> None:
        self._place.put(bag._node)
        self._options = bag.options

    @property
    def _computed(self) -> Bag:
        """The Bag itself, in the place where RDDs made of this one look for it."""
        return Bag(self._place.node, self._options)

    # What it is

    def id(self) -> int:
        """Give its number within the context."""
        return self._id

    def __repr__(self) -> str:
        name = f"{self._name} " if self._name else ""
        return f"{name}{self._kind}[{self._id}] at {self._operation}"

    def __reduce__(self) -> NoReturn:
        raise NestedRDDError(
            "an RDD cannot be sent to a task or saved: use it on the driver, and hand its result, "
            "or sc.broadcast(result), to the function (SPARK-5063)"
        )

    @property
    def context(self) -> SparkContext:
        """The context it was made in."""
        return self.ctx

    def name(self) -> str | None:
        """Give the name it was given, or None."""
        return self._name

    def setName(self, name: str) -> RDD[T]:
        """Give it a name; returns itself."""
        self._name = name
        return self

    def getNumPartitions(self) -> int:
        """Count its partitions."""
        count: int = self._bag.partition_count
        return count

    def toDebugString(self) -> bytes | None:
        """Draw what it is made from, a line an RDD, an indent a shuffle."""
        return "\n".join(self._lineage("", first=True)).encode()

    def _lineage(self, indent: str, first: bool = False) -> Iterator[str]:
        count = f"({self.getNumPartitions()})"
        yield f"{indent}{count if first else '|'.ljust(len(count))} {self!r} []"
        for parent in self._parents:
            deeper = indent + " " * (len(count) - 1) if self._wide or len(self._parents) > 1 else indent
            yield from parent._lineage(deeper + " +-" if self._wide else deeper, first=self._wide)

    def _ancestors(self) -> Iterator[RDD[Any]]:
        """Itself and all it is made from, each once, the oldest first."""
        seen: dict[int, RDD[Any]] = {}
        waiting: list[RDD[Any]] = [self]
        while waiting:
            rdd = waiting.pop()
            if rdd._id not in seen:
                seen[rdd._id] = rdd
                waiting.extend(rdd._parents)
        return (seen[number] for number in sorted(seen))

    # Persistence

    def cache(self) -> RDD[T]:
        """Keep it in memory once it is computed; returns itself."""
        return self.persist(StorageLevel.MEMORY_ONLY)

    def persist(self, storageLevel: StorageLevel = StorageLevel.MEMORY_ONLY) -> RDD[T]:
        """Keep it at a level once it is computed; returns itself.

        Raises Py4JJavaError when it has another level already: unpersist it first.
        """
        if not isinstance(storageLevel, StorageLevel):
            raise TypeError("storageLevel must be of type pyspark.StorageLevel")
        self.is_cached = True
        if self._level not in (StorageLevel.NONE, storageLevel):
            raise Py4JJavaError("Cannot change storage level of an RDD after it was already assigned a level")
        if self._level != storageLevel:
            self._level = storageLevel
            self._bag = self._computed.persist("memory" if storageLevel.useMemory else "disk")
        return self

    def unpersist(self, blocking: bool = False) -> RDD[T]:
        """Drop what was kept of it; returns itself. It is always dropped at once."""
        self.is_cached = False
        self._level = StorageLevel.NONE
        self._bag = self._computed.unpersist()
        return self

    def getStorageLevel(self) -> StorageLevel:
        """Give the level it is kept at."""
        return self._level

    def checkpoint(self) -> None:
        """Mark it to be saved in the context's checkpoint folder by the first job that computes it.

        Raises Py4JJavaError when the context has no checkpoint folder.
        """
        if self.ctx.getCheckpointDir() is None:
            raise Py4JJavaError("Checkpoint directory has not been set in the SparkContext")
        self.is_checkpointed = True

    def isCheckpointed(self) -> bool:
        """Tell whether it was saved, in the checkpoint folder or locally."""
        return self._checkpoint_file is not None or self._locally_checkpointed

    def localCheckpoint(self) -> None:
        """Keep it on this machine once it is computed, and compute it no second time."""
        self._locally_checkpointed = True
        if self._level == StorageLevel.NONE:
            self.persist(StorageLevel.MEMORY_AND_DISK)

    def isLocallyCheckpointed(self) -> bool:
        """Tell whether `localCheckpoint` was called."""
        return self._locally_checkpointed

    def getCheckpointFile(self) -> str | None:
        """Give the folder it was saved in; None before a job has."""
        return self._checkpoint_file

    def cleanShuffleDependencies(self, blocking: bool = False) -> None:
        """Remove files of shuffles: there are none, they go when the action ends."""

    # Narrow steps

    def _derived(
        self,
        bag: Bag,
        operation: str,
        keeps_partitioning: bool = False,
        *,
        others: Sequence[RDD[Any]] = (),
        partitioner: Partitioner | None = None,
        wide: bool = False,
    ) -> RDD[Any]:
        parents = (self, *others)
        return RDD(
            bag,
            self.ctx,
            operation,
            parents,
            partitioner=self.partitioner if keeps_partitioning else partitioner,
            wide=wide,
            barrier=not wide and any(parent._barrier for parent in parents),
        )

    def map(self, f: Callable[[T], U], preservesPartitioning: bool = False) -> RDD[U]:
        """Apply a function to each element."""
        return self._derived(self._bag.map(f), "map", preservesPartitioning)

    def flatMap(self, f: Callable[[T], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """Apply a function to each element and yield all that it gives, one by one."""
        return self._derived(self._bag.flat_map(f), "flatMap", preservesPartitioning)

    def mapPartitions(self, f: Callable[[Iterable[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """Apply a function to the iterator of each partition."""
        return self._derived(self._bag.map_partitions(f), "mapPartitions", preservesPartitioning)

    def mapPartitionsWithIndex(
        self, f: Callable[[int, Iterable[T]], Iterable[U]], preservesPartitioning: bool = False
    ) -> RDD[U]:
        """Apply a function to the number and the iterator of each partition."""
        bag = self._bag.map_partitions_with_index(f)
        return self._derived(bag, "mapPartitionsWithIndex", preservesPartitioning)

    def mapPartitionsWithSplit(
        self, f: Callable[[int, Iterable[T]], Iterable[U]], preservesPartitioning: bool = False
    ) -> RDD[U]:
        """Do as `mapPartitionsWithIndex`, under its old name."""
        warnings.warn(
            "mapPartitionsWithSplit is deprecated; use mapPartitionsWithIndex instead", FutureWarning, stacklevel=2
        )
        return self.mapPartitionsWithIndex(f, preservesPartitioning)

    def filter(self, f: Callable[[T], bool]) -> RDD[T]:
        """Keep the elements that a function is true of."""
        return self._derived(self._bag.filter(f), "filter", True)

    def keyBy(self, f: Callable[[T], K]) -> RDD[tuple[K, T]]:
        """Make pairs of a key, which a function gives, and the element."""
        return self._derived(self._bag.key_by(f), "keyBy")

    def keys(self: RDD[tuple[K, V]]) -> RDD[K]:
        """Give the first of each pair."""
        return self._derived(self._bag.keys(), "keys")

    def values(self: RDD[tuple[K, V]]) -> RDD[V]:
        """Give the second of each pair."""
        return self._derived(self._bag.values(), "values")

    def mapValues(self: RDD[tuple[K, V]], f: Callable[[V], U]) -> RDD[tuple[K, U]]:
        """Apply a function to the second of each pair."""
        return self._derived(self._bag.map_values(f), "mapValues", True)

    def flatMapValues(self: RDD[tuple[K, V]], f: Callable[[V], Iterable[U]]) -> RDD[tuple[K, U]]:
        """Apply a function to the second of each pair and make a pair of each that it gives."""
        return self._derived(self._bag.flat_map_values(f), "flatMapValues", True)

    def glom(self) -> RDD[list[T]]:
        """Make one list of each partition."""
        return self._derived(self._bag.glom(), "glom")

    def pipe(self, command: str, env: dict[str, str] | None = None, checkCode: bool = False) -> RDD[str]:
        """Send each partition through a program, a line an element.

        As in Spark the program's environment is `env` alone. With `checkCode` the job fails when the program does.
        """
        return self._derived(self._bag.pipe(command, env, checkCode, inherit=False), "pipe")

    def zip(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Pair the elements of two RDDs of the same shape.

        Raises ValueError for different numbers of partitions, and in the job for different numbers of elements.
        """
        if self.getNumPartitions() != other.getNumPartitions():
            raise ValueError("Can only zip with RDD which has the same number of partitions")
        return self._derived(self._bag.zip(other._bag), "zip", others=(other,))

    def zipWithIndex(self) -> RDD[tuple[T, int]]:
        """Number the elements from 0, in order. The partitions before the last are counted when it is computed."""
        return self._derived(self._bag.zip_with_index(), "zipWithIndex")

    def zipWithUniqueId(self) -> RDD[tuple[T, int]]:
        """Give each element a number of its own: k, n+k, 2n+k, ... in partition k of n. Nothing is counted."""
        return self._derived(self._bag.zip_with_unique_id(), "zipWithUniqueId")

    def union(self, other: RDD[U]) -> RDD[T | U]:
        """Put another RDD behind this one. Partitions of the same partitioner are put together one by one."""
        return self.ctx.union([self, other])

    def __add__(self, other: RDD[U]) -> RDD[T | U]:
        if not isinstance(other, RDD):
            raise TypeError(f"an RDD can be added to an RDD, not to {type(other).__name__}")
        return self.union(other)

    def coalesce(self, numPartitions: int, shuffle: bool = False) -> RDD[T]:
        """Put neighbouring partitions together, or, with `shuffle`, deal the elements out evenly.

        Raises ValueError for a number below 1.
        """
        if not numPartitions > 0:
            raise ValueError("Number of partitions must be positive.")
        if shuffle:
            return self._derived(self._bag.repartition(numPartitions), "coalesce", wide=True)
        return self._derived(self._bag.coalesce(numPartitions), "coalesce")

    def repartition(self, numPartitions: int) -> RDD[T]:
        """Deal the elements out evenly to a number of partitions."""
        return self.coalesce(numPartitions, shuffle=True)

    def barrier(self) -> RDDBarrier[T]:
        """Mark the stage that comes: all its tasks start at once, and may wait for one another."""
        return RDDBarrier(self)

    def _is_barrier(self) -> bool:
        return self._barrier

    # Samples

    def sample(self, withReplacement: bool, fraction: float, seed: int | None = None) -> RDD[T]:
        """Draw about a fraction of the elements: the ones that PySpark draws with the same seed and partitions.

        Raises ValueError for a fraction below 0.
        """
        if not fraction >= 0:
            raise ValueError("Fraction must be nonnegative.")
        drawn = sampling.Sampler(withReplacement, fraction, sampling.chosen_seed(seed))
        return self._derived(self._bag.map_partitions_with_index(drawn), "sample", True)

    def sampleByKey(
        self: RDD[tuple[K, V]],
        withReplacement: bool,
        fractions: Mapping[K, float | int],
        seed: int | None = None,
    ) -> RDD[tuple[K, V]]:
        """Draw of each key's pairs about a fraction of its own."""
        for fraction in fractions.values():
            assert fraction >= 0.0, f"Negative fraction value: {fraction}"
        drawn = sampling.StratifiedSampler(withReplacement, dict(fractions), sampling.chosen_seed(seed))
        return self._derived(self._bag.map_partitions_with_index(drawn), "sampleByKey", True)

    def randomSplit(self, weights: Sequence[int | float], seed: int | None = None) -> list[RDD[T]]:
        """Deal the elements at random to several RDDs, by weight.

        Raises ValueError for weights without a positive sum.
        """
        if any(weight < 0 for weight in weights):
            raise ValueError("Weights must be nonnegative")
        total = float(sum(weights))
        if not total > 0:
            raise ValueError("Sum of weights must be positive")
        seed = sampling.chosen_seed(seed, 2**32 - 1)
        edges = [0.0]
        for weight in weights:
            edges.append(edges[-1] + weight / total)
        return [
            self._derived(
                self._bag.map_partitions_with_index(sampling.RangeSampler(low, high, seed)), "randomSplit", True
            )
            for low, high in pairwise(edges)
        ]

    def takeSample(self, withReplacement: bool, num: int, seed: int | None = None) -> list[T]:
        """Draw a number of elements. Raises ValueError for a number below 0, or too large to be drawn safely."""
        sampling.check_size(num)
        if num == 0 or self.getNumPartitions() == 0:
            return []
        total = self.count()
        if total == 0:
            return []
        chance = sampling.seeded(seed)
        if not withReplacement and num >= total:
            drawn = self.collect()
        else:
            fraction = sampling.safe_fraction(num, total, withReplacement)
            drawn = self.sample(withReplacement, fraction, seed).collect()
            while len(drawn) < num:
                drawn = self.sample(withReplacement, fraction, sampling.next_seed(chance)).collect()
        chance.shuffle(drawn)
        return drawn[:num]

    # Wide steps

    def _default_partitions(self) -> int:
        """As many as the configuration says, or as many as there are."""
        if self.ctx._conf.contains("spark.default.parallelism"):
            return self.ctx.defaultParallelism
        return self.getNumPartitions()

    _defaultReducePartitions = _default_partitions

    def _placed(self, numPartitions: int | None, partitionFunc: PairFunction) -> Partitioner:
        return Partitioner(self._default_partitions() if numPartitions is None else numPartitions, partitionFunc)

    def _shuffled(
        self, bag: Bag, operation: str, partitioner: Partitioner, others: Sequence[RDD[Any]] = ()
    ) -> RDD[Any]:
        moves = any(rdd.partitioner != partitioner for rdd in (self, *others))
        return self._derived(bag, operation, others=others, partitioner=partitioner, wide=moves)

    def partitionBy(
        self: RDD[tuple[K, V]], numPartitions: int | None, partitionFunc: PairFunction = portable_hash
    ) -> RDD[tuple[K, V]]:
        """Move each pair to the partition that a function of its key says."""
        to = self._placed(numPartitions, partitionFunc)
        if self.partitioner == to:
            return self
        bag = self._bag.partition_by(to.numPartitions, to.engine_function)
        return self._shuffled(bag, "partitionBy", to)

    def repartitionAndSortWithinPartitions(
        self: RDD[tuple[Any, Any]],
        numPartitions: int | None = None,
        partitionFunc: PairFunction = portable_hash,
        ascending: bool = True,
        keyfunc: Callable[[Any], Any] = _itself,
    ) -> RDD[tuple[Any, Any]]:
        """Move each pair to its partition, and sort each partition by key."""
        to = self._placed(numPartitions, partitionFunc)
        bag = self._bag.repartition_and_sort_within_partitions(
            to.numPartitions, to.engine_function, ascending=ascending, key=_order(keyfunc)
        )
        return self._shuffled(bag, "repartitionAndSortWithinPartitions", to)

    def sortByKey(
        self: RDD[tuple[K, V]],
        ascending: bool | None = True,
        numPartitions: int | None = None,
        keyfunc: Callable[[Any], Any] = _itself,
    ) -> RDD[tuple[K, V]]:
        """Sort pairs by their keys. Nothing is sampled before it is computed."""
        bag = self._bag.sort_by_key(
            ascending=bool(ascending), key=_order(keyfunc), partitions=numPartitions or self._default_partitions()
        )
        return self._derived(bag, "sortByKey", wide=True)

    def sortBy(self, keyfunc: Callable[[T], Any], ascending: bool = True, numPartitions: int | None = None) -> RDD[T]:
        """Sort by what a function gives of each element."""
        bag = self._bag.sort_by(keyfunc, ascending=ascending, partitions=numPartitions or self._default_partitions())
        return self._derived(bag, "sortBy", wide=True)

    def distinct(self, numPartitions: int | None = None) -> RDD[T]:
        """Keep one of all equal elements."""
        bag = self._bag.distinct(partitions=numPartitions or self._default_partitions())
        return self._derived(bag, "distinct", wide=True)

    def groupBy(
        self,
        f: Callable[[T], K],
        numPartitions: int | None = None,
        partitionFunc: PairFunction = portable_hash,
    ) -> RDD[tuple[K, Iterable[T]]]:
        """Group elements by what a function gives of them."""
        pairs: RDD[Any] = self.keyBy(f)
        return pairs.groupByKey(numPartitions, partitionFunc)

    def groupByKey(
        self: RDD[tuple[K, V]], numPartitions: int | None = None, partitionFunc: PairFunction = portable_hash
    ) -> RDD[tuple[K, Iterable[V]]]:
        """Group values by key: each group can be read again and again, and may be larger than memory."""
        to = self._placed(numPartitions, partitionFunc)
        bag = self._bag.group_by_key(partitions=to.numPartitions, partition_function=to.engine_function)
        return self._shuffled(bag.map_values(ResultIterable), "groupByKey", to)

    def reduceByKey(
        self: RDD[tuple[K, V]],
        func: Callable[[V, V], V],
        numPartitions: int | None = None,
        partitionFunc: PairFunction = portable_hash,
    ) -> RDD[tuple[K, V]]:
        """Reduce the values of each key to one, with an associative function; values keep their order."""
        to = self._placed(numPartitions, partitionFunc)
        bag = self._bag.reduce_by_key(func, partitions=to.numPartitions, partition_function=to.engine_function)
        return self._shuffled(bag, "reduceByKey", to)

    def foldByKey(
        self: RDD[tuple[K, V]],
        zeroValue: V,
        func: Callable[[V, V], V],
        numPartitions: int | None = None,
        partitionFunc: PairFunction = portable_hash,
    ) -> RDD[tuple[K, V]]:
        """Fold the values of each key into a copy of the zero."""
        to = self._placed(numPartitions, partitionFunc)
        bag = self._bag.fold_by_key(zeroValue, func, partitions=to.numPartitions, partition_function=to.engine_function)
        return self._shuffled(bag, "foldByKey", to)

    def aggregateByKey(
        self: RDD[tuple[K, V]],
        zeroValue: U,
        seqFunc: Callable[[U, V], U],
        combFunc: Callable[[U, U], U],
        numPartitions: int | None = None,
        partitionFunc: PairFunction = portable_hash,
    ) -> RDD[tuple[K, U]]:
        """Add the values of each key to a copy of the zero, and merge what partitions made."""
        to = self._placed(numPartitions, partitionFunc)
        bag = self._bag.aggregate_by_key(
            zeroValue, seqFunc, combFunc, partitions=to.numPartitions, partition_function=to.engine_function
        )
        return self._shuffled(bag, "aggregateByKey", to)

    def combineByKey(
        self: RDD[tuple[K, V]],
        createCombiner: Callable[[V], U],
        mergeValue: Callable[[U, V], U],
        mergeCombiners: Callable[[U, U], U],
        numPartitions: int | None = None,
        partitionFunc: PairFunction = portable_hash,
    ) -> RDD[tuple[K, U]]:
        """Make a combiner of the first value of each key, add the others, and merge what partitions made."""
        to = self._placed(numPartitions, partitionFunc)
        bag = self._bag.combine_by_key(
            createCombiner,
            mergeValue,
            mergeCombiners,
            partitions=to.numPartitions,
            partition_function=to.engine_function,
        )
        return self._shuffled(bag, "combineByKey", to)

    def _placed_with(self, others: Sequence[RDD[Any]], numPartitions: int | None) -> Partitioner:
        """Where a join puts keys: as Spark's union of its sides does, unless they lie alike already."""
        if numPartitions is None:
            numPartitions = self.ctx.union([self, *others])._default_partitions()
        return Partitioner(numPartitions, portable_hash)

    def _joined(self, method: str, operation: str, other: RDD[Any], numPartitions: int | None) -> RDD[Any]:
        to = self._placed_with([other], numPartitions)
        bag = getattr(self._bag, method)(other._bag, partitions=to.numPartitions)
        return self._shuffled(bag, operation, to, (other,))

    def join(self: RDD[tuple[K, V]], other: RDD[tuple[K, U]], numPartitions: int | None = None) -> RDD[Any]:
        """Pair the values of keys that both have."""
        return self._joined("join", "join", other, numPartitions)

    def leftOuterJoin(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, U]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V, U | None]]]:
        """Pair the values of keys; those of this side alone with None."""
        return self._joined("left_join", "leftOuterJoin", other, numPartitions)

    def rightOuterJoin(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, U]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, U]]]:
        """Pair the values of keys; those of the other side alone with None."""
        return self._joined("right_join", "rightOuterJoin", other, numPartitions)

    def fullOuterJoin(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, U]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[V | None, U | None]]]:
        """Pair the values of keys; those of either side alone with None."""
        return self._joined("full_join", "fullOuterJoin", other, numPartitions)

    def cogroup(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, U]], numPartitions: int | None = None
    ) -> RDD[tuple[K, tuple[ResultIterable[V], ResultIterable[U]]]]:
        """Group the values of both sides by key."""
        return self._cogrouped([other], numPartitions, "cogroup")

    def groupWith(
        self: RDD[tuple[Any, Any]], other: RDD[tuple[Any, Any]], *others: RDD[tuple[Any, Any]]
    ) -> RDD[tuple[Any, tuple[ResultIterable[Any], ...]]]:
        """Group the values of several RDDs by key."""
        return self._cogrouped([other, *others], None, "groupWith")

    def _cogrouped(self, others: Sequence[RDD[Any]], numPartitions: int | None, operation: str) -> RDD[Any]:
        to = self._placed_with(others, numPartitions)
        bag = self._bag.cogroup(*[other._bag for other in others], partitions=to.numPartitions)
        return self._shuffled(bag.map_values(_as_results), operation, to, others)

    def subtractByKey(
        self: RDD[tuple[K, V]], other: RDD[tuple[K, Any]], numPartitions: int | None = None
    ) -> RDD[tuple[K, V]]:
        """Keep the pairs whose key the other side does not have."""
        return self._joined("subtract_by_key", "subtractByKey", other, numPartitions)

    def subtract(self, other: RDD[T], numPartitions: int | None = None) -> RDD[T]:
        """Keep the elements that the other side does not have, as often as they come."""
        to = self._placed_with([other], numPartitions)
        bag = self._bag.subtract(other._bag, partitions=to.numPartitions)
        return self._derived(bag, "subtract", others=(other,), wide=True)

    def intersection(self, other: RDD[T]) -> RDD[T]:
        """Keep the elements that both sides have, each once."""
        to = self._placed_with([other], None)
        bag = self._bag.intersection(other._bag, partitions=to.numPartitions)
        return self._derived(bag, "intersection", others=(other,), wide=True)

    def cartesian(self, other: RDD[U]) -> RDD[tuple[T, U]]:
        """Pair each element with each of the other side."""
        return self._derived(self._bag.cartesian(other._bag, partitions=1), "cartesian", others=(other,))

    # Actions

    def _job(self, name: str) -> AbstractContextManager[Bag]:
        return self.ctx._job(self, name)

    def _each(
        self, name: str, consumer: Callable[[Iterator[T]], U], partitions: Sequence[int] | None = None
    ) -> list[U]:
        """What `consumer` makes of each partition."""
        with self._job(name) as bag:
            made: list[U] = bag.run(consumer, partitions)
            return made

    def collect(self) -> list[T]:
        """Give all elements, in order."""
        with self._job("collect") as bag:
            elements: list[T] = bag.collect()
            return elements

    def collectWithJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> list[T]:
        """Give all elements, in a job of a group."""
        warnings.warn(
            "Deprecated in 3.1, Use pyspark.InheritableThread with the pinned thread mode enabled.",
            FutureWarning,
            stacklevel=2,
        )
        with self.ctx._in_group(groupId, description):
            return self.collect()

    def collectAsMap(self: RDD[tuple[K, V]]) -> dict[K, V]:
        """Make a dictionary of all pairs; of equal keys the last one stays."""
        return dict(self.collect())

    def toLocalIterator(self, prefetchPartitions: bool = False) -> Iterator[T]:
        """Yield all elements, in order, as they are computed; workers are a window of them ahead in any case."""
        with self._job("toLocalIterator") as bag:
            yield from bag

    def foreach(self, f: Callable[[T], Any]) -> None:
        """Call a function with each element."""
        with self._job("foreach") as bag:
            bag.foreach(f)

    def foreachPartition(self, f: Callable[[Iterator[T]], Any]) -> None:
        """Call a function with the iterator of each partition."""
        with self._job("foreachPartition") as bag:
            bag.foreach_partition(f)

    def take(self, num: int) -> list[T]:
        """Give the first elements; no more partitions are computed than needed."""
        if num <= 0:
            return []
        with self._job("take") as bag:
            elements: list[T] = bag.take(num)
            return elements

    def first(self) -> T:
        """Give the first element. Raises ValueError when there is none."""
        for element in self.take(1):
            return element
        raise ValueError("RDD is empty")

    def isEmpty(self) -> bool:
        """Tell whether there is no element."""
        return self.getNumPartitions() == 0 or not self.take(1)

    def top(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Give the largest elements, the largest first."""
        if num <= 0:
            return []
        with self._job("top") as bag:
            elements: list[T] = bag.top(num, key=key)
            return elements

    def takeOrdered(self, num: int, key: Callable[[T], Any] | None = None) -> list[T]:
        """Give the smallest elements, the smallest first. Raises ValueError for a number below 0."""
        if num < 0:
            raise ValueError("top N cannot be negative.")
        if num == 0 or self.getNumPartitions() == 0:
            return []
        with self._job("takeOrdered") as bag:
            elements: list[T] = bag.take_ordered(num, key=key)
            return elements

    def reduce(self, f: Callable[[T, T], T]) -> T:
        """Reduce all elements to one. Raises ValueError when there is none."""
        return self._of_elements("reduce", lambda bag: bag.reduce(f))

    def max(self, key: Callable[[T], Any] | None = None) -> T:
        """Give the largest element. Raises ValueError when there is none."""
        return self._of_elements("max", lambda bag: bag.max(key=key))

    def min(self, key: Callable[[T], Any] | None = None) -> T:
        """Give the smallest element. Raises ValueError when there is none."""
        return self._of_elements("min", lambda bag: bag.min(key=key))

    def _of_elements(self, name: str, action: Callable[[Bag], T], empty: str = "Can not reduce() empty RDD") -> T:
        try:
            with self._job(name) as bag:
                return action(bag)
        except EmptyBagError:
            raise ValueError(empty) from None

    def treeReduce(self, f: Callable[[T, T], T], depth: int = 2) -> T:
        """Reduce all elements to one, in levels. Raises ValueError when there is none, or for a depth below 1."""
        _check_depth(depth)
        return self._of_elements("treeReduce", lambda bag: bag.tree_reduce(f, depth=depth), "Cannot reduce empty RDD.")

    def fold(self, zeroValue: T, op: Callable[[T, T], T]) -> T:
        """Fold each partition into a copy of the zero, and the results into another."""
        with self._job("fold") as bag:
            value: T = bag.fold(zeroValue, op)
            return value

    def aggregate(self, zeroValue: U, seqOp: Callable[[U, T], U], combOp: Callable[[U, U], U]) -> U:
        """Add each partition's elements to a copy of the zero, and merge the results with another."""
        with self._job("aggregate") as bag:
            value: U = bag.aggregate(zeroValue, seqOp, combOp)
            return value

    def treeAggregate(self, zeroValue: U, seqOp: Callable[[U, T], U], combOp: Callable[[U, U], U], depth: int = 2) -> U:
        """Do as `aggregate`, merging in levels. Raises ValueError for a depth below 1."""
        _check_depth(depth)
        if self.getNumPartitions() == 0:
            return zeroValue
        with self._job("treeAggregate") as bag:
            value: U = bag.tree_aggregate(zeroValue, seqOp, combOp, depth=depth)
            return value

    def reduceByKeyLocally(self: RDD[tuple[K, V]], func: Callable[[V, V], V]) -> dict[K, V]:
        """Reduce the values of each key to one, in a dictionary."""
        work = partition_work.ReduceByKey(func)
        found: dict[K, V] = {}
        for part in self._each("reduceByKeyLocally", work):
            work.merge(found, part.items())
        return found

    def count(self) -> int:
        """Count the elements."""
        with self._job("count") as bag:
            total: int = bag.count()
            return total

    def countByKey(self: RDD[tuple[K, V]]) -> dict[K, int]:
        """Count the pairs of each key."""
        with self._job("countByKey") as bag:
            return defaultdict(int, bag.count_by_key())

    def countByValue(self: RDD[K]) -> dict[K, int]:
        """Count each value."""
        with self._job("countByValue") as bag:
            return defaultdict(int, bag.count_by_value())

    def lookup(self: RDD[tuple[K, V]], key: K) -> list[V]:
        """Give the values of a key; one partition is searched where the partitioner is known."""
        partitions = None if self.partitioner is None else [self.partitioner(key)]
        found = self.filter(partition_work.HasKey(key)).values()
        return [value for part in found._each("lookup", list, partitions) for value in part]

    # Figures

    def sum(self) -> Any:
        """Add up all elements: numbers, or arrays."""
        return reduce(operator.add, self._each("sum", sum), 0)  # type: ignore[arg-type]  # numbers, as PySpark has it

    def stats(self) -> StatCounter:
        """Summarise numbers in one pass: count, mean, variance, extremes."""
        return reduce(StatCounter.mergeStats, self._each("stats", StatCounter), StatCounter())

    def mean(self) -> Any:
        """Give the mean."""
        return self.stats().mean()

    def variance(self) -> Any:
        """Give the variance, divided by the count."""
        return self.stats().variance()

    def stdev(self) -> Any:
        """Give the standard deviation, of the variance divided by the count."""
        return self.stats().stdev()

    def sampleStdev(self) -> Any:
        """Give the standard deviation of a sample, divided by one less than the count."""
        return self.stats().sampleStdev()

    def sampleVariance(self) -> Any:
        """Give the variance of a sample, divided by one less than the count."""
        return self.stats().sampleVariance()

    def histogram(self, buckets: int | Sequence[Any]) -> tuple[Sequence[Any], list[int]]:
        """Count values by bucket: a number of even ones between the extremes, or given edges.

        Raises ValueError for edges that are not sorted or not distinct, for too few, and when there is no value;
        TypeError for values that cannot be subtracted.
        """
        if isinstance(buckets, list | tuple):
            return buckets, self._counted(histograms.given_buckets(buckets))
        if not isinstance(buckets, int):
            raise TypeError("buckets should be a list or tuple or number(int or long)")
        if buckets < 1:
            raise ValueError("number of buckets must be >= 1")
        found = [ends for ends in self._each("histogram", bounds) if ends]
        if not found:
            raise ValueError("can not generate buckets from empty RDD")
        low, high = min(ends[0] for ends in found), max(ends[1] for ends in found)
        if low == high or buckets == 1:
            return [low, high], [self.filter(histograms.comparable).count()]
        even = histograms.even_buckets(low, high, buckets)
        return even.edges, self._counted(even)

    def _counted(self, buckets: histograms.Buckets) -> list[int]:
        parts = self._each("histogram", buckets)
        return [sum(counts) for counts in zip(*parts, strict=True)] or [0] * (len(buckets.edges) - 1)

    def countApprox(self, timeout: int, confidence: float = 0.95) -> int:
        """Count the elements, or estimate their number when `timeout` milliseconds are over."""
        counts, share = self._in_time("countApprox", partition_work.count, timeout)
        return int(_estimated_sum(counts, share, confidence))

    def sumApprox(self: RDD[float | int], timeout: int, confidence: float = 0.95) -> BoundedFloat:
        """Add up the elements, or estimate their sum when `timeout` milliseconds are over."""
        sums, share = self._in_time("sumApprox", sum, timeout)
        return _estimated_sum(sums, share, confidence)

    def meanApprox(self: RDD[float | int], timeout: int, confidence: float = 0.95) -> BoundedFloat:
        """Give the mean of the elements, or estimate it when `timeout` milliseconds are over."""
        parts, share = self._in_time("meanApprox", StatCounter, timeout)
        seen: StatCounter = reduce(StatCounter.mergeStats, parts, StatCounter())
        return exact(seen.mean()) if share == 1 else bounded_mean(seen, confidence)

    def _in_time(self, name: str, consumer: Callable[[Iterator[Any]], U], timeout: int) -> tuple[list[U], float]:
        """What `consumer` makes of the partitions that are done in time, and their share of all."""
        done: list[U] = []
        try:
            with self.ctx._stopping_after(timeout / 1000), self._job(name) as bag:
                done.extend(bag.run_each(consumer))
        except CancelledError:
            if self.ctx._stopped:
                raise
        return done, len(done) / max(1, self.getNumPartitions())

    def countApproxDistinct(self, relativeSD: float = 0.05) -> int:
        """Estimate how many different elements there are, to a relative error. Raises ValueError for one too small."""
        if relativeSD < _SMALLEST_RELATIVE_SD:
            raise ValueError("relativeSD should be greater than 0.000017")
        with self._job("countApproxDistinct") as bag:
            return int(bag.count_approx_distinct(relativeSD))

    # Files

    def saveAsTextFile(self, path: str, compressionCodecClass: str | None = None) -> None:
        """Write a line of text for each element, a file for each partition, into a new folder.

        Codecs are named as in Hadoop: `org.apache.hadoop.io.compress.GzipCodec`, BZip2Codec, DefaultCodec,
        ZStandardCodec. Raises an error that is Py4JJavaError and FileExistsError when the folder is there.
        """
        self._save("saveAsTextFile", path, saving.suffix_of(compressionCodecClass), saving.lines)

    def saveAsPickleFile(self, path: str, batchSize: int = 10) -> None:
        """Write pickled elements into a new folder, for `SparkContext.pickleFile`.

        Only for data that stays with the program: whoever reads it runs what is in it, it is no format to keep or to
        hand on. Spark does not read it, nor is Spark's read here.
        """
        self._save("saveAsPickleFile", path, "", saving.PickledBatches(batchSize if batchSize > 0 else 1024))

    def _save(self, name: str, path: str, suffix: str, blocks: Callable[[Iterable[Any]], Iterator[bytes]]) -> None:
        with self._job(name) as bag, saving.new_folder(path) as folder:
            bag.run(saving.PartWriter(str(folder), suffix, blocks))

    def saveAsHadoopDataset(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's output formats."""
        _needs_hadoop("saveAsHadoopDataset")

    def saveAsHadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's output formats."""
        _needs_hadoop("saveAsHadoopFile")

    def saveAsNewAPIHadoopDataset(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's output formats."""
        _needs_hadoop("saveAsNewAPIHadoopDataset")

    def saveAsNewAPIHadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's output formats."""
        _needs_hadoop("saveAsNewAPIHadoopFile")

    def saveAsSequenceFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's writables."""
        _needs_hadoop("saveAsSequenceFile")

    def withResources(self, profile: Any) -> NoReturn:
        """Raise NotImplementedError: resource profiles place tasks on the machines of a cluster."""
        raise PySparkNotImplementedError("withResources places tasks on the machines of a cluster; there is one here")

    def getResourceProfile(self) -> None:
        """Give the resource profile: there is none."""
        return

    def toDF(self, schema: Any = None, sampleRatio: float | None = None) -> NoReturn:
        """Raise NotImplementedError: there is no SparkSession. `rdd.bag.to_dataset(schema)` makes a Dataset."""
        raise PySparkNotImplementedError(
            "there are no Spark DataFrames here: rdd.bag.to_dataset(schema) makes an Esker Dataset, "
            "which Polars and DuckDB read"
        )

    @property
    def bag(self) -> Bag:
        """The Bag below, for what Spark has no name for."""
        return self._computed


class RDDBarrier(Generic[T]):
    """An RDD whose next stage starts all its tasks at once; made by `RDD.barrier`."""

    def __init__(self, rdd: RDD[T]) -> None:
        self.rdd = rdd

    def mapPartitions(self, f: Callable[[Iterable[T]], Iterable[U]], preservesPartitioning: bool = False) -> RDD[U]:
        """Apply a function to the iterator of each partition; it may wait for the others."""
        return self._map(partition_work.WithoutIndex(f), "mapPartitions", preservesPartitioning)

    def mapPartitionsWithIndex(
        self, f: Callable[[int, Iterable[T]], Iterable[U]], preservesPartitioning: bool = False
    ) -> RDD[U]:
        """Apply a function to the number and the iterator of each partition; it may wait for the others."""
        return self._map(f, "mapPartitionsWithIndex", preservesPartitioning)

    def _map(self, f: Any, operation: str, preservesPartitioning: bool) -> RDD[Any]:
        rdd = self.rdd
        work = InBarrier(f, str(rdd.id()), rdd.getNumPartitions())
        made: RDD[Any] = rdd._derived(rdd._bag.map_partitions_with_index(work), operation, preservesPartitioning)
        made._barrier = True
        return made


def _order(keyfunc: Callable[[Any], Any]) -> Callable[[Any], Any] | None:
    return None if keyfunc is _itself else keyfunc


def _check_depth(depth: int) -> None:
    if depth < 1:
        raise ValueError(f"Depth cannot be smaller than 1 but got {depth}.")


def _estimated_sum(parts: Sequence[float], share: float, confidence: float) -> BoundedFloat:
    if share == 1:
        return exact(float(sum(parts)))
    return bounded_sum(StatCounter(parts), share or 1.0, confidence)
