"""The reduce side of wide steps: the sections of one output partition, as pairs, groups or combined values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, groupby
from typing import Any

from esker.engine.objects.codec import dump_one, lists_of, load_one
from esker.engine.objects.collect import combine_table, table_options
from esker.engine.objects.combine import Combine
from esker.engine.objects.keys import plain_key
from esker.engine.objects.merge import Feed, merge_by_key
from esker.engine.objects.partitioners import HashPartitioner
from esker.engine.objects.runs import MappedFiles, RunWriter, Section, SpillPlace
from esker.kernel import _kernel

#: A key's places in a hundred files take some kilobytes.
_LEAST_BYTES = 20_000

#: The values of a key; see the kernel.
Group = _kernel.Group


def records(sections: Iterable[Section]) -> Iterator[tuple[Any, Any]]:
    """Give the pairs of sections that were collected as records, in their order.

    Raises CorruptError when a file is not what was written.
    """
    return chain.from_iterable(record_batches(sections))


def record_batches(sections: Iterable[Section]) -> Iterator[list[tuple[Any, Any]]]:
    """The same in lists of some hundred pairs, or of about a mebibyte."""
    for section in sections:
        assert section.kind == "records", section
        yield from lists_of(MappedFiles().pairs(section).take)


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
    return _merged(map(_feed, sections), combine, place, memory_bytes, operator)


def reduced_pairs(
    pairs: Iterator[tuple[Any, Any]],
    combine: Combine,
    *,
    place: SpillPlace,
    memory_bytes: int,
    operator: str = "reduce by key",
) -> Iterator[tuple[Any, Any]]:
    """Combine the values of each key as they come, without a map side; keys by first appearance."""
    return _merged([partial(_take, pairs=pairs)], combine, place, memory_bytes, operator)


def _merged(
    feeds: Iterable[Feed[_kernel.CombineTable]], combine: Combine, place: SpillPlace, memory_bytes: int, operator: str
) -> Iterator[tuple[Any, Any]]:
    make_table = partial(combine_table, combine, HashPartitioner(1), memory_bytes)
    return merge_by_key(feeds, make_table, place=place, memory_bytes=memory_bytes, operator=operator)


def _take(table: _kernel.CombineTable, pairs: Iterator[Any]) -> bool:
    return table.take(pairs)


def _feed(section: Section) -> Feed[_kernel.CombineTable]:
    pairs = MappedFiles().pairs(section)
    return partial(_take_items, pairs=pairs, states=section.kind == "combined")


def _take_items(table: _kernel.CombineTable, pairs: _kernel.PairReader, states: bool) -> bool:
    return table.take_items(pairs, states=states)


def groups(
    sections: Iterable[Section], *, place: SpillPlace, memory_bytes: int, operator: str = "group by key"
) -> Iterator[tuple[Any, Group]]:
    """Bring the values of each key together; keys by first appearance, values in input order."""
    return _grouped([sections], None, place=place, memory_bytes=memory_bytes, operator=operator)


def cogrouped(
    sides: Sequence[Iterable[Section]], *, place: SpillPlace, memory_bytes: int, operator: str = "group by key"
) -> Iterator[tuple[Any, tuple[Group, ...]]]:
    """Bring the values of each key together, apart for each side; keys of the first side come first.

    What is held are places of values in files, not values.
    """
    return _grouped(sides, len(sides), place=place, memory_bytes=memory_bytes, operator=operator)


def _grouped(
    sides: Sequence[Iterable[Section]], in_tuples: int | None, *, place: SpillPlace, memory_bytes: int, operator: str
) -> Iterator[tuple[Any, Any]]:
    files = MappedFiles()
    maker = _kernel.GroupMaker(files.mapped, load_one, in_tuples)
    held_bytes = max(memory_bytes // 2, _LEAST_BYTES)
    make_table = partial(_kernel.PlaceTable, maker, held_bytes, plain_key, dump_one, load_one)
    with ExitStack() as kept:
        gathered = [
            _gathered(sections, place.below(f"gather{side}"), memory_bytes // 2, kept)
            for side, sections in enumerate(sides)
        ]
        feeds = (_places(section, side, files) for side, sections in enumerate(gathered) for section in sections)
        yield from merge_by_key(
            feeds, make_table, place=place, memory_bytes=held_bytes, operator=operator, woven=maker.make
        )


def _places(section: Section, side: int, files: MappedFiles) -> Feed[_kernel.PlaceTable]:
    reader = _kernel.PlaceReader(files.section(section), side, files.number(section.path), section.begin)
    return partial(_take_places, section=reader)


def _take_places(table: _kernel.PlaceTable, section: _kernel.PlaceReader) -> bool:
    return table.take(section)


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
