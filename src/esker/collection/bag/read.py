"""Where a Bag begins: Python iterables and numbers. Files are in `files.py`."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from esker.collection.bag.bag import Bag
from esker.collection.bag.element import U
from esker.engine.bag.call_site import call_site
from esker.engine.bag.options import DEFAULT_BAG_OPTIONS, require_whole
from esker.engine.bag.pipeline import ItemsSplit, Split, even_spans
from esker.engine.bag.plan import SourceNode
from esker.errors import OptionError


def of(iterable: Iterable[U], partitions: int | None = None) -> Bag[U]:
    """Make a Bag of any iterable, cut into `partitions` of about one size (default: one for each core).

    >>> import esker
    >>> esker.of([1, 2, 3], partitions=2).glom().collect()
    [[1], [2, 3]]

    What is no sequence is read into a list, now. Partition k of n holds the elements from k * len // n on.
    """
    items: Any = iterable if isinstance(iterable, list | tuple | str | bytes | builtins.range) else list(iterable)
    if isinstance(items, str):
        items = list(items)
    return of_splits([ItemsSplit(part) for part in cut(items, partitions)], "of")


def from_partitions(partitions: Sequence[Iterable[U]]) -> Bag[U]:
    """Make a Bag of exactly these partitions; see `Bag.from_partitions`."""
    made = [part if isinstance(part, list | tuple | builtins.range) else list(part) for part in partitions]
    return of_splits([ItemsSplit(part) for part in made], "from_partitions")


def range(start: int, stop: int | None = None, step: int = 1, partitions: int | None = None) -> Bag[int]:
    """Make a Bag of whole numbers, as Python's own `range`; they are made where they are used.

    >>> import esker
    >>> esker.range(2, 10, 3).collect()
    [2, 5, 8]
    """
    try:
        numbers = builtins.range(start) if stop is None else builtins.range(start, stop, step)
    except (TypeError, ValueError) as error:
        raise OptionError(f"range: {error}") from error
    if stop is None and step != 1:
        numbers = builtins.range(0, start, step)
    return of_splits([ItemsSplit(part) for part in cut(numbers, partitions)], "range")


def of_splits(splits: Sequence[Split], operator: str) -> Bag[Any]:
    """Make a Bag of what reads each partition."""
    return Bag(SourceNode(splits, operator, call_site()))


def cut(items: Any, partitions: int | None) -> list[Any]:
    """Cut a sequence into partitions of about one size."""
    if partitions is not None:
        require_whole("partitions", partitions, 1)
    count = partitions or DEFAULT_BAG_OPTIONS.worker_count
    return [items[a:b] for a, b in even_spans(len(items), count)]
