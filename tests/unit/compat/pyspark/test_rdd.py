"""RDDs: what doctests do not show. Much of it is what Spark's own test_rdd.py checks."""

from __future__ import annotations

import operator
import pickle
from collections import namedtuple
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from esker.compat.pyspark import RDD, ResultIterable, SparkConf, SparkContext, StorageLevel
from esker.compat.pyspark.errors import NestedRDDError, PySparkRuntimeError
from esker.compat.pyspark.protocol import Py4JError, Py4JJavaError
from esker.compat.pyspark.rdd import Partitioner, portable_hash
from esker.errors import EskerError, NestedCollectionError, UserFunctionError

Point = namedtuple("Point", "x y")

# Numbers of partitions


def test_a_context_has_as_many_partitions_as_workers() -> None:
    for master, count in (("local", 1), ("local[3]", 3), ("local[ 2 , 4 ]", 2)):
        with SparkContext(master, "counts") as sc:
            assert sc.defaultParallelism == count
            assert sc.defaultMinPartitions == min(count, 2)
            assert sc.range(100).getNumPartitions() == count
            assert sc.parallelize(list("abc")).getNumPartitions() == count


def test_wide_steps_have_the_partitions_of_their_parents(sc: SparkContext) -> None:
    pairs = sc.parallelize([(n, n) for n in range(10)], 3)
    others = sc.parallelize([(n, n) for n in range(5)], 4)
    for made in (
        pairs.reduceByKey(operator.add),
        pairs.groupByKey(),
        pairs.distinct(),
        pairs.sortByKey(),
        pairs.partitionBy(None),
        pairs.aggregateByKey(0, operator.add, operator.add),
        pairs.groupBy(lambda pair: pair[0] % 2),
    ):
        assert made.getNumPartitions() == 3
    for made in (pairs.join(others), pairs.cogroup(others), pairs.subtractByKey(others), pairs.intersection(others)):
        assert made.getNumPartitions() == 7, "as many as the union of both, as in Spark"
    assert pairs.join(others, 2).getNumPartitions() == 2
    assert pairs.cartesian(others).getNumPartitions() == 12
    assert pairs.union(others).getNumPartitions() == 7


def test_the_configuration_says_how_many_partitions_wide_steps_have() -> None:
    conf = SparkConf().setMaster("local[2]").setAppName("conf").set("spark.default.parallelism", "5")
    with SparkContext(conf=conf) as sc:
        pairs = sc.parallelize([(n, n) for n in range(10)], 3)
        assert sc.range(10).getNumPartitions() == 5
        assert pairs.reduceByKey(operator.add).getNumPartitions() == 5
        assert pairs.join(pairs).getNumPartitions() == 5


def test_whole_number_keys_lie_where_they_lie_in_spark(sc: SparkContext) -> None:
    parts = sc.parallelize([(n, n) for n in range(12)]).reduceByKey(operator.add, 4).keys().glom().collect()
    assert [sorted(part) for part in parts] == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


def test_a_partition_function_places_keys(sc: SparkContext) -> None:
    pairs = sc.parallelize([(word, 1) for word in ("a", "bb", "ccc", "dd")], 2)
    assert pairs.partitionBy(3, len).keys().glom().collect() == [["ccc"], ["a"], ["bb", "dd"]]
    assert pairs.groupByKey(3, len).keys().glom().collect() == [["ccc"], ["a"], ["bb", "dd"]]


def test_rows_that_are_placed_already_stay(sc: SparkContext) -> None:
    pairs = sc.range(10).map(lambda n: (n, n))
    parted = pairs.partitionBy(2)
    assert parted.partitionBy(2) is parted
    assert parted.partitioner == Partitioner(2, portable_hash)
    assert parted.mapValues(str).partitioner == parted.partitioner
    assert parted.filter(bool).partitioner == parted.partitioner
    assert parted.map(lambda pair: pair).partitioner is None
    assert parted.union(parted).getNumPartitions() == 2
    assert parted.union(parted).partitioner == parted.partitioner
    assert sorted(parted.union(parted).glom().collect()[0]) == sorted([(n, n) for n in range(0, 10, 2)] * 2)
    assert parted.union(pairs).getNumPartitions() == 4
    assert parted.join(parted).getNumPartitions() == 2


def test_repartition_leaves_no_partition_empty(sc: SparkContext) -> None:
    sizes = sc.range(10_000, numSlices=1).filter(lambda n: n < 900).repartition(7).glom().map(len).collect()
    assert len(sizes) == 7
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 7


def test_coalesce_puts_neighbours_together_and_makes_no_more(sc: SparkContext) -> None:
    numbers = sc.range(10, numSlices=10)
    assert numbers.coalesce(3).glom().collect() == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert numbers.coalesce(20).getNumPartitions() == 10
    assert numbers.coalesce(20, shuffle=True).getNumPartitions() == 20
    with pytest.raises(ValueError, match="must be positive"):
        numbers.coalesce(0)


def test_zip_wants_the_same_shape(sc: SparkContext) -> None:
    with pytest.raises(ValueError, match="same number of partitions"):
        sc.range(4, numSlices=2).zip(sc.range(4, numSlices=4))
    with pytest.raises(Py4JJavaError):
        sc.range(4, numSlices=2).zip(sc.range(5, numSlices=2)).count()


# Laziness


def test_nothing_runs_before_an_action(sc: SparkContext) -> None:
    def explode(n: int) -> int:
        raise RuntimeError("ran")

    numbers = sc.range(10).map(explode)
    numbers.map(lambda n: (n, n)).reduceByKey(operator.add).sortByKey().zipWithIndex().cache().groupBy(len)
    numbers.sortBy(lambda n: n).distinct().union(numbers).cartesian(numbers).sample(False, 0.5)
    assert not sc.statusTracker().getActiveJobsIds()
    with pytest.raises(Py4JJavaError, match="ran"):
        numbers.count()


def test_take_of_a_generator_without_end_answers(sc: SparkContext) -> None:
    def forever(n: int) -> Iterator[int]:
        while True:
            yield n
            n += 1

    assert sc.parallelize([0, 100], 2).flatMap(forever).take(10) == list(range(10))
    stream = sc.parallelize([0], 1).flatMap(forever).toLocalIterator()
    assert [next(stream) for _ in range(5)] == list(range(5))
    stream.close()


def test_take_asks_no_more_partitions_than_it_needs(sc: SparkContext) -> None:
    asked = sc.accumulator(0)

    def count(elements: Any) -> Any:
        asked.add(1)
        return elements

    numbers = sc.range(100, numSlices=100).mapPartitions(count)
    assert numbers.take(1) == [0]
    assert asked.value == 1
    assert numbers.filter(lambda n: n > 90).take(3) == [91, 92, 93]
    assert numbers.take(0) == []
    assert not numbers.isEmpty()
    assert sc.emptyRDD().isEmpty()


# Values


def test_zeros_are_copied_for_each_key_and_partition(sc: SparkContext) -> None:
    def add(total: list[int], n: int) -> list[int]:
        total.append(n)
        return total

    def merge(left: list[int], right: list[int]) -> list[int]:
        left.extend(right)
        return left

    numbers = sc.parallelize(list(range(8)), 4)
    assert sorted(numbers.aggregate([], add, merge)) == list(range(8))
    assert sorted(numbers.treeAggregate([], add, merge)) == list(range(8))
    pairs = numbers.map(lambda n: (n % 2, n))
    assert dict(pairs.aggregateByKey([], add, merge).mapValues(sorted).collect()) == {0: [0, 2, 4, 6], 1: [1, 3, 5, 7]}
    assert numbers.map(lambda n: [n]).fold([], merge) == list(range(8))
    lists = pairs.mapValues(lambda n: [n]).foldByKey([], merge)
    assert dict(lists.mapValues(sorted).collect()) == {0: [0, 2, 4, 6], 1: [1, 3, 5, 7]}


def test_a_fold_uses_its_zero_once_a_partition_and_once_more(sc: SparkContext) -> None:
    assert sc.parallelize([1, 1, 1], 3).fold(10, operator.add) == 43


def test_stop_iteration_in_a_function_fails_the_job(sc: SparkContext) -> None:
    def stop(*_: Any) -> Any:
        raise StopIteration

    numbers = sc.range(10)
    pairs = numbers.map(lambda n: (n % 2, n))
    for action in (
        numbers.map(stop).collect,
        numbers.filter(stop).collect,
        numbers.flatMap(stop).collect,
        lambda: numbers.foreach(stop),
        lambda: numbers.reduce(stop),
        lambda: numbers.fold(0, stop),
        lambda: numbers.aggregate(0, stop, operator.add),
        pairs.reduceByKey(stop).collect,
        lambda: pairs.reduceByKeyLocally(stop),
        pairs.aggregateByKey(0, stop, operator.add).collect,
    ):
        with pytest.raises((Py4JJavaError, RuntimeError)):
            action()


def test_groups_have_a_length_and_are_read_again_and_again(sc: SparkContext) -> None:
    groups = sc.parallelize([(n % 3, n) for n in range(30)], 4).groupByKey()
    checked = groups.mapValues(lambda group: (len(group), list(group) == list(group), sum(group))).collectAsMap()
    assert checked == {k: (10, True, sum(range(k, 30, 3))) for k in range(3)}
    ((_, group), *_) = groups.collect()
    assert isinstance(group, ResultIterable)
    assert len(group) == len(list(group)) == len(list(group)) == 10
    assert list(pickle.loads(pickle.dumps(group))) == list(group)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99)), max_size=25),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99)), max_size=25),
    st.integers(1, 4),
)
def test_joins_pair_what_plain_python_pairs(
    sc: SparkContext, left: list[tuple[int, int]], right: list[tuple[int, int]], partitions: int
) -> None:
    one, other = sc.parallelize(left, partitions), sc.parallelize(right, 2)
    inner = [(k, (v, w)) for k, v in left for j, w in right if j == k]
    left_alone = [(k, (v, None)) for k, v in left if k not in dict(right)]
    right_alone = [(k, (None, w)) for k, w in right if k not in dict(left)]
    order = {"key": repr}
    assert sorted(one.join(other).collect(), **order) == sorted(inner, **order)
    assert sorted(one.leftOuterJoin(other).collect(), **order) == sorted(inner + left_alone, **order)
    assert sorted(one.rightOuterJoin(other).collect(), **order) == sorted(inner + right_alone, **order)
    assert sorted(one.fullOuterJoin(other).collect(), **order) == sorted(inner + left_alone + right_alone, **order)
    assert sorted(one.subtractByKey(other).collect()) == sorted(p for p in left if p[0] not in dict(right))
    assert sorted(one.subtract(other).collect()) == sorted(p for p in left if p not in right)
    assert sorted(one.intersection(other).collect()) == sorted(set(left) & set(right))


def test_a_join_keeps_every_pair_of_equal_keys(sc: SparkContext) -> None:
    left, right = sc.parallelize([("a", 1), ("a", 2)]), sc.parallelize([("a", 3), ("a", 4)])
    assert sorted(left.join(right).values().collect()) == [(1, 3), (1, 4), (2, 3), (2, 4)]


def test_subtract_keeps_duplicates(sc: SparkContext) -> None:
    assert sorted(sc.parallelize([1, 1, 2, 3]).subtract(sc.parallelize([2])).collect()) == [1, 1, 3]


def test_sorting_uses_all_partitions_and_goes_both_ways(sc: SparkContext) -> None:
    pairs = sc.parallelize([(n * 7919 % 1000, n) for n in range(1000)], 4)
    for ascending in (True, False):
        parts = pairs.sortByKey(ascending, 5).glom().collect()
        assert [pair[0] for part in parts for pair in part] == sorted(range(1000), reverse=not ascending)
        assert all(len(part) > 100 for part in parts)
    assert pairs.sortByKey(keyfunc=lambda k: -k).keys().first() == 999
    assert sc.parallelize([]).map(lambda n: (n, n)).sortByKey().collect() == []


def test_figures_of_nothing(sc: SparkContext) -> None:
    empty = sc.parallelize([], 2)
    for action in (lambda: empty.reduce(operator.add), empty.max, empty.min):
        with pytest.raises(ValueError, match=r"Can not reduce\(\) empty RDD"):
            action()
    with pytest.raises(ValueError, match="Cannot reduce empty RDD"):
        empty.treeReduce(operator.add)
    with pytest.raises(ValueError, match="RDD is empty"):
        empty.first()
    assert (empty.sum(), empty.count(), empty.fold(0, operator.add)) == (0, 0, 0)
    assert empty.countByValue() == {}


def test_depth_and_number_are_checked(sc: SparkContext) -> None:
    for action in (
        lambda: sc.range(3).treeReduce(operator.add, 0),
        lambda: sc.range(3).treeAggregate(0, operator.add, operator.add, 0),
        lambda: sc.range(3).takeOrdered(-1),
        lambda: sc.range(3).countApproxDistinct(0.00000001),
    ):
        with pytest.raises(ValueError):
            action()


def test_counts_are_of_a_dictionary_with_a_default(sc: SparkContext) -> None:
    assert sc.parallelize([("a", 1), ("b", 1)]).countByKey()["missing"] == 0
    assert sc.parallelize(["a", "b", "a"]).countByValue() == {"a": 2, "b": 1}


def test_distinct_values_are_estimated_within_the_error(sc: SparkContext) -> None:
    for values, count in ((range(1000), 1000), ([n % 20 for n in range(1000)], 20), (map(str, range(5000)), 5000)):
        assert abs(sc.parallelize(values).countApproxDistinct(0.03) - count) <= 0.1 * count


def test_namedtuples_and_getters_travel(sc: SparkContext) -> None:
    points = sc.parallelize([Point(1, 2), Point(3, 4)])
    assert points.map(operator.attrgetter("y")).collect() == [2, 4]
    assert points.map(operator.itemgetter(0)).collect() == [1, 3]
    assert points.first() == Point(1, 2)


def test_a_global_that_changes_between_two_jobs_is_seen(sc: SparkContext) -> None:
    numbers = sc.range(2).map(lambda n: n + OFFSET)
    globals()["OFFSET"] = 1
    assert numbers.collect() == [1, 2]
    globals()["OFFSET"] = 5
    try:
        assert numbers.collect() == [5, 6]
    finally:
        globals()["OFFSET"] = 0


OFFSET = 0


def test_lookup_searches_one_partition_where_it_can(sc: SparkContext) -> None:
    pairs = sc.parallelize([(n % 10, n) for n in range(100)], 4)
    placed = pairs.partitionBy(5)
    searched = sc.accumulator(0)

    def count(elements: Any) -> Any:
        searched.add(1)
        return elements

    assert placed.mapPartitions(count, preservesPartitioning=True).lookup(3) == pairs.lookup(3)
    assert searched.value == 1
    assert placed.lookup(77) == []


def test_pipes_run_programs_without_the_callers_environment(sc: SparkContext) -> None:
    assert sc.parallelize(["b", "a"], 1).pipe("sort").collect() == ["a", "b"]
    assert sc.parallelize([1], 1).pipe("/usr/bin/env", {"ONLY": "this"}).collect() == ["ONLY=this"]
    with pytest.raises(Py4JJavaError):
        sc.parallelize([1], 1).pipe("false", checkCode=True).collect()
    assert sc.parallelize([1], 1).pipe("false").collect() == []


# Persistence


def test_what_is_cached_is_computed_once(sc: SparkContext) -> None:
    computed = sc.accumulator(0)

    def counting(n: int) -> int:
        computed.add(1)
        return n

    numbers = sc.range(10, numSlices=2).map(counting)
    after = numbers.map(lambda n: -n)
    assert numbers.cache() is numbers
    assert numbers.sum() == 45
    assert numbers.count() == 10
    assert computed.value == 10
    numbers.unpersist()
    assert numbers.count() == 10
    assert computed.value == 20
    assert after.sum() == -45


def test_what_was_made_before_caching_reads_what_is_kept_too(sc: SparkContext) -> None:
    computed = sc.accumulator(0)
    numbers = sc.range(10, numSlices=2).map(lambda n: computed.add(1) or n)
    pairs = numbers.map(lambda n: (n % 3, n))
    sums = pairs.reduceByKey(operator.add)
    assert computed.value == 0
    numbers.cache()
    pairs.persist(StorageLevel.DISK_ONLY)
    assert sorted(sums.collect()) == [(0, 18), (1, 12), (2, 15)]
    assert (numbers.sum(), pairs.count(), sums.count()) == (45, 10, 3)
    assert computed.value == 10
    numbers.unpersist()
    assert pairs.count() == 10
    assert computed.value == 10
    pairs.unpersist()
    assert sums.count() == 3
    assert computed.value == 20
    numbers.cache()
    assert (sums.count(), pairs.count(), computed.value) == (3, 10, 30)


def test_levels_are_told_and_not_changed_in_place(sc: SparkContext) -> None:
    numbers = sc.range(3).persist(StorageLevel.DISK_ONLY)
    assert numbers.getStorageLevel() == StorageLevel.DISK_ONLY
    assert numbers.sum() == numbers.sum() == 3
    with pytest.raises(Py4JJavaError, match="Cannot change storage level"):
        numbers.cache()
    with pytest.raises(TypeError, match="StorageLevel"):
        sc.range(3).persist("memory")  # type: ignore[arg-type]
    assert numbers.unpersist().getStorageLevel() == StorageLevel.NONE
    assert numbers.getStorageLevel().__hash__() == StorageLevel.NONE.__hash__()


# Errors


def test_an_error_of_a_function_is_caught_as_in_pyspark_and_as_in_esker(sc: SparkContext) -> None:
    for kind in (Py4JJavaError, Py4JError, UserFunctionError, EskerError):
        with pytest.raises(kind, match="ZeroDivisionError"):
            sc.range(3).map(lambda n: 1 // n).collect()
    with pytest.raises(Py4JJavaError) as caught:
        sc.range(3).map(lambda n: 1 // n).collect()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError" in caught.value.java_exception.getMessage()
    assert type(caught.value).__name__ == "Py4JJavaError"


def test_an_rdd_inside_a_function_is_refused_where_it_is_handed_over(sc: SparkContext) -> None:
    lookup_table = sc.parallelize([(1, 2)])
    numbers = sc.range(3)
    for use in (
        lambda: numbers.map(lambda n: lookup_table.lookup(n)),
        lambda: numbers.filter(lambda n: lookup_table.count() > n),
        lambda: numbers.mapPartitions(lambda it: [lookup_table.count()]),
        lambda: numbers.foreach(lambda n: lookup_table.count()),
        lambda: numbers.map(lambda n: (n, n)).reduceByKey(lambda a, b: lookup_table.count()),
    ):
        for kind in (NestedCollectionError, NestedRDDError, PySparkRuntimeError, pickle.PicklingError):
            with pytest.raises(kind, match="lookup_table"):
                use()


def test_a_context_inside_a_function_is_refused_and_named(sc: SparkContext) -> None:
    with pytest.raises(NestedRDDError, match="sc"):
        sc.range(3).map(lambda n: sc.range(n).count())
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(sc)
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(sc.range(3))
    with pytest.raises(Py4JJavaError, match="only be made on the driver"):
        sc.range(1).map(lambda _: SparkContext("local", "nested")).collect()


def test_an_rdd_is_added_to_rdds_only(sc: SparkContext) -> None:
    with pytest.raises(TypeError):
        sc.range(3) + [1]  # noqa: RUF005


# Broadcasts and accumulators


def test_a_broadcast_is_read_by_tasks_until_it_is_destroyed(sc: SparkContext) -> None:
    words = sc.broadcast({n: str(n) for n in range(100)})
    numbers = sc.range(100).map(lambda n: words.value[n])
    assert numbers.collect() == [str(n) for n in range(100)]
    words.unpersist()
    assert numbers.count() == 100
    words.destroy()
    with pytest.raises(EskerError):
        numbers.count()


def test_a_task_cannot_destroy_a_broadcast(sc: SparkContext) -> None:
    words = sc.broadcast([1])
    with pytest.raises(Py4JJavaError, match="INVALID_BROADCAST_OPERATION"):
        sc.range(1).foreach(lambda _: words.destroy())


def test_accumulators_count_once_and_are_read_on_the_driver(sc: SparkContext) -> None:
    total = sc.accumulator(5)
    sc.range(10, numSlices=4).foreach(total.add)
    assert total.value == 50
    total.value = 1
    sc.range(3).foreach(lambda n: total.add(n))
    assert (total.value, str(total)) == (4, "4")
    with pytest.raises(Py4JJavaError, match="VALUE_NOT_ACCESSIBLE"):
        sc.range(3).map(lambda n: total.value).collect()
    with pytest.raises(TypeError, match="No default accumulator param"):
        sc.accumulator("text")


# The context


def test_there_is_one_context_at_a_time(sc: SparkContext) -> None:
    with pytest.raises(ValueError, match=r"Cannot run multiple SparkContexts at once.*app=tests"):
        SparkContext("local", "second")
    assert SparkContext.getOrCreate() is sc
    sc.stop()
    sc.stop()
    with SparkContext("local", "third") as third:
        assert SparkContext.getOrCreate() is third


def test_a_stopped_context_says_so(sc: SparkContext) -> None:
    numbers = sc.range(3)
    sc.stop()
    for use in (lambda: sc.range(3), numbers.count, lambda: sc.broadcast(1), lambda: sc.accumulator(1)):
        with pytest.raises(Py4JJavaError, match="stopped SparkContext"):
            use()


def test_masters_of_clusters_and_nonsense_are_refused() -> None:
    for master in ("yarn", "spark://host:7077", "k8s://x"):
        with pytest.raises(NotImplementedError, match="is a cluster"):
            SparkContext(master, "cluster")
    for master in ("local[0]", "somewhere"):
        with pytest.raises(RuntimeError, match="Could not parse Master URL"):
            SparkContext(master, "nonsense")
    assert SparkContext._active_spark_context is None


def test_settings_are_copied_and_told() -> None:
    conf = SparkConf().setMaster("local[2]").setAppName("first").set("spark.x", 3)
    with SparkContext(conf=conf, appName="second") as sc:
        conf.set("spark.x", 4)
        told = sc.getConf()
        told.set("spark.x", 5)
        assert (sc.appName, sc.master, sc._conf.get("spark.x")) == ("second", "local[2]", "3")
        assert sc.applicationId.startswith("local-")
        assert repr(sc) == "<SparkContext master=local[2] appName=second>"
        assert sc.uiWebUrl is None


def test_without_a_master_all_cores_are_used() -> None:
    with SparkContext() as sc:
        assert (sc.master, sc.appName) == ("local[*]", "pyspark-shell")


def test_memory_of_the_configuration_bounds_a_shuffle() -> None:
    conf = SparkConf().setMaster("local[2]").setAppName("small").set("spark.python.worker.memory", "32m")
    with SparkContext(conf=conf) as sc:
        assert sc.range(1)._bag.options.memory == 64 << 20
        groups = sc.range(200_000, numSlices=4).map(lambda n: (n % 5, "x" * 50)).groupByKey()
        assert dict(groups.mapValues(len).collect()) == dict.fromkeys(range(5), 40000)


def test_run_job_takes_the_partitions_it_is_given(sc: SparkContext) -> None:
    numbers = sc.range(6, numSlices=3)
    assert sc.runJob(numbers, lambda part: [sum(part)], [2, 0]) == [9, 1]


def test_lineage_is_drawn_with_its_shuffles(sc: SparkContext) -> None:
    made = sc.range(6, numSlices=3).map(lambda n: (n, n)).setName("pairs").reduceByKey(operator.add, 2)
    drawn = (made.toDebugString() or b"").decode().splitlines()
    assert drawn[0].startswith("(2) PythonRDD")
    assert any("+-(3) pairs PythonRDD" in line for line in drawn)
    assert "ParallelCollectionRDD" in drawn[-1]


def test_union_of_many(sc: SparkContext) -> None:
    parts = [sc.range(n, numSlices=2) for n in (2, 3, 4)]
    assert sc.union(parts).collect() == list(chain(range(2), range(3), range(4)))
    assert sc.union(parts).getNumPartitions() == 6


def test_what_a_cluster_would_do_is_not_pretended(sc: SparkContext) -> None:
    numbers: RDD[int] = sc.range(3)
    for use in (lambda: numbers.withResources(None), numbers.toDF):
        with pytest.raises(NotImplementedError):
            use()
    assert numbers.getResourceProfile() is None
    for profile in (sc.show_profiles, lambda: sc.dump_profiles("x")):
        with pytest.raises(RuntimeError, match="INCORRECT_CONF_FOR_PROFILE"):
            profile()
