"""Splitters: the keys at which one range of a sort order ends and the next begins."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from esker.core.sort import SortOrder
from esker.engine.group import group_codes

Ids = npt.NDArray[np.int32]


class Splitters:
    """Ascending keys; range i has the keys from splitter i - 1 on, and below splitter i.

    >>> splitters = Splitters.of_sample(pa.table({"k": [1, 2, 3, 4, None, 5]}), ["k"], 3)
    >>> splitters.ids(pa.record_batch({"k": [5, 1, 3, None, 0, 4]})).tolist()
    [2, 0, 1, 2, 0, 1]

    The order is that of `SortOrder`: NaN above numbers, nulls last (or first), -0.0 equal to 0.0. "Below" and
    "ascending" mean in that order, also where it is `descending`.
    """

    def __init__(
        self, keys: pa.Table, by: Sequence[str], descending: Sequence[bool] = (), nulls_first: bool = False
    ) -> None:
        self._by = list(by)
        self._order = SortOrder(by, descending, nulls_first)
        self._keys = self._order.keys(keys.combine_chunks())
        self._numbers = None if any(descending) else _numbers(self._keys)

    @classmethod
    def of_sample(
        cls,
        sample: pa.Table,
        by: Sequence[str],
        range_count: int,
        descending: Sequence[bool] = (),
        nulls_first: bool = False,
    ) -> Splitters:
        """Choose splitters that divide the rows of `sample` as evenly as its keys allow.

        A key of more rows than its share has a range to itself. There are fewer splitters than asked for where there
        are fewer keys.
        """
        keys = sample.select(list(by)).combine_chunks()
        order = SortOrder(by, descending, nulls_first)
        ordered = keys.take(order.indices(order.keys(keys)))
        codes, key_count = group_codes(ordered, by)
        sizes = np.bincount(codes, minlength=key_count)
        firsts = np.cumsum(sizes) - sizes
        return cls(ordered.take(pa.array(firsts[_cuts(sizes, range_count)])), by, descending, nulls_first)

    def ids(self, batch: pa.RecordBatch) -> Ids:
        """The number of the range of each row: how many splitters are not above its key."""
        keys = self._order.keys(pa.Table.from_batches([batch.select(self._by)]))
        numbers = _numbers(keys)
        if numbers is not None and self._numbers is not None:
            return _by_search(numbers, self._numbers, keys.column(0), self._keys.column(0))
        return _by_sorting(self._order, keys, self._keys)


def _cuts(sizes: npt.NDArray[np.int64], range_count: int) -> list[int]:
    """The keys at which ranges begin, but for the first, so that the largest range of several keys is the least."""
    ends = [0, *np.cumsum(sizes).tolist()]
    too_few, enough = 0, ends[-1]
    while too_few + 1 < enough:
        rows_max = (too_few + enough) // 2
        if _packed(ends, rows_max, range_count) is None:
            too_few = rows_max
        else:
            enough = rows_max
    return _packed(ends, enough, range_count) or []


def _packed(ends: list[int], rows_max: int, range_count: int) -> list[int] | None:
    """Fill ranges up to `rows_max` rows, a larger key by itself; None where that takes more than there are."""
    cuts: list[int] = []
    start = 0
    while (stop := max(bisect_right(ends, ends[start] + rows_max) - 1, start + 1)) < len(ends) - 1:
        cuts.append(stop)
        if len(cuts) == range_count:
            return None
        start = stop
    return cuts


def _numbers(keys: pa.RecordBatch) -> npt.NDArray[np.generic] | None:
    """The values as NumPy numbers of the same order (anything for nulls), or None for what is no single number."""
    if keys.num_columns != 1:
        return None
    column = keys.column(0)
    type_ = column.type
    if pa.types.is_boolean(type_):
        column = column.cast(pa.uint8())
    elif pa.types.is_temporal(type_) and not pa.types.is_interval(type_):
        column = column.view(pa.int64() if type_.bit_width == 64 else pa.int32())
    elif not (pa.types.is_integer(type_) or pa.types.is_floating(type_)):
        return None
    numbers: npt.NDArray[np.generic] = pc.fill_null(column, pa.scalar(0, column.type)).to_numpy(zero_copy_only=False)
    return numbers


def _by_search(
    numbers: npt.NDArray[np.generic], splitters: npt.NDArray[np.generic], column: pa.Array, splitter_column: pa.Array
) -> Ids:
    # Nulls are last: at most one splitter is null, and all rows that are null are above every splitter.
    ids = np.searchsorted(splitters[: len(splitters) - splitter_column.null_count], numbers, side="right")
    if column.null_count:
        ids[~column.is_valid().to_numpy(zero_copy_only=False)] = len(splitters)
    return ids.astype(np.int32)


def _by_sorting(order: SortOrder, keys: pa.RecordBatch, splitters: pa.RecordBatch) -> Ids:
    # Equal rows keep their order in a sort, so a splitter that stands first comes before the rows of its key.
    places = order.indices(pa.concat_batches([splitters, keys])).to_numpy()
    is_splitter = places < splitters.num_rows
    ids = np.empty(keys.num_rows, np.int32)
    ids[places[~is_splitter] - splitters.num_rows] = np.cumsum(is_splitter)[~is_splitter]
    return ids
