"""Arrow batches at the border: anything that speaks Arrow in, plain types out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from esker.errors import InputError, SchemaMismatchError, UnknownColumnError

# View types are what pages hold; most of pyarrow's kernels refuse them, as they do small decimals and runs, so users
# see the plain type.
_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def plain_type(type_: pa.DataType) -> pa.DataType:
    """The type users see for `type_`: views become strings, dictionaries and runs their values, small decimals wide.

    >>> plain_type(pa.string_view()), plain_type(pa.dictionary(pa.int8(), pa.string()))
    (DataType(string), DataType(string))
    >>> plain_type(pa.run_end_encoded(pa.int32(), pa.decimal32(7, 2)))
    Decimal128Type(decimal128(7, 2))
    """
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return plain_type(type_.value_type)
    if pa.types.is_decimal32(type_) or pa.types.is_decimal64(type_):
        return pa.decimal128(type_.precision, type_.scale)
    return _PLAIN.get(type_, type_)


def storage_type(type_: pa.DataType) -> pa.DataType:
    """The type an extension type is stored in, whose equality and order are its own; any other type as it is.

    >>> storage_type(pa.uuid()), storage_type(pa.int8())
    (FixedSizeBinaryType(fixed_size_binary[16]), DataType(int8))
    """
    return storage_type(type_.storage_type) if isinstance(type_, pa.BaseExtensionType) else type_


def storage_of(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """A column of an extension type as what it is stored in, without a copy; any other column as it is."""
    return column.cast(storage_type(column.type)) if isinstance(column.type, pa.BaseExtensionType) else column


def cast_column(column: pa.Array, type_: pa.DataType) -> pa.Array:
    """Cast a column, also one of runs, which pyarrow's cast refuses; copied only where the type differs."""
    if column.type == type_:
        return column
    if pa.types.is_run_end_encoded(column.type):
        return cast_column(pc.run_end_decode(column), type_)
    return column.cast(type_)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with every column of a plain type; column metadata stays, the schema's goes."""
    return pa.schema([field.with_type(plain_type(field.type)) for field in schema])


def cast_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Cast the columns of `batch` to `schema` by position, copying only those that differ."""
    if batch.schema.equals(schema):
        return batch
    columns = [cast_column(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`batch` with every column of a plain type; itself where all are."""
    if all(plain_type(column.type) == column.type for column in batch.columns):
        return batch
    columns = [cast_column(column, plain_type(column.type)) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def joined(batches: Iterable[pa.RecordBatch], bytes_max: int) -> Iterator[pa.RecordBatch]:
    """Yield the same rows in batches of up to `bytes_max` bytes; one that is larger stays as it is.

    >>> batch = pa.record_batch({"n": [1, 2, 3, 4]})
    >>> [joint.num_rows for joint in joined([batch] * 5, 2 * batch.nbytes)]
    [8, 8, 4]
    """
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    for batch in batches:
        size = batch.nbytes
        if held and held_bytes + size > bytes_max:
            yield one_batch(held)
            held, held_bytes = [], 0
        held.append(batch)
        held_bytes += size
    if held:
        yield one_batch(held)


def one_batch(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """The rows of all batches, of which there is at least one; copied only where there are several."""
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def to_reader(source: Any) -> pa.RecordBatchReader:
    """Read any Arrow object: tables, batches, readers, Polars and pandas frames, DuckDB relations, our Datasets.

    Raises InputError for what does not speak Arrow, naming its type, and for columns that are no table together.
    """
    if isinstance(source, pa.RecordBatchReader):
        return source
    if isinstance(source, pa.Table):
        return source.to_reader()
    if hasattr(source, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(source)
    if hasattr(source, "__arrow_c_array__"):
        batch = pa.record_batch(source)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    if isinstance(source, dict):
        return _table_of(source).to_reader()
    raise InputError(
        f"{type(source).__name__} does not speak Arrow (no __arrow_c_stream__); pass a pyarrow, Polars, pandas or"
        " DuckDB object, or a path to esker.read"
    )


def _table_of(columns: dict[Any, Any]) -> pa.Table:
    other = next((name for name in columns if not isinstance(name, str)), None)
    if other is not None:
        raise InputError(f"a column's name is a text, not {other!r}")
    try:
        return pa.table(columns)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError) as error:
        raise InputError(f"these columns make no table: {error}") from error


def _table_of_rows(rows: list[Any], schema: pa.Schema | None) -> pa.Table:
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, AttributeError) as error:
        raise InputError(f"these rows make no table: {error}") from error


def to_batches(result: Any, schema: pa.Schema | None = None) -> Iterator[pa.RecordBatch]:
    """Turn what a user's function returned into batches, cast to `schema` when one is given.

    Takes None (no rows), Arrow objects, a dict of columns, a list of row dicts, or an iterable of these. Raises
    InputError for anything else, SchemaMismatchError for columns that are not those of `schema`.
    """
    if result is None:
        return
    if isinstance(result, pa.RecordBatch):
        batches: Iterable[pa.RecordBatch] = [result]
    elif isinstance(result, list | tuple) and (not result or isinstance(result[0], dict)):
        batches = _table_of_rows(list(result), schema).to_batches()
    elif hasattr(result, "__arrow_c_stream__") or hasattr(result, "__arrow_c_array__") or isinstance(result, dict):
        batches = to_reader(_columns(result))
    elif isinstance(result, Iterable) and not isinstance(result, str | bytes):
        for part in result:
            yield from to_batches(part, schema)
        return
    else:
        raise InputError(f"the function returned {type(result).__name__}; return an Arrow table, a batch or row dicts")
    for batch in batches:
        yield conform(batch, schema) if schema is not None else cast_batch(batch, plain_schema(batch.schema))


def is_column(value: Any) -> bool:
    """Whether a value of a dict is a column; a NumPy scalar is one value.

    >>> import numpy as np
    >>> is_column([1]), is_column(np.array([1])), is_column(np.float64(1)), is_column("text")
    (True, True, False, False)
    """
    if isinstance(value, list | tuple | pa.Array | pa.ChunkedArray):
        return True
    return hasattr(value, "dtype") and getattr(value, "ndim", 1) != 0


def _columns(result: Any) -> Any:
    """A dict of scalars is one row; a dict of sequences is columns."""
    if not isinstance(result, dict):
        return result
    return {name: value if is_column(value) else [value] for name, value in result.items()}


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Bring `batch` to `schema` by column name; SchemaMismatchError names the column that does not fit."""
    if batch.schema.equals(schema):
        return batch
    names = batch.schema.names
    columns = []
    for field in schema:
        if names.count(field.name) != 1:
            raise SchemaMismatchError(
                f"expected a column {field.name!r} ({field.type}), got columns: {', '.join(names)}"
            )
        column = batch.column(field.name)
        try:
            columns.append(cast_column(column, field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise SchemaMismatchError(
                f"column {field.name!r} is {column.type}, not {field.type}, and cannot be cast: {error}"
            ) from error
    known = frozenset(schema.names)
    extra = [name for name in names if name not in known]
    if extra:
        raise SchemaMismatchError(f"unexpected column {extra[0]!r}; expected: {', '.join(schema.names)}")
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def require_columns(names: Sequence[str], schema: pa.Schema, where: str = "") -> None:
    """Raise UnknownColumnError for the first of `names` that `schema` does not have."""
    known = frozenset(schema.names)
    for name in names:
        if name not in known:
            raise UnknownColumnError.of(name, schema.names, where)


def slices(batch: pa.RecordBatch, rows_max: int) -> Iterator[pa.RecordBatch]:
    """Cut `batch` into zero-copy slices of at most `rows_max` rows; an empty batch gives none."""
    if 0 < batch.num_rows <= rows_max:
        yield batch
        return
    for start in range(0, batch.num_rows, rows_max):
        yield batch.slice(start, rows_max)


def packed(rows: pa.RecordBatch | pa.Table) -> pa.Buffer:
    """Give rows as the bytes of an Arrow stream: those of a slice are its own alone.

    >>> rows = pa.record_batch({"n": range(100_000)}).slice(7, 2)
    >>> packed(rows).size < 1000, unpacked(packed(rows)).to_pylist()
    (True, [{'n': 7}, {'n': 8}])
    """
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write(rows)
    return sink.getvalue()


def unpacked(data: pa.Buffer) -> pa.Table:
    """Read what `packed` made."""
    with pa.ipc.open_stream(data) as reader:
        return reader.read_all()
