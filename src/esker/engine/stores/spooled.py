"""A computed result as a row store: kept small in memory, large in a private spill file that is mapped."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pyarrow as pa

from esker.core.context import QueryContext
from esker.engine.stores.table import TableRows
from esker.errors import SpillError

# Results up to this share of the budget stay in memory.
_MEMORY_SHARE = 8


def spool(batches: Iterable[pa.RecordBatch], schema: pa.Schema, name: str, context: QueryContext) -> TableRows:
    """Run `batches` once and keep the rows where they can be read again, by position.

    A mapped file costs no anonymous memory (contracts, 1), so a join may look up rows of a result of any size.
    """
    kept: list[pa.RecordBatch] = []
    kept_bytes = 0
    held = context.budget.reserve(f"spool {name}", 0)
    stream = iter(batches)
    for batch in stream:
        kept.append(batch)
        kept_bytes += batch.nbytes
        if kept_bytes > context.budget.total_bytes // _MEMORY_SHARE or not held.try_resize(kept_bytes):
            break
    else:
        return TableRows(pa.Table.from_batches(kept, schema), name)
    table = _write(kept, stream, schema, name, context)
    held.release()
    return TableRows(table, name, device="nvme")


def _write(
    kept: list[pa.RecordBatch], rest: Iterable[pa.RecordBatch], schema: pa.Schema, name: str, context: QueryContext
) -> pa.Table:
    path, fd = context.spill.new_file("spool")
    limit_bytes = context.spill.limit_bytes
    try:
        with os.fdopen(fd, "wb") as file, pa.ipc.new_file(file, schema) as writer:
            while kept:
                writer.write_batch(kept.pop(0))
            for batch in rest:
                context.check()
                writer.write_batch(batch)
                if file.tell() > limit_bytes:
                    raise SpillError(
                        f"{name} spools more than the {limit_bytes:,} bytes allowed in {context.spill.root}:"
                        " raise spill_limit= or memory="
                    )
    except OSError as error:
        if isinstance(error, SpillError):
            raise
        raise context.spill.failure(error) from error
    context.activity.spilled(path.stat().st_size)
    context.log.emit("spooled", operator=name, bytes=path.stat().st_size)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
