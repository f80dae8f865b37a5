"""Verbs that are joins and groups of the two Datasets: lazy, spilled by the engine when they must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import pyarrow as pa

from esker.collection.dataset import Dataset
from esker.core.batch import to_batches
from esker.engine.user_function import call, function_name
from esker.errors import InputError, OptionError, SchemaMismatchError
from esker.graph.columns import Columns, Triplets
from esker.graph.names import Names

_FOUND = "found"


def rename(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """The columns that `names` has, in that order: new name to old name, where one column may have several."""
    source = dataset.select(list(dict.fromkeys(names.values())))
    schema = pa.schema([source.schema.field(old).with_name(new) for new, old in names.items()])
    if source.columns == schema.names:
        return source

    def renamed(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays([batch.column(old) for old in names.values()], schema=schema)

    return source.map_batches(renamed, schema)


def attach(dataset: Dataset, key: str, prefix: str, vertices: Dataset, names: Names) -> Dataset:
    """Add the vertex columns of the id in column `key`, called `prefix.column`; an id that is no vertex is an error."""
    columns = [name for name in vertices.columns if name != names.id]
    clash = next((name for name in columns if f"{prefix}.{name}" in dataset.columns), None)
    if clash is not None:
        raise InputError(
            f"the edges have a column {prefix + '.' + clash!r}, which is what {clash!r} of {prefix} is called"
        )
    marker = f"{prefix}.{_FOUND}?"
    right_names = [f"{prefix}.{names.id}@", *(f"{prefix}.{name}" for name in columns), marker]
    fields = [vertices.schema.field(name) for name in [names.id, *columns]]
    right_schema = pa.schema(
        [
            *(field.with_name(name) for field, name in zip(fields, right_names, strict=False)),
            pa.field(marker, pa.bool_()),
        ]
    )

    def marked(batch: pa.RecordBatch) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [*batch.columns, pa.array([True] * batch.num_rows, pa.bool_())], schema=right_schema
        )

    right = vertices.select([names.id, *columns]).map_batches(marked, right_schema)
    joined = dataset.join(right, left_on=key, right_on=right_names[0], how="left")
    kept = [name for name in joined.columns if name != marker]
    schema = pa.schema([joined.schema.field(name) for name in kept])

    def checked(batch: pa.RecordBatch) -> pa.RecordBatch:
        found = batch.column(marker)
        if found.null_count:
            unknown = batch.column(key).filter(found.is_null())[0].as_py()
            raise InputError(f"an edge has {key}={unknown!r}, which is not among the vertices")
        return batch.select(kept)

    return joined.map_batches(checked, schema)


def triplets(vertices: Dataset | None, edges: Dataset, names: Names) -> Dataset:
    """The edges with the columns of both ends beside, as `src.column` and `dst.column`."""
    if vertices is None or len(vertices.columns) == 1:
        return edges
    for prefix, key in (("src", names.src), ("dst", names.dst)):
        edges = attach(edges, key, prefix, vertices, names)
    return edges


def replace_columns(
    dataset: Dataset,
    fixed: Sequence[str],
    function: Callable[[pa.RecordBatch], Any],
    schema: pa.Schema | None,
    verb: str,
) -> Dataset:
    """Put what `function` makes of each batch in place of all columns but `fixed`."""
    kept = pa.schema([dataset.schema.field(name) for name in fixed])

    @wraps(function)
    def both(batch: pa.RecordBatch) -> pa.RecordBatch:
        made = _one_batch(call(function, batch, verb, lambda: f"a batch of {batch.num_rows} rows"), verb, function)
        if made.num_rows != batch.num_rows:
            raise SchemaMismatchError(
                f"{verb}({function_name(function)}) returned {made.num_rows} rows for {batch.num_rows}; return as many"
            )
        new = [name for name in made.schema.names if name not in fixed]
        for name in fixed:
            if name in made.schema.names and not made.column(name).equals(batch.column(name)):
                raise InputError(f"{verb}({function_name(function)}) changed {name!r}; ids stay as they are")
        arrays = [*(batch.column(name) for name in fixed), *(made.column(name) for name in new)]
        return pa.record_batch(arrays, names=[*fixed, *new])

    if schema is None:
        return dataset.map_batches(both)
    return dataset.map_batches(both, pa.schema([*kept, *(field for field in schema if field.name not in fixed)]))


def send_messages(
    graph_triplets: Dataset,
    names: Names,
    to_src: Callable[[Triplets], Any] | None,
    to_dst: Callable[[Triplets], Any] | None,
    id_name: str,
) -> Dataset:
    """A row for each message: whom it goes to, and its columns; edges whose function returns nulls send none."""
    if to_src is None and to_dst is None:
        raise OptionError("aggregate_messages sends nothing: give to_src=, to_dst=, or both")
    ways = [(key, function) for key, function in ((names.src, to_src), (names.dst, to_dst)) if function is not None]

    def send(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
        seen = triplet_columns(batch, names)
        sent = []
        for key, function in ways:
            made = _one_batch(
                call(function, seen, "aggregate_messages", lambda: f"{batch.num_rows} edges"),
                "aggregate_messages",
                function,
            )
            if made.num_rows != batch.num_rows:
                raise SchemaMismatchError(
                    f"aggregate_messages({function_name(function)}) returned {made.num_rows} rows for {batch.num_rows}"
                    " edges; return one for each, null where none is sent"
                )
            rows = pa.record_batch([batch.column(key), *made.columns], names=[id_name, *made.schema.names])
            sent.append(_without_nulls(rows, made.schema.names))
        return sent

    return graph_triplets.map_batches(send)


def triplet_columns(batch: pa.RecordBatch, names: Names) -> Triplets:
    """A batch of triplets as a function over edges sees it."""

    def end(prefix: str, key: str) -> Columns:
        columns = {names.id: key}
        columns |= {name.removeprefix(prefix): name for name in batch.schema.names if name.startswith(prefix)}
        return Columns(prefix[:-1], list(columns), lambda name: batch.column(columns[name]))

    own = [name for name in batch.schema.names if not name.startswith(("src.", "dst."))]
    return Triplets(end("src.", names.src), end("dst.", names.dst), Columns("the edges", own, batch.column))


def _without_nulls(rows: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    """Leave out messages all of whose columns are null."""
    import pyarrow.compute as pc

    if not columns or not all(rows.column(name).null_count for name in columns):
        return rows
    there = None
    for name in columns:
        valid = rows.column(name).is_valid()
        there = valid if there is None else pc.or_(there, valid)
    return rows.filter(there)


def _one_batch(made: Any, verb: str, function: Callable[..., Any]) -> pa.RecordBatch:
    batches = list(to_batches(made))
    if len(batches) != 1:
        if not batches:
            raise InputError(
                f"{verb}({function_name(function)}) returned no rows; return columns, a value for each row"
            )
        return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
    return batches[0]
