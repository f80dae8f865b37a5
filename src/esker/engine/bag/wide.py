"""Wide steps in the plan: a stage that sorts pairs into files by partition, and splits that read them.

The stage runs when the node is asked for its partitions, as tasks of the same run; its files lie in the run's spill
folder, or in those of the nodes of a cluster, and go with it. What goes between processes are places in files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, repeat, starmap
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from esker.engine.bag.failure import user_error, user_failure
from esker.engine.bag.moved import AnyRuns, Moved, Place, Sides, at_hand, left_at, place_of, sent, unique_place
from esker.engine.bag.pipeline import Pipeline, Split, pipelines_of
from esker.engine.bag.plan import MadeNode, Node
from esker.engine.bag.task_state import current_task
from esker.engine.objects import (
    Combine,
    Feed,
    FunctionPartitioner,
    HashPartitioner,
    KeySample,
    NumberPartitioner,
    Partitioner,
    RangePartitioner,
    Section,
    SpillPlace,
    cogrouped,
    collect,
    groups,
    range_bounds,
    records,
    reduced,
    reduced_pairs,
    sorted_records,
    spool,
)
from esker.engine.user_function import function_name

if TYPE_CHECKING:
    from esker.engine.bag.run import Run

Function = Callable[[Any], Any]

# A task may read one shuffle while it feeds the next.
_HOLDERS_OF_A_TASK = 2
# So many keys of each input partition, for each output partition, tell where to cut.
_SAMPLE_KEYS = 20
_SAMPLE_KEYS_MAX = 10_000


def partitioner_of(partitions: int, function: Function | None) -> Partitioner:
    """Place keys by a function of them, or by their hash."""
    return HashPartitioner(partitions) if function is None else FunctionPartitioner(partitions, function)


def share_of_memory(run: Run) -> int:
    """What one shuffle of one task may hold."""
    return run.context.budget.total_bytes // (run.options.worker_count * _HOLDERS_OF_A_TASK)


@dataclass(frozen=True)
class _Collect:
    """The map side: leaves the pairs of an input partition in files."""

    partitioner: Partitioner
    place: Place
    memory_bytes: int
    shape: Any
    operator: str
    combine: Combine | None = None

    def __call__(self, pairs: Iterator[Any]) -> AnyRuns:
        return self._collected(pairs)

    def fed(self, feed: Feed) -> AnyRuns:
        """The same of pairs that come by the iterable."""
        return self._collected(feed)

    def _collected(self, pairs: Iterator[Any] | Feed) -> AnyRuns:
        runs = collect(
            pairs,
            self.partitioner,
            place=unique_place(self.place),
            memory_bytes=self.memory_bytes,
            shape=self.shape,
            combine=self.combine,
            operator=self.operator,
        )
        return left_at(runs, self.place)


@dataclass(frozen=True)
class _Spool:
    """The map side of a sort: keeps the pairs, and draws some of their keys."""

    place: Place
    memory_bytes: int
    sample_size: int
    seed: int

    def __call__(self, pairs: Iterator[Any]) -> tuple[AnyRuns, KeySample]:
        task = current_task()
        runs, sample = spool(
            pairs,
            place=unique_place(self.place),
            memory_bytes=self.memory_bytes,
            sample_size=self.sample_size,
            seed=self.seed,
            stream=task.partition if task is not None else 0,
        )
        return left_at(runs, self.place), sample


class _Shuffled(Split):
    """The reduce side of one partition: reads sections, and makes elements of them."""

    def __init__(
        self,
        sides: Sides,
        place: Place,
        memory_bytes: int,
        read: Callable[..., Any],
        operator: str,
    ) -> None:
        self.sides = sides
        self.place = place
        self.memory_bytes = memory_bytes
        self.read = read
        self.operator = operator

    def made_by(self) -> str:
        return self.operator

    def __getstate__(self) -> dict[str, Any]:
        return sent(self)

    def open(self) -> Iterator[Any]:
        # Without a generator of our own, which would take longer than some elements do.
        return self._read([*map(list, self.sides)]) if isinstance(self.place, SpillPlace) else self._copied()

    def _copied(self) -> Iterator[Any]:
        with at_hand(self.sides, self.place) as sides:
            yield from self._read(sides)

    def _read(self, sides: Sides) -> Iterator[Any]:
        elements: Iterator[Any] = self.read(
            sides, place=unique_place(self.place), memory_bytes=self.memory_bytes, operator=self.operator
        )
        return elements


class _PartlyHere(_Shuffled):
    """The same where some sides lie in this partition already: `here` has their elements, by the number of the side.

    They are read in the task, and nothing of them goes through another one.
    """

    def __init__(self, here: dict[int, Pipeline], shape: Any, *shuffled: Any) -> None:
        super().__init__(*shuffled)
        self.here = here
        self.shape = shape

    def describe(self) -> str:
        return next(filter(None, (pipeline.describe() for pipeline in self.here.values())), "")

    def open(self) -> Iterator[Any]:
        of_pairs = getattr(self.read, "of_pairs", None)
        if of_pairs is None:
            return self._gathered()
        place = unique_place(self.place)
        found: Iterator[Any] = of_pairs(
            self.here[0].open(), place=place, memory_bytes=self.memory_bytes, operator=self.operator
        )
        return found

    def _gathered(self) -> Iterator[Any]:
        with ExitStack() as kept:
            sides = kept.enter_context(at_hand(self.sides, self.place))
            place = unique_place(self.place)
            for number, pipeline in self.here.items():
                sides[number] = self._sections(pipeline, place.below(f"here{number}"), kept)
            yield from self._read(sides)

    def _sections(self, pipeline: Pipeline, place: SpillPlace, kept: ExitStack) -> list[Section]:
        runs = collect(
            pipeline.open(),
            HashPartitioner(1),
            place=place,
            memory_bytes=self.memory_bytes,
            shape=self.shape,
            operator=self.operator,
        )
        kept.callback(runs.remove)
        return runs.sections(0)


# What a reduce side makes of its sections. Values, so that they pickle by name.


@dataclass(frozen=True)
class ReadReduced:
    """A pair of each key: with what its values come to."""

    combine: Combine

    def __call__(self, sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
        return reduced(sides[0], self.combine, **where)

    def of_pairs(self, pairs: Iterator[Any], **where: Any) -> Iterator[Any]:
        """The same of pairs that were never written."""
        return reduced_pairs(pairs, self.combine, **where)


@dataclass(frozen=True)
class ReadDistinct:
    """Each key once."""

    combine: Combine

    def __call__(self, sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
        return (key for key, _ in reduced(sides[0], self.combine, **where))


def read_groups(sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
    """A pair of each key: with its values."""
    return groups(sides[0], **where)


def read_records(sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
    """The pairs themselves."""
    return records(sides[0])


def read_values(sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
    """What stood in the pairs."""
    return (value for _, value in records(sides[0]))


@dataclass(frozen=True)
class ReadSorted:
    """The pairs, by their keys; or what stood in them."""

    ascending: bool
    key: Function | None = None
    values: bool = False

    def __call__(self, sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
        pairs = sorted_records(sides[0], key=self.key, reverse=not self.ascending, **where)
        return (value for _, value in pairs) if self.values else pairs


@dataclass(frozen=True)
class ReadCogrouped:
    """What a function makes of each key and its values on all sides."""

    each: Callable[[Any, Any], Iterable[Any]]

    def __call__(self, sides: Sequence[Sequence[Section]], **where: Any) -> Iterator[Any]:
        return chain.from_iterable(starmap(self.each, cogrouped(sides, **where)))


# What a join makes of a key and the values of both sides.


def cogroup_of(key: Any, sides: Any) -> Iterable[Any]:
    """The key and its values on all sides."""
    return ((key, sides),)


def join_of(key: Any, sides: Any) -> Iterable[Any]:
    """Each value of the left with each of the right."""
    left, right = sides
    if len(left) and len(right):
        return _pairs(key, left, right)
    return ()


def left_join_of(key: Any, sides: Any) -> Iterable[Any]:
    """As join, and values of the left alone with None."""
    left, right = sides
    return _pairs(key, left, right if len(right) else _NO_VALUE)


def right_join_of(key: Any, sides: Any) -> Iterable[Any]:
    """As join, and values of the right alone with None."""
    left, right = sides
    return _pairs(key, left if len(left) else _NO_VALUE, right)


def full_join_of(key: Any, sides: Any) -> Iterable[Any]:
    """As join, and values of either side alone with None."""
    return left_join_of(key, sides) if len(sides[0]) else right_join_of(key, sides)


_NO_VALUE = (None,)


def _pairs(key: Any, left: Any, right: Any) -> Iterable[Any]:
    # Most keys of a join have one value on a side: a generator for each would take longer than all else.
    if len(left) == 1 == len(right):
        (one,), (other,) = left, right
        return ((key, (one, other)),)
    return ((key, (one, other)) for one in left for other in right)


def subtract_by_key_of(key: Any, sides: Any) -> Iterable[Any]:
    """Pairs of the left whose key the right does not have."""
    left, right = sides
    return () if len(right) else zip(repeat(key), left)


def subtract_of(key: Any, sides: Any) -> Iterable[Any]:
    """Keys of the left that the right does not have, as often as they come."""
    left, right = sides
    return () if len(right) else repeat(key, len(left))


def intersection_of(key: Any, sides: Any) -> Iterable[Any]:
    """Keys that both have, once."""
    return (key,) if all(len(side) for side in sides) else ()


def _itself(runs: AnyRuns) -> AnyRuns:
    return runs


_OF_KEYS = (cogroup_of, join_of, left_join_of, right_join_of, full_join_of, subtract_by_key_of)


def _keeps_keys(read: Callable[..., Any]) -> bool:
    """Whether what is read are pairs of the keys that were placed."""
    if isinstance(read, ReadCogrouped):
        return read.each in _OF_KEYS
    if isinstance(read, ReadSorted):
        return not read.values
    return read in (read_groups, read_records) or isinstance(read, ReadReduced)


class WideNode(MadeNode):
    """A step that moves elements between partitions."""

    #: The user's functions that it calls, for messages.
    functions: tuple[Callable[..., Any], ...] = ()

    def described(self) -> str:
        """What an error calls it: its name, its functions, its line."""
        names = f"({', '.join(map(function_name, self.functions))})" if self.functions else ""
        return f"{self.operator}{names}" + (f" at {self.site}" if self.site else "")

    def stage(
        self, run: Run, pipelines: Sequence[Pipeline], work: Any, runs_of: Callable[[Any], AnyRuns] = _itself
    ) -> Moved:
        """What `work` leaves of each partition of what comes before."""
        return Moved(run, pipelines, work, self.described(), runs_of)


class ShuffleNode(WideNode):
    """Pairs of one or several Bags, by the partition of their keys."""

    def __init__(
        self,
        parents: Sequence[Node],
        partitioner: Partitioner,
        read: Callable[..., Any],
        operator: str,
        site: str,
        *,
        shape: str = "groups",
        combine: Combine | None = None,
    ) -> None:
        super().__init__(parents, partitioner.partition_count, operator, site)
        self._partitioner = partitioner
        self._read = read
        self._shape = shape
        self._combine = combine
        key = getattr(read, "key", None)
        placing = getattr(partitioner, "function", None)
        found = (*(combine.functions if combine is not None else ()), key, placing)
        self.functions = tuple(function for function in found if function is not None)

    @property
    def placed_by(self) -> Partitioner | None:
        return self._partitioner if _keeps_keys(self._read) else None

    def make(self, run: Run) -> Sequence[Split]:
        here = {n: parent for n, parent in enumerate(self.parents) if parent.placed_by == self._partitioner}
        if here and self._read is read_records:
            return run.pipelines(self.parents[0])
        memory_bytes = share_of_memory(run)
        work = _Collect(
            self._partitioner, place_of(run, "map"), memory_bytes, self._shape, self.described(), self._combine
        )
        moved = {
            n: self.stage(run, run.pipelines(parent), work) for n, parent in enumerate(self.parents) if n not in here
        }
        stay = {n: run.pipelines(parent) for n, parent in here.items()}
        place = place_of(run, "reduce")

        def split(partition: int) -> Split:
            sides: Sides = [moved[n].side(partition) if n in moved else () for n in range(len(self.parents))]
            shuffled = (sides, place, memory_bytes, self._read, self.described())
            if not stay:
                return _Shuffled(*shuffled)
            return _PartlyHere({n: pipelines[partition] for n, pipelines in stay.items()}, self._shape, *shuffled)

        return [split(partition) for partition in range(self._partitions)]


class SortNode(WideNode):
    """Pairs by ranges of their keys, each range sorted. Where to cut is told by a sample of the keys."""

    def __init__(self, parent: Node, partitions: int, read: ReadSorted, operator: str, site: str) -> None:
        super().__init__([parent], partitions, operator, site)
        self._read = read
        self.functions = (read.key,) if read.key is not None else ()

    def make(self, run: Run) -> Sequence[Split]:
        memory_bytes = share_of_memory(run)
        pipelines = run.pipelines(self.parents[0])
        if self._partitions == 1:
            ranges: Partitioner = RangePartitioner(())
        else:
            size = min(_SAMPLE_KEYS * self._partitions, _SAMPLE_KEYS_MAX)
            keeping = _Spool(place_of(run, "spool"), memory_bytes, size, run.options.seed)
            kept = self.stage(run, pipelines, keeping, runs_of=itemgetter(0))
            samples: list[KeySample] = [sample for _, sample in kept.values]
            ranges = RangePartitioner(self._bounds(samples), not self._read.ascending, self._read.key)
            place = place_of(run, "again")
            again = [kept.side(0, [number]) for number in range(len(samples))]
            pipelines = pipelines_of(
                [_Shuffled([side], place, memory_bytes, read_records, self.described()) for side in again]
            )
        moving = _Collect(ranges, place_of(run, "map"), memory_bytes, "records", self.described())
        moved = self.stage(run, pipelines, moving)
        place = place_of(run, "sort")
        # There may be fewer ranges than were asked for: equal keys are not cut apart.
        filled = ranges.partition_count
        return [
            _Shuffled([moved.side(n) if n < filled else []], place, memory_bytes, self._read, self.described())
            for n in range(self._partitions)
        ]

    def _bounds(self, samples: Sequence[KeySample]) -> tuple[Any, ...]:
        try:
            return range_bounds([sample for sample in samples if sample.keys], self._partitions, self._read.key)
        except Exception as error:
            # The user's function or comparison, in the driver: told as where it fails in a task.
            raise user_error(user_failure(error, self.described()), "ordering a sample of the keys") from error


class RepartitionNode(WideNode):
    """Elements dealt out evenly: the partitions of the input begin at different places."""

    def make(self, run: Run) -> Sequence[Split]:
        memory_bytes = share_of_memory(run)
        work = _Deal(NumberPartitioner(self._partitions), place_of(run, "map"), memory_bytes)
        dealt = self.stage(run, run.pipelines(self.parents[0]), work)
        place = place_of(run, "reduce")
        named = self.described()
        return [_Shuffled([dealt.side(n)], place, memory_bytes, read_values, named) for n in range(self._partitions)]


@dataclass(frozen=True)
class _Deal:
    partitioner: NumberPartitioner
    place: Place
    memory_bytes: int

    def __call__(self, elements: Iterator[Any]) -> AnyRuns:
        task = current_task()
        count = self.partitioner.partition_count
        start = task.partition if task is not None else 0
        pairs = ((number % count, element) for number, element in enumerate(elements, start))
        runs = collect(
            pairs, self.partitioner, place=unique_place(self.place), memory_bytes=self.memory_bytes, shape="records"
        )
        return left_at(runs, self.place)
