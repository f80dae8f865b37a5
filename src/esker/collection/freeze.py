"""Freeze: split rows into hot keys and cold payload, once, ahead of every query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import pyarrow as pa

from esker import frozen
from esker.collection.dataset import Dataset
from esker.collection.indexed_rows import indexed_rows
from esker.collection.options import OptionsGiven
from esker.collection.read import read
from esker.collection.write import require_parent
from esker.core.batch import require_columns
from esker.core.context import QueryContext
from esker.core.explanation import Explanation
from esker.engine.session import session_of
from esker.errors import OptionError
from esker.frozen import FreezeReport
from esker.frozen.write import ROW_GROUP_ROWS
from esker.index import ColumnSpec, Equality, SegmentInfo, build_index, spec_of_word
from esker.index.encode import Encoder
from esker.index.prepared import PreparedColumns
from esker.plan.nodes import Sort
from esker.storage import Tier, open_tier

IndexOption = Sequence[str] | Mapping[str, str | ColumnSpec]


def freeze(
    source: Any,
    target: str | Path,
    *,
    keys: str | Sequence[str] = (),
    index: IndexOption = (),
    encoding: str = "auto",
    profile: str = "balanced",
    tier: str | Tier | None = None,
    order_by: str | Sequence[str] = (),
    split_by: str | None = None,
    extent_rows: int | None = None,
    row_group_rows: int | None = None,
    page_bytes: int | None = None,
    **options: Unpack[OptionsGiven],
) -> FreezeReport:
    """Write `source` as a frozen data set in the new folder `target`, its payload on `tier`.

    `keys` are the columns that joins and finds decide on; they and the indexed columns are repeated in the folder,
    where they can be read without the payload. `index` names the columns that get a bitmap index: a list (one vector
    per value), or a mapping to a kind: `"equality"`, `"range"`, `"interval"`, `"bit_sliced"`, `"time_quantum"` or
    `esker.Bins([...])`; `encoding` and `profile` are those of its vectors, as `build_index` takes them. `tier` is where
    the payload goes: a folder, or a URI such as `tape:/library?device=lto9-hh&cartridge=4MiB` (default: `payload/`
    inside `target`). `order_by`
    sorts first, within the memory budget; `split_by` starts a new extent (the unit of recall) when that column's
    value changes. Options are those of `Dataset.with_options`.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "flights.esker"
    >>> report = esker.freeze({"tail": ["N1", "N2"], "delay": [5, 130]}, folder, keys="tail", index=["delay"])
    >>> report.rows, esker.find(folder, "delay > 60").to_arrow()["tail"].to_pylist()
    (2, ['N2'])

    The folder appears whole or not at all. Source: attribute separation, source 003, 3.1, done when data is archived.
    Raises OutputExistsError, UnknownColumnError, OptionError; SpillError when sorting fills the disk.
    """
    dataset, specs, hot = _checked(source, keys, index, options)
    encoder = Encoder(encoding, profile)
    path = Path(target)
    require_parent(path)
    frozen.require_unfrozen(path)
    names = _as_list(order_by)
    with dataset._options.context() as context:
        node, is_sorted = dataset._node, False
        if names and session_of(context) is not None:
            require_columns(names, dataset.schema, "order_by")
            node, is_sorted = Sort(dataset.schema, node, tuple(names), (False,) * len(names)), True
        with indexed_rows(node, specs, encoder, context, "freeze") as (batches, prepared):
            return frozen.freeze(
                batches,
                dataset.schema,
                path,
                hot_columns=hot,
                tier=_open(tier, path),
                order_by=names,
                is_sorted=is_sorted,
                split_by=split_by,
                extent_rows=extent_rows,
                row_group_rows=ROW_GROUP_ROWS if row_group_rows is None else row_group_rows,
                page_bytes=page_bytes,
                context=context,
                index_builder=_builder(specs, encoder, context, prepared) if specs else None,
            )


def plan_freeze(
    source: Any,
    target: str | Path,
    *,
    keys: str | Sequence[str] = (),
    index: IndexOption = (),
    tier: str | Tier | None = None,
    order_by: str | Sequence[str] = (),
    split_by: str | None = None,
    **options: Unpack[OptionsGiven],
) -> Explanation:
    """Say what `freeze` with the same arguments would read and write, and write nothing."""
    dataset, specs, hot = _checked(source, keys, index, options)
    frozen.require_unfrozen(Path(target))
    where = tier if isinstance(tier, str) else (tier.uri if tier is not None else f"disk:{Path(target) / 'payload'}")
    detail: dict[str, Any] = {"target": str(target), "hot_columns": hot, "tier": where, "index": sorted(specs)}
    if order_by:
        detail["order_by"] = _as_list(order_by)
    if split_by is not None:
        detail["split_by"] = split_by
    below = dataset.explain()
    return Explanation("freeze", detail, estimated=below.estimated, inputs=[below])


def index_specs(index: IndexOption) -> dict[str, ColumnSpec]:
    """Read the `index` option: column -> what kind of index."""
    if isinstance(index, str):
        index = [index]
    if not isinstance(index, Mapping):
        return {name: Equality() for name in index}
    return {name: _spec(name, wanted) for name, wanted in index.items()}


def _spec(name: str, wanted: str | ColumnSpec) -> ColumnSpec:
    if isinstance(wanted, ColumnSpec):
        return wanted
    try:
        return spec_of_word(wanted)
    except OptionError as error:
        raise OptionError(f"index of {name!r}: {error}") from error


def _checked(
    source: Any, keys: str | Sequence[str], index: IndexOption, options: Mapping[str, Any]
) -> tuple[Dataset, dict[str, ColumnSpec], list[str]]:
    dataset = read(source).with_options(**options)
    specs = index_specs(index)
    hot = list(dict.fromkeys([*_as_list(keys), *specs]))
    require_columns(hot, dataset.schema, "the source")
    if not hot:
        raise OptionError("name at least one column in keys= or index=: without hot columns every query reads all")
    return dataset, specs, hot


def _builder(
    specs: Mapping[str, ColumnSpec], encoder: Encoder, context: QueryContext, prepared: PreparedColumns | None = None
) -> frozen.IndexBuilder:
    def build(batches: Iterator[pa.RecordBatch], row_count: int, folder: Path) -> Sequence[SegmentInfo]:
        return build_index(
            batches,
            row_count,
            specs,
            folder,
            context=context,
            encoding=encoder.encoding,
            profile=encoder.profile,
            prepared=prepared.take(row_count) if prepared is not None else None,
        )

    return build


def _open(tier: str | Tier | None, target: Path) -> Tier:
    if tier is None:
        return open_tier(f"disk:{target / 'payload'}")
    return open_tier(tier) if isinstance(tier, str) else tier


def _as_list(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
