"""The reduce side of wide steps: the sections of one output partition, as pairs, groups or combined values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count, groupby
from typing import Any, NamedTuple

from esker.engine.objects.codec import load_many
from esker.engine.objects.collect import collect
from esker.engine.objects.combine import Combine, itself
from esker.engine.objects.merge import Item, merge_by_key
from esker.engine.objects.partitioners import FunctionPartitioner
from esker.engine.objects.runs import MappedFiles, Section, SpillPlace, entries


def _zero(key: Any) -> int:
    return 0


#: A key's places in a hundred files take some kilobytes.
_LEAST_BYTES = 20_000
_ONE_PARTITION = FunctionPartitioner(1, _zero)


def records(sections: Iterable[Section]) -> Iterator[tuple[Any, Any]]:
    """Give the pairs of sections that were collected as records, in their order."""
    for section in sections:
        assert section.kind == "records", section
        for entry in entries(section):
            yield from zip(load_many(entry.keys), load_many(entry.values), strict=True)


def reduced(
    sections: Iterable[Section], combine: Combine, *, place: SpillPlace, memory_bytes: int
) -> Iterator[tuple[Any, Any]]:
    """Combine the values of each key, whether the map side began with it or not; keys by first appearance."""
    for merged in merge_by_key(
        _items(sections), combine, place=place, memory_bytes=memory_bytes, operator="reduce by key"
    ):
        yield merged.key, merged.state


def _items(sections: Iterable[Section]) -> Iterator[Item]:
    places = count()
    for section in sections:
        is_state = section.kind == "combined"
        for entry in entries(section):
            keys, values = load_many(entry.keys), load_many(entry.values)
            for key, value in zip(keys * len(values) if section.kind == "groups" else keys, values, strict=True):
                yield next(places), key, value, is_state


class Group:
    """The values of a key, in input order: read from the spill file anew each time it is iterated.

    So a group may be larger than memory. It has a length, and pickles as a list of its values.
    """

    __slots__ = ("_files", "_parts")

    def __init__(self, files: MappedFiles, parts: Sequence[Part]) -> None:
        self._files = files
        self._parts = parts

    def __len__(self) -> int:
        return sum(part.pairs for part in self._parts)

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts:
            for entry in self._files.entries(Section(self._files.path(part.file), part.begin, part.end, "groups")):
                yield from load_many(entry.values)

    def __repr__(self) -> str:
        return f"<Group of {len(self)} values>"

    def __reduce__(self) -> Any:
        return list, (list(self),)


class Part(NamedTuple):
    """Values of one key that lie together in a file."""

    file: int
    begin: int
    end: int
    pairs: int


def groups(sections: Iterable[Section], *, place: SpillPlace, memory_bytes: int) -> Iterator[tuple[Any, Group]]:
    """Bring the values of each key together; keys by first appearance, values in input order."""
    for key, (group,) in cogrouped([sections], place=place, memory_bytes=memory_bytes):
        yield key, group


def cogrouped(
    sides: Sequence[Iterable[Section]], *, place: SpillPlace, memory_bytes: int
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
        items = _places(gathered, files)
        combine = Combine(itself, _joined, _joined)
        held_bytes = max(memory_bytes // 2, _LEAST_BYTES)
        for one in merge_by_key(items, combine, place=place, memory_bytes=held_bytes, operator="group by key"):
            yield one.key, tuple([Group(files, one.state.get(side, ())) for side in range(len(sides))])


def _gathered(sections: Iterable[Section], place: SpillPlace, memory_bytes: int, kept: ExitStack) -> list[Section]:
    """Sections of groups: neighbouring ones of pairs are brought together by key first."""
    gathered: list[Section] = []
    for number, (kind, alike) in enumerate(groupby(sections, key=lambda section: section.kind)):
        if kind == "groups":
            gathered += alike
            continue
        pairs = records(alike)
        runs = collect(pairs, _ONE_PARTITION, place=place.below(str(number)), memory_bytes=memory_bytes)
        kept.callback(runs.remove)
        gathered += runs.sections(0)
    return gathered


def _places(sides: Sequence[Iterable[Section]], files: MappedFiles) -> Iterator[Item]:
    places = count()
    for side, sections in enumerate(sides):
        for section in sections:
            for entry in files.entries(section):
                part = Part(files.number(section.path), entry.begin, entry.end, entry.pairs)
                yield next(places), load_many(entry.keys)[0], {side: [part]}, False


def _joined(left: dict[int, list[Part]], right: dict[int, list[Part]]) -> dict[int, list[Part]]:
    for side, parts in right.items():
        left.setdefault(side, []).extend(parts)
    return left
