"""The map side of a wide step: pairs of one input partition, sorted into the output partitions' files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Literal

from esker.engine.objects.codec import dump_many
from esker.engine.objects.combine import Combine
from esker.engine.objects.key_table import KeyTable, Scale
from esker.engine.objects.keys import plain_key
from esker.engine.objects.partitioners import Partitioner
from esker.engine.objects.runs import Runs, RunWriter, SpillPlace
from esker.errors import InputError

Shape = Literal["groups", "records"]

#: Pairs of one entry at most: enough that an entry costs little, few enough to be held by a reader.
BATCH_PAIRS = 1024
#: Bytes of one entry at most, about.
BATCH_BYTES = 1 << 20
#: So many pairs show whether keys come again.
SAMPLE_PAIRS = 4096
#: Combining before the shuffle pays when keys are at most this share of the pairs.
_KEYS_SHARE = 0.5
_PAIR_BYTES = 16
_GROUP_BYTES = 400


def collect(
    pairs: Iterable[tuple[Any, Any]],
    partitioner: Partitioner,
    *,
    place: SpillPlace,
    memory_bytes: int,
    shape: Shape = "groups",
    combine: Combine | None = None,
) -> Runs:
    """Sort the pairs of one input partition into files, by the partition of their keys.

    `shape="groups"` brings the values of a key together, `"records"` keeps pairs in their order. `combine` merges
    values before they are written, unless the first few thousand pairs show that keys hardly repeat.

    Holds about `memory_bytes`; what is more is written, as several runs. Raises InputError for what is no pair,
    KeyTypeError for what is no key, SpillError when the disk is full. What `pairs` raises goes through.
    """
    with RunWriter(place, partitioner.partition_count) as writer:
        stream = _checked(pairs)
        if shape == "records":
            _collect_records(stream, partitioner, writer, memory_bytes)
        elif combine is None:
            _collect_groups(stream, partitioner, writer, memory_bytes)
        else:
            _collect_combined(stream, partitioner, writer, memory_bytes, combine)
        return writer.runs


def _checked(pairs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    for pair in pairs:
        try:
            key, value = pair
        except (TypeError, ValueError):
            raise _no_pair(pair) from None
        yield key, value


def _no_pair(pair: Any) -> InputError:
    shown = repr(pair)
    shown = shown if len(shown) <= 200 else shown[:199] + "…"
    return InputError(f"{shown} is no (key, value) pair; make pairs with map or key_by before a step by key")


def _collect_records(
    pairs: Iterator[tuple[Any, Any]], partitioner: Partitioner, writer: RunWriter, memory_bytes: int
) -> None:
    waiting: list[list[tuple[Any, Any]]] = [[] for _ in range(partitioner.partition_count)]
    written: list[list[tuple[bytes, int, bytes]]] = [[] for _ in range(partitioner.partition_count)]
    scale = Scale()
    held = 0
    for pair in pairs:
        key, value = pair
        batch = waiting[partitioner(key)]
        batch.append(pair)
        held += scale.weigh(key) + scale.weigh(value) + _PAIR_BYTES
        if len(batch) >= BATCH_PAIRS:
            _encode_all(waiting, written)
            held = sum(len(keys) + len(values) for batch in written for keys, _, values in batch)
        if held > memory_bytes:
            _write_records(waiting, written, writer)
            held = 0
    if any(waiting) or any(written):
        _write_records(waiting, written, writer)


def _encode_all(waiting: list[list[tuple[Any, Any]]], written: list[list[tuple[bytes, int, bytes]]]) -> None:
    for batch, done in zip(waiting, written, strict=True):
        if batch:
            done.append(encode_pairs(batch))
            batch.clear()


def _write_records(
    waiting: list[list[tuple[Any, Any]]], written: list[list[tuple[bytes, int, bytes]]], writer: RunWriter
) -> None:
    _encode_all(waiting, written)
    writer.write("records", (iter(done) for done in written))
    for done in written:
        done.clear()


def encode_pairs(pairs: list[tuple[Any, Any]]) -> tuple[bytes, int, bytes]:
    """Make an entry of pairs: two columns pickle in half the time of a column of pairs."""
    return dump_many([key for key, _ in pairs]), len(pairs), dump_many([value for _, value in pairs])


def _collect_groups(
    pairs: Iterator[tuple[Any, Any]], partitioner: Partitioner, writer: RunWriter, memory_bytes: int
) -> None:
    groups: dict[Any, tuple[Any, list[Any]]] = {}
    scale = Scale()
    held = 0
    for key, value in pairs:
        plain = plain_key(key)
        group = groups.get(plain)
        if group is None:
            group = groups[plain] = (key, [])
            held += scale.weigh(key) + _GROUP_BYTES
        group[1].append(value)
        held += scale.weigh(value) + _PAIR_BYTES
        if held > memory_bytes:
            write_groups(groups, partitioner, writer)
            groups = {}
            held = 0
    if groups:
        write_groups(groups, partitioner, writer)


def write_groups(groups: dict[Any, tuple[Any, list[Any]]], partitioner: Partitioner, writer: RunWriter) -> None:
    """Write groups as a run, each in its partition, in the order of the dict."""
    placed: list[list[tuple[Any, list[Any]]]] = [[] for _ in range(partitioner.partition_count)]
    for key, values in groups.values():
        placed[partitioner(key)].append((key, values))
    writer.write("groups", (chain.from_iterable(map(_group_entries, part)) for part in placed))


def _group_entries(group: tuple[Any, list[Any]]) -> Iterator[tuple[bytes, int, bytes]]:
    key, values = group
    keys = dump_many([key])
    for part in batches(values):
        yield keys, len(part), dump_many(part)


def _collect_combined(
    pairs: Iterator[tuple[Any, Any]],
    partitioner: Partitioner,
    writer: RunWriter,
    memory_bytes: int,
    combine: Combine,
) -> None:
    sample = list(islice(pairs, SAMPLE_PAIRS))
    distinct = len({plain_key(key) for key, _ in sample})
    rest = chain(sample, pairs)
    if len(sample) == SAMPLE_PAIRS and distinct > _KEYS_SHARE * len(sample):
        _collect_records(rest, partitioner, writer, memory_bytes)
        return
    table = KeyTable(combine, memory_bytes)
    for place, (key, value) in enumerate(rest):
        table.add_value(place, key, value)
        if table.full:
            write_combined(table, partitioner, writer)
    if len(table):
        write_combined(table, partitioner, writer)


def write_combined(table: KeyTable, partitioner: Partitioner, writer: RunWriter) -> None:
    """Write what a table holds as a run of keys with their combiners."""
    placed: list[list[tuple[Any, Any]]] = [[] for _ in range(partitioner.partition_count)]
    for merged in table.drain():
        placed[partitioner(merged.key)].append((merged.key, merged.state))
    writer.write("combined", (map(encode_pairs, batches(part)) for part in placed))


def batches(items: Iterable[Any], batch_bytes: int = BATCH_BYTES) -> Iterator[list[Any]]:
    """Cut items into lists of at most BATCH_PAIRS, and of about `batch_bytes`."""
    scale = Scale()
    batch: list[Any] = []
    held = 0
    for item in items:
        batch.append(item)
        held += scale.weigh(item)
        if len(batch) >= BATCH_PAIRS or held > batch_bytes:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch
