"""Wide steps against plain dicts: whatever the memory, the partitions and the kinds of keys and values."""

from __future__ import annotations

import gc
import operator
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from esker.core.spill import SpillFolder
from esker.engine.objects import (
    Combine,
    FunctionPartitioner,
    HashPartitioner,
    NumberPartitioner,
    Partitioner,
    RangePartitioner,
    Runs,
    Section,
    SpillPlace,
    cogrouped,
    collect,
    first,
    groups,
    range_bounds,
    records,
    reduced,
    sample_keys,
    sorted_records,
    spool,
)
from esker.engine.objects.groups import record_batches
from esker.errors import CorruptError, InputError, KeyTypeError, MemoryBudgetExceededError, SpillError

# So little that a few pairs fill it, and enough for everything.
TINY, AMPLE = 6000, 64 << 20
memories = st.sampled_from([TINY, 30_000, AMPLE])

atoms = st.one_of(
    st.integers(-5, 5),
    st.integers(),
    st.text(st.characters(), max_size=5),
    st.binary(max_size=5),
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False),
)
keys = st.one_of(
    atoms, st.tuples(atoms, atoms), st.fractions(), st.dates(), st.frozensets(st.integers(0, 3), max_size=2)
)
values = st.one_of(atoms, st.lists(st.integers(), max_size=3), st.tuples(st.text(max_size=200), st.integers()))
inputs = st.lists(st.lists(st.tuples(keys, values), max_size=60), max_size=3)


@contextmanager
def spill() -> Iterator[SpillFolder]:
    with SpillFolder() as folder:
        yield folder


def collect_all(
    folder: SpillFolder, parts: list[list[tuple[Any, Any]]], partitioner: Partitioner, memory_bytes: int, **options: Any
) -> list[list[Section]]:
    """The map side of each input partition; gives each output partition's sections."""
    runs = [
        pickle.loads(
            pickle.dumps(
                collect(
                    iter(part),
                    partitioner,
                    place=SpillPlace.of(folder, f"map-{folder_number}-{number}"),
                    memory_bytes=memory_bytes,
                    **options,
                )
            )
        )
        for folder_number in [len(list(folder.path.iterdir()))]
        for number, part in enumerate(parts)
    ]
    return [[section for run in runs for section in run.sections(p)] for p in range(partitioner.partition_count)]


def shown(value: Any) -> str:
    """Tells True from 1 and -0.0 from 0."""
    return repr(value)


def dict_of_groups(parts: list[list[tuple[Any, Any]]], partitioner: Partitioner) -> list[list[tuple[Any, list[Any]]]]:
    """The oracle: a dict a partition."""
    expected: list[dict[Any, list[Any]]] = [{} for _ in range(partitioner.partition_count)]
    for part in parts:
        for key, value in part:
            expected[partitioner(key)].setdefault(key, []).append(value)
    return [list(grouped.items()) for grouped in expected]


@given(inputs, memories, st.integers(1, 4), st.sampled_from(["groups", "records"]))
def test_groups_are_those_of_a_dict_in_its_order(
    parts: list[list[tuple[Any, Any]]], memory_bytes: int, partition_count: int, shape: str
) -> None:
    partitioner = HashPartitioner(partition_count)
    with spill() as folder:
        sections = collect_all(folder, parts, partitioner, memory_bytes, shape=shape)
        place = SpillPlace.of(folder, "reduce")
        found = [
            [
                (key, list(group))
                for key, group in groups(part, place=place.below(str(number)), memory_bytes=memory_bytes)
            ]
            for number, part in enumerate(sections)
        ]
    assert shown(found) == shown(dict_of_groups(parts, partitioner))


@given(inputs, memories, st.integers(1, 4))
def test_what_is_reduced_is_what_a_loop_reduces(
    parts: list[list[tuple[Any, Any]]], memory_bytes: int, partition_count: int
) -> None:
    partitioner = HashPartitioner(partition_count)
    as_lists = [[(key, [value]) for key, value in part] for part in parts]
    with spill() as folder:
        combine = Combine.reducing(operator.add)
        sections = collect_all(folder, as_lists, partitioner, max(memory_bytes, 20_000), combine=combine)
        place = SpillPlace.of(folder, "reduce")
        found = [
            list(reduced(part, combine, place=place.below(str(number)), memory_bytes=max(memory_bytes, 20_000)))
            for number, part in enumerate(sections)
        ]
    assert shown(found) == shown(dict_of_groups(parts, partitioner))


@given(inputs, memories)
def test_a_zero_is_copied_for_each_key_and_partition(parts: list[list[tuple[Any, Any]]], memory_bytes: int) -> None:
    zero: list[Any] = []

    def append(folded: list[Any], value: Any) -> list[Any]:
        folded.append(value)
        return folded

    def extend(left: list[Any], right: list[Any]) -> list[Any]:
        left.extend(right)
        return left

    partitioner = HashPartitioner(2)
    combine = Combine.aggregating(zero, append, extend)
    with spill() as folder:
        sections = collect_all(folder, parts, partitioner, max(memory_bytes, 20_000), combine=combine)
        place = SpillPlace.of(folder, "reduce")
        found = [
            list(reduced(part, combine, place=place.below(str(number)), memory_bytes=max(memory_bytes, 20_000)))
            for number, part in enumerate(sections)
        ]
    assert shown(found) == shown(dict_of_groups(parts, partitioner))
    assert zero == []


@given(inputs, inputs, memories)
def test_cogroups_are_those_of_two_dicts(
    left: list[list[tuple[Any, Any]]], right: list[list[tuple[Any, Any]]], memory_bytes: int
) -> None:
    partitioner = HashPartitioner(2)
    with spill() as folder:
        sides = [collect_all(folder, parts, partitioner, memory_bytes) for parts in (left, right)]
        place = SpillPlace.of(folder, "reduce")
        found = [
            [
                (key, [list(group) for group in sides_of_key])
                for key, sides_of_key in cogrouped(
                    [side[partition] for side in sides], place=place.below(str(partition)), memory_bytes=memory_bytes
                )
            ]
            for partition in range(2)
        ]
    expected = []
    for lefts, rights in zip(dict_of_groups(left, partitioner), dict_of_groups(right, partitioner), strict=True):
        both: dict[Any, list[list[Any]]] = {key: [group, []] for key, group in lefts}
        for key, group in rights:
            both.setdefault(key, [[], []])[1] = group
        expected.append(list(both.items()))
    assert shown(found) == shown(expected)


@given(inputs, memories, st.integers(1, 3))
def test_records_keep_their_order(parts: list[list[tuple[Any, Any]]], memory_bytes: int, partition_count: int) -> None:
    partitioner = HashPartitioner(partition_count)
    with spill() as folder:
        sections = collect_all(folder, parts, partitioner, memory_bytes, shape="records")
        found = [list(records(part)) for part in sections]
    pairs = [pair for part in parts for pair in part]
    expected = [[pair for pair in pairs if partitioner(pair[0]) == number] for number in range(partition_count)]
    assert shown(found) == shown(expected)


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 50), values), max_size=80), max_size=3),
    memories,
    st.integers(1, 5),
    st.booleans(),
)
def test_a_sort_by_ranges_is_a_stable_sort(
    parts: list[list[tuple[int, Any]]], memory_bytes: int, partition_count: int, descending: bool
) -> None:
    with spill() as folder:
        place = SpillPlace.of(folder, "sort")
        spooled = [
            spool(
                iter(part),
                place=place.below(f"spool{stream}"),
                memory_bytes=memory_bytes,
                sample_size=10,
                seed=3,
                stream=stream,
            )
            for stream, part in enumerate(parts)
        ]
        bounds = range_bounds([sample for _, sample in spooled], partition_count)
        partitioner = RangePartitioner(bounds, descending)
        assert partitioner.partition_count <= partition_count
        again = [list(records(runs.sections(0))) for runs, _ in spooled]
        sections = collect_all(folder, again, partitioner, memory_bytes, shape="records")
        found = [
            pair
            for number, part in enumerate(sections)
            for pair in sorted_records(
                part, place=place.below(str(number)), memory_bytes=memory_bytes, reverse=descending
            )
        ]
    pairs = [pair for part in parts for pair in part]
    assert shown(found) == shown(sorted(pairs, key=operator.itemgetter(0), reverse=descending))


def test_a_sort_goes_by_the_order_key() -> None:
    words = [("bb", 1), ("AA", 2), ("aa", 3), ("Bb", 4)]
    with spill() as folder:
        sections = collect_all(folder, [words], NumberFor(str.lower), AMPLE, shape="records")[0]
        place = SpillPlace.of(folder, "sort")
        found = list(sorted_records(sections, place=place, memory_bytes=AMPLE, key=str.lower))
    assert found == [("AA", 2), ("aa", 3), ("bb", 1), ("Bb", 4)]


class NumberFor:
    """All keys in one partition."""

    partition_count = 1

    def __init__(self, key: Any) -> None:
        self.key = key

    def __call__(self, key: Any) -> int:
        return 0


def test_all_nans_are_one_key() -> None:
    nan = float("nan")
    with spill() as folder:
        sections = collect_all(
            folder, [[(nan, 1), ((nan, 2), 3)], [(float("nan"), 2), ((-nan, 2), 4)]], HashPartitioner(1), AMPLE
        )
        found = groups(sections[0], place=SpillPlace.of(folder, "reduce"), memory_bytes=AMPLE)
        assert [list(group) for _, group in found] == [[1, 2], [3, 4]]


def test_the_first_of_equal_keys_is_given_back() -> None:
    with spill() as folder:
        sections = collect_all(folder, [[(True, "a")], [(1, "b"), (1.0, "c")]], HashPartitioner(1), AMPLE)
        ((key, group),) = groups(sections[0], place=SpillPlace.of(folder, "reduce"), memory_bytes=AMPLE)
        assert key is True
        assert list(group) == ["a", "b", "c"]


def test_groups_are_read_again_and_outlive_the_folder() -> None:
    with spill() as folder:
        sections = collect_all(folder, [[("a", n) for n in range(5000)]], HashPartitioner(1), 100_000)
        ((_, group),) = groups(sections[0], place=SpillPlace.of(folder, "reduce"), memory_bytes=AMPLE)
    gc.collect()
    assert len(group) == 5000
    assert list(group) == list(group) == list(range(5000))
    assert pickle.loads(pickle.dumps(group)) == list(range(5000))


def test_many_small_groups_are_told_apart_in_little_memory() -> None:
    # A hundred times what the table of places may hold: it is divided, and divided again.
    sides = [[(f"key{n}", n) for n in range(6000)], [(f"key{n}", -n) for n in reversed(range(3000, 9000))]]
    with spill() as folder:
        sections = [collect_all(folder, [side], HashPartitioner(1), AMPLE)[0] for side in sides]
        before = set(folder.path.iterdir())
        place = SpillPlace.of(folder, "reduce")
        found = [
            (key, list(left), list(right)) for key, (left, right) in cogrouped(sections, place=place, memory_bytes=TINY)
        ]
        assert set(folder.path.iterdir()) == before
    expected = [(f"key{n}", [n], [-n] if n >= 3000 else []) for n in range(6000)]
    assert found == expected + [(f"key{n}", [], [-n]) for n in reversed(range(6000, 9000))]


def test_a_group_has_a_length_and_goes_elsewhere_as_a_list() -> None:
    with spill() as folder:
        (sections,) = collect_all(folder, [[(1, "a"), (2, "b"), (1, "c")]], HashPartitioner(1), AMPLE)
        found = dict(groups(sections, place=SpillPlace.of(folder, "reduce"), memory_bytes=AMPLE))
    assert (len(found[1]), repr(found[2])) == (2, "<Group of 1 values>")
    first_value, *_ = found[1]
    assert (first_value, pickle.loads(pickle.dumps(found[1]))) == ("a", ["a", "c"])


def test_nothing_is_left_behind_but_what_the_map_side_gave() -> None:
    pairs = [(n % 500, "x" * 50) for n in range(5000)]
    with spill() as folder:
        sections = collect_all(folder, [pairs], HashPartitioner(2), 50_000, shape="records")
        before = set(folder.path.iterdir())
        for number, part in enumerate(sections):
            place = SpillPlace.of(folder, f"reduce{number}")
            assert len(list(groups(part, place=place.below("groups"), memory_bytes=20_000))) == 250
            assert len(list(sorted_records(part, place=place.below("sort"), memory_bytes=20_000))) == 2500
            half_read = groups(part, place=place.below("half"), memory_bytes=20_000)
            next(half_read)
            half_read.close()
        assert set(folder.path.iterdir()) == before
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in before if path.name != "lock")


def test_a_failing_iterator_leaves_no_file() -> None:
    def failing() -> Iterator[tuple[int, str]]:
        for number in range(10_000):
            yield number, "x" * 100
        raise ZeroDivisionError("the user's")

    with spill() as folder:
        place = SpillPlace.of(folder, "map")
        for options in ({"shape": "records"}, {"shape": "groups"}, {"combine": Combine.reducing(first)}):
            with pytest.raises(ZeroDivisionError, match="the user's"):
                collect(failing(), HashPartitioner(3), place=place, memory_bytes=100_000, **options)  # type: ignore[arg-type]
            assert [path.name for path in folder.path.iterdir()] == ["lock"]


def test_combining_is_left_out_where_keys_do_not_repeat() -> None:
    calls = 0

    def add(left: int, right: int) -> int:
        nonlocal calls
        calls += 1
        return left + right

    combine = Combine.reducing(add)
    with spill() as folder:
        pairs = [(n % 6000, 1) for n in range(12_000)]
        sections = collect_all(folder, [pairs], HashPartitioner(1), AMPLE, combine=combine)
        assert calls == 0
        place = SpillPlace.of(folder, "reduce")
        assert list(reduced(sections[0], combine, place=place, memory_bytes=AMPLE)) == [(n, 2) for n in range(6000)]
        repeated = collect_all(
            folder, [[(n % 7, 1) for n in range(12_000)]], HashPartitioner(1), AMPLE, combine=combine
        )
        assert calls == 6000 + 12_000 - 7
        assert sum(section.end - section.begin for section in repeated[0]) < 500


def test_concatenation_takes_few_copies() -> None:
    copied = 0

    def join(left: str, right: str) -> str:
        nonlocal copied
        copied += len(left) + len(right)
        return left + right

    with spill() as folder:
        combine = Combine.reducing(join)
        sections = collect_all(
            folder, [[("k", "ab") for _ in range(1 << 14)]], HashPartitioner(1), AMPLE, combine=combine
        )
        ((_, joined),) = reduced(sections[0], combine, place=SpillPlace.of(folder, "r"), memory_bytes=AMPLE)
    assert joined == "ab" * (1 << 14)
    assert copied == 2 * 14 * (1 << 14)  # each letter once a level of a tree of 14


def test_a_state_that_outgrows_the_memory_names_its_key() -> None:
    combine = Combine.reducing(operator.add)
    with spill() as folder:
        pairs = [("big", "x" * 1000) for _ in range(1000)] + [("small", "y")]
        sections = collect_all(folder, [pairs], HashPartitioner(1), AMPLE, shape="records")
        with pytest.raises(MemoryBudgetExceededError, match="'big'"):
            list(reduced(sections[0], combine, place=SpillPlace.of(folder, "r"), memory_bytes=100_000))
        assert len(list(folder.path.iterdir())) == 2


@pytest.mark.parametrize("pair", [1, (1,), (1, 2, 3), None, "abc"])
def test_what_is_no_pair_is_named(pair: Any) -> None:
    with spill() as folder:
        place = SpillPlace.of(folder, "map")
        with pytest.raises(InputError, match="is no \\(key, value\\) pair"):
            collect([(1, 2), pair], HashPartitioner(1), place=place, memory_bytes=AMPLE)


def test_a_list_is_no_key() -> None:
    with spill() as folder, pytest.raises(KeyTypeError, match="can change"):
        collect([([1], 2)], HashPartitioner(1), place=SpillPlace.of(folder, "map"), memory_bytes=AMPLE)


def test_a_task_may_not_write_more_than_the_limit() -> None:
    with SpillFolder(limit="100KiB") as folder:
        pairs = [(n, "x" * 1000) for n in range(1000)]
        with pytest.raises(SpillError, match="spill_limit="):
            collect(pairs, HashPartitioner(2), place=SpillPlace.of(folder, "map"), memory_bytes=50_000, shape="records")
        assert [path.name for path in folder.path.iterdir()] == ["lock"]


def test_a_full_disk_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with spill() as folder:
        place = SpillPlace.of(folder, "map")
        Path(place.folder, "map-0").touch()
        with pytest.raises(SpillError, match="ESKER_SPILL_FOLDER"):
            collect([(1, 2)], HashPartitioner(1), place=place, memory_bytes=AMPLE)


@pytest.mark.parametrize("damage", ["header", "cut", "short", "gone"])
def test_damaged_files_are_refused(damage: str) -> None:
    with spill() as folder:
        place = SpillPlace.of(folder, "map")
        runs = collect([(n, "x") for n in range(3)], HashPartitioner(1), place=place, memory_bytes=AMPLE)
        section = runs.sections(0)[0]
        path = Path(section.path)
        data = path.read_bytes()
        if damage == "header":
            path.write_bytes(b"\xff" * 16 + data[16:])
        elif damage == "cut":
            path.write_bytes(data[:-1])
        elif damage == "short":
            section = section._replace(end=section.begin + 15)
        else:
            path.unlink()
        with pytest.raises(CorruptError, match="spill file|stored"):
            list(groups([section], place=place.below("reduce"), memory_bytes=AMPLE))


def test_partition_functions_may_name_any_number() -> None:
    assert FunctionPartitioner(3, lambda key: -1)("x") == 2
    assert FunctionPartitioner(3, lambda key: 4.0)("x") == 1
    with pytest.raises(InputError, match="must give an int"):
        FunctionPartitioner(3, lambda key: "a")("x")
    with pytest.raises(InputError, match="no partition from 0 to 2"):
        NumberPartitioner(3)(3)


def test_samples_weigh_by_the_size_of_their_partition() -> None:
    small = sample_keys(range(10), sample_size=10, seed=1, stream=0)
    large = sample_keys(range(1000, 11_000), sample_size=100, seed=1, stream=1)
    bounds = range_bounds([small, large], 4)
    assert all(bound >= 1000 for bound in bounds)
    counts = [0] * 4
    for key in range(1000, 11_000):
        counts[RangePartitioner(bounds)(key)] += 1
    assert max(counts) < 2 * min(counts)


def test_runs_count_their_pairs() -> None:
    with spill() as folder:
        runs = collect(
            [(n % 3, n) for n in range(10)], NumberPartitioner(3), place=SpillPlace.of(folder, "m"), memory_bytes=AMPLE
        )
        assert isinstance(runs, Runs)
        assert runs.record_counts == [4, 3, 3]
        assert sum(runs.byte_counts) == sum(path.stat().st_size for path in folder.path.glob("m-*"))
        runs.remove()
        assert runs.byte_counts == [0, 0, 0]


def test_every_key_is_as_likely_to_be_drawn() -> None:
    drawn = [0] * 200
    for stream in range(300):
        sample = sample_keys(range(200), sample_size=20, seed=3, stream=stream)
        assert (sample.count, len(set(sample.keys))) == (200, 20)
        for key in sample.keys:
            drawn[key] += 1
    # 30 each; the standard deviation is 5.2.
    assert min(drawn) > 10
    assert max(drawn) < 55
    assert abs(sum(drawn[:100]) - 3000) < 200


def test_spooled_pairs_are_counted_and_kept_in_order() -> None:
    pairs = [(f"key{n % 700}", n) for n in range(5000)]
    with spill() as folder:
        place = SpillPlace.of(folder, "spool")
        runs, sample = spool(iter(pairs), place=place, memory_bytes=TINY, sample_size=9, seed=1, stream=0)
        assert list(records(runs.sections(0))) == pairs
        _, all_of_them = spool(pairs[:3], place=place.below("few"), memory_bytes=TINY, sample_size=9, seed=1, stream=0)
    assert (sample.count, len(sample.keys)) == (5000, 9)
    assert (all_of_them.count, all_of_them.keys) == (3, ("key0", "key1", "key2"))


def test_large_pairs_are_read_a_few_at_a_time() -> None:
    with spill() as folder:
        pairs = [(n, "x" * 300_000) for n in range(20)]
        (sections,) = collect_all(folder, [pairs], HashPartitioner(1), AMPLE, shape="records")
        batches = list(record_batches(sections))
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4]
