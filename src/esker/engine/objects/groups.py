"""The reduce side of wide steps: the sections of one output partition, as pairs, groups or combined values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, groupby
from typing import Any

from esker.engine.objects.codec import in_batches, load_many
from esker.engine.objects.collect import table_options
from esker.engine.objects.combine import Combine, itself
from esker.engine.objects.merge import Feed, merge_by_key
from esker.engine.objects.partitioners import HashPartitioner
from esker.engine.objects.runs import MappedFiles, RunWriter, Section, SpillPlace
from esker.kernel import _kernel

#: A key's places in a hundred files take some kilobytes.
_LEAST_BYTES = 20_000

#: Values of one key that lie together: file, begin, end, how many.
Part = tuple[int, int, int, int]


def records(sections: Iterable[Section]) -> Iterator[tuple[Any, Any]]:
    """Give the pairs of sections that were collected as records, in their order.

    Raises CorruptError when a file is not what was written.
    """
    for section in sections:
        assert section.kind == "records", section
        yield from in_batches(MappedFiles().pairs(section).take)


def reduced(
    sections: Iterable[Section],
    combine: Combine,
    *,
    place: SpillPlace,
    memory_bytes: int,
    operator: str = "reduce by key",
) -> Iterator[tuple[Any, Any]]:
    """Combine the values of each key, whether the map side began with it or not; keys by first appearance.

    What a function of `combine` raises comes as a CallFailure that names `operator`.
    """
    feeds = map(_feed, sections)
    return merge_by_key(feeds, combine, place=place, memory_bytes=memory_bytes, operator=operator)


def _feed(section: Section) -> Feed:
    pairs = MappedFiles().pairs(section)
    return partial(_take_items, pairs=pairs, states=section.kind == "combined")


def _take_items(table: _kernel.CombineTable, pairs: _kernel.PairReader, states: bool) -> bool:
    return table.take_items(pairs, states=states, placed=False)


class Group:
    """The values of a key, in input order: read from the spill file anew each time it is iterated.

    So a group may be larger than memory. It has a length, and pickles as a list of its values.
    """

    __slots__ = ("_files", "_parts")

    def __init__(self, files: MappedFiles, parts: Sequence[Part]) -> None:
        self._files = files
        self._parts = parts

    def __len__(self) -> int:
        return sum([pairs for _, _, _, pairs in self._parts])

    def __iter__(self) -> Iterator[Any]:
        views = [self._files.view(file, begin, end) for file, begin, end, _ in self._parts]
        return load_many(views[0]) if len(views) == 1 else chain.from_iterable(map(load_many, views))

    def __repr__(self) -> str:
        return f"<Group of {len(self)} values>"

    def __reduce__(self) -> Any:
        return list, (list(self),)


def groups(
    sections: Iterable[Section], *, place: SpillPlace, memory_bytes: int, operator: str = "group by key"
) -> Iterator[tuple[Any, Group]]:
    """Bring the values of each key together; keys by first appearance, values in input order."""
    for key, (group,) in cogrouped([sections], place=place, memory_bytes=memory_bytes, operator=operator):
        yield key, group


def cogrouped(
    sides: Sequence[Iterable[Section]], *, place: SpillPlace, memory_bytes: int, operator: str = "group by key"
) -> Iterator[tuple[Any, tuple[Group, ...]]]:
    """Bring the values of each key together, apart for each side; keys of the first side come first.

    What is held are places of values in files, not values.
    """
    files = MappedFiles()
    with ExitStack() as kept:
        gathered = [
            _gathered(sections, place.below(f"gather{side}"), memory_bytes // 2, kept)
            for side, sections in enumerate(sides)
        ]
        places = _places(gathered, files)
        combine = Combine(itself, _joined, _joined)
        held_bytes = max(memory_bytes // 2, _LEAST_BYTES)
        for key, parts in merge_by_key(
            [lambda table: table.take(places)],
            combine,
            place=place,
            memory_bytes=held_bytes,
            operator=operator,
        ):
            yield key, tuple([Group(files, parts.get(side, ())) for side in range(len(sides))])


def _gathered(sections: Iterable[Section], place: SpillPlace, memory_bytes: int, kept: ExitStack) -> list[Section]:
    """Sections of groups: neighbouring ones of pairs are brought together by key first."""
    gathered: list[Section] = []
    for number, (kind, alike) in enumerate(groupby(sections, key=lambda section: section.kind)):
        if kind == "groups":
            gathered += alike
            continue
        with RunWriter(place.below(str(number)), 1) as writer:
            kept.callback(writer.runs.remove)
            _gather(alike, writer, memory_bytes)
            gathered += writer.runs.sections(0)
    return gathered


def _gather(sections: Iterable[Section], writer: RunWriter, memory_bytes: int) -> None:
    table = _kernel.GroupTable(**table_options(HashPartitioner(1), memory_bytes))
    for section in sections:
        pairs = MappedFiles().pairs(section)
        while not table.take_items(pairs):
            writer.write_table("groups", table.write)
    if len(table):
        writer.write_table("groups", table.write)


def _places(sides: Sequence[Iterable[Section]], files: MappedFiles) -> Iterator[tuple[Any, dict[int, list[Part]]]]:
    for side, sections in enumerate(sides):
        for section in sections:
            file = files.number(section.path)
            for entry in files.entries(section):
                (key,) = load_many(entry.keys)
                yield key, {side: [(file, entry.values_begin, entry.values_end, entry.pairs)]}


def _joined(left: dict[int, list[Part]], right: dict[int, list[Part]]) -> dict[int, list[Part]]:
    for side, parts in right.items():
        left.setdefault(side, []).extend(parts)
    return left
