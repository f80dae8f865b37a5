"""What an algorithm found, as a Dataset: small ones in memory, others in a private file that is mapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.collection.options import Options
from esker.core.spill import SpillFolder
from esker.engine.partition_by import GroupSource
from esker.engine.sources.stored import TableSource
from esker.engine.stores.kept import KeptGroups
from esker.graph.ids import Ids
from esker.graph.workspace import Array, Workspace
from esker.plan.nodes import Scan

_BATCH_ROWS = 1 << 16


def keep(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, name: str, options: Options, workspace: Workspace
) -> Dataset:
    """Keep rows for a Dataset that is read any number of times; the file goes with the last Dataset made of it."""
    rest = iter(batches)
    held: list[pa.RecordBatch] = []
    for batch in rest:
        held.append(batch)
        if sum(part.num_rows for part in held) > _BATCH_ROWS:
            break
    else:
        return Dataset(Scan(schema, TableSource(pa.Table.from_batches(held, schema), name)), options)
    root = Path(options.spill_folder) if options.spill_folder is not None else None
    kept = KeptGroups(SpillFolder(root=root, limit=options.spill_limit), schema)
    with kept.writer(workspace.context) as writer:
        writer.add(_all(held, rest))
    return Dataset(Scan(schema, GroupSource(kept, 0, name)), options)


def vertex_rows(
    ids: Ids, id_name: str, columns: Mapping[str, Array], keep_rows: Array | None = None
) -> Iterator[pa.RecordBatch]:
    """A row for each vertex, in the order of the ids; those for which `keep_rows` is false are left out."""
    for start in range(0, ids.count, _BATCH_ROWS):
        stop = min(start + _BATCH_ROWS, ids.count)
        arrays = [ids.slice(start, stop), *(pa.array(column[start:stop]) for column in columns.values())]
        batch = pa.record_batch(arrays, names=[id_name, *columns])
        if keep_rows is not None:
            batch = batch.filter(pa.array(keep_rows[start:stop]))
        if batch.num_rows:
            yield batch


def _all(held: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from held
    yield from rest
