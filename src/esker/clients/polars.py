"""Polars as a client: a LazyFrame whose filters, columns and row limits are answered by the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa

from esker.clients.pushdown import POLARS, pushable, restricted
from esker.collection.dataset import Dataset
from esker.collection.options import OptionsGiven
from esker.collection.read import read
from esker.core.explanation import Explanation
from esker.errors import MissingExtraError
from esker.expression import Expression
from esker.expression.from_polars import known_conjuncts

if TYPE_CHECKING:
    import polars

OnScan = Callable[[Explanation], None]


def scan_polars(source: Any, *, on_scan: OnScan | None = None, **options: Unpack[OptionsGiven]) -> polars.LazyFrame:
    """Scan anything that `esker.read` takes as a Polars LazyFrame; of a frozen data set or index only what is needed.

    >>> import esker, tempfile, pathlib, polars as pl
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "months.esker"
    >>> report = esker.freeze({"month": [1, 6, 7, 7], "text": list("abcd")}, folder, index=["month"])
    >>> esker.scan_polars(folder).filter(pl.col("month") == 7).select("text").collect()["text"].to_list()
    ['c', 'd']

    Conditions on one column with constants, joined by AND, OR and NOT, are answered here; Polars' own predicate is
    applied again to what comes out. `on_scan` is told the plan of each scan when it ends: the predicate that came
    down, and what was read. Options are those of `Dataset.with_options`. Raises MissingExtraError without
    `esker[polars]`.
    """
    try:
        import polars
        from polars.io.plugins import register_io_source
    except ImportError as error:
        raise MissingExtraError.of("polars", "polars") from error
    dataset = read(source).with_options(**options)

    def frames(
        with_columns: list[str] | None, predicate: Any | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[Any]:
        return _frames(dataset, with_columns, predicate, n_rows, on_scan)

    empty = polars.from_arrow(dataset.schema.empty_table())
    return register_io_source(frames, schema=empty.schema)


def _frames(
    dataset: Dataset, with_columns: Sequence[str] | None, predicate: Any, n_rows: int | None, on_scan: OnScan | None
) -> Iterator[Any]:
    """Frames of a scan. Polars applies neither predicate nor limit itself: each row that leaves here counts."""
    import polars

    columns = list(dataset.columns if with_columns is None else with_columns)
    read_columns = set(columns) | (set(predicate.meta.root_names()) if predicate is not None else set())
    # A frame without a column has no rows.
    wanted = [name for name in dataset.columns if name in read_columns] or dataset.columns[:1]
    rows = restricted(dataset, _pushed(predicate, dataset.schema)).select(wanted)
    if predicate is None and n_rows is not None:
        rows = rows.head(n_rows)
    left = n_rows
    result = rows.execute()
    try:
        with closing(result):
            for batch in result:
                frame = polars.from_arrow(pa.Table.from_batches([batch]), rechunk=False)
                frame = (frame if predicate is None else frame.filter(predicate)).select(columns or wanted)
                frame = frame if left is None else frame.head(left)
                left = None if left is None else left - frame.height
                yield frame
                if left == 0:
                    return
    finally:
        if on_scan is not None:
            on_scan(result.explanation)


def _pushed(predicate: Any, schema: pa.Schema) -> Expression | None:
    if predicate is None:
        return None
    try:
        parts = known_conjuncts(predicate)
    except Exception:  # noqa: BLE001  # Python functions in it may fail to be written down in any way; Polars runs them
        return None
    return pushable(parts, schema, POLARS)
