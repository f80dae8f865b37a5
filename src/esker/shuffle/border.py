"""Between the types users have and the types pages hold: every cast of the shuffle is here, in sight.

Flat types go in as they are, extension types as what they are stored as, dictionaries of flat values as their values.
Every other type (lists, structs, maps, unions, run-end encoded, dictionaries of these and of views) is a binary column
in a page, each row in the kernel's encoding: see docs/formats/page.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from esker.core.batch import storage_type
from esker.errors import InputError, UnsupportedTypeError
from esker.kernel import _kernel

_VIEWS = {
    pa.string(): pa.string_view(),
    pa.large_string(): pa.string_view(),
    pa.binary(): pa.binary_view(),
    pa.large_binary(): pa.binary_view(),
}


def to_page_schema(schema: pa.Schema, keys: Sequence[int] = ()) -> pa.Schema:
    """Say what pages hold for `schema` when `keys` are the numbers of its key columns.

    >>> to_page_schema(pa.schema([("tags", pa.list_(pa.string())), ("n", pa.int8())])).types
    [DataType(large_binary), DataType(int8)]
    """
    hidden = [pa.field(f"key of {schema[key].name}", pa.large_binary(), False) for key in _hidden(schema, keys)]
    return pa.schema([_page_field(field) for field in schema] + hidden)


def require_held(schema: pa.Schema) -> None:
    """Raise UnsupportedTypeError for a column that no page holds: one of binary values of a fixed size over 1 MiB."""
    held = to_page_schema(schema)
    empty = pa.RecordBatch.from_arrays([pa.array([], type_) for type_ in held.types], schema=held)
    _kernel.hash_rows(empty, [0], 0)


def page_keys(schema: pa.Schema, keys: Sequence[int]) -> tuple[int, ...]:
    """Give the numbers of the columns of a page that are hashed for `keys`."""
    hidden = _hidden(schema, keys)
    return tuple(len(schema) + hidden.index(key) if key in hidden else key for key in keys)


def to_page_batch(batch: pa.RecordBatch, keys: Sequence[int] = ()) -> pa.RecordBatch:
    """Turn a batch into one of `to_page_schema`; columns of flat types are not copied."""
    schema = batch.schema
    hidden = _hidden(schema, keys)
    if not hidden and all(_page_type(type_) == type_ for type_ in schema.types):
        return batch
    columns = [_to_page(column, field) for column, field in zip(batch.columns, schema, strict=True)]
    columns += [encoded_key(batch.column(key)) for key in hidden]
    return pa.RecordBatch.from_arrays(columns, schema=to_page_schema(schema, keys))


class FromPages:
    """Turns batches from pages into ones of a user's schema; what is to be done is found out once.

    >>> from_pages = FromPages(pa.schema([("tags", pa.list_(pa.string()))]))
    >>> from_pages(to_page_batch(pa.record_batch({"tags": [["a"], None]}))).to_pylist()
    [{'tags': ['a']}, {'tags': None}]
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        # What turns a column of a page into the user's; None where it is the same.
        self._turn = [None if _page_type(field.type) == field.type else partial(_from_page, field) for field in schema]
        self._plain = all(turn is None for turn in self._turn)

    def passes(self, schema: pa.Schema) -> bool:
        """Say whether batches of `schema` are given as they are."""
        return self._plain and bool(schema.equals(self._schema, check_metadata=True))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Give the rows in the schema; columns that need no other type are not copied."""
        if self.passes(batch.schema):
            return batch
        columns = [
            _to_type(column, field.type, field.name) if turn is None else turn(column)
            for turn, column, field in zip(self._turn, batch.columns[: len(self._turn)], self._schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)


def to_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Turn one batch from pages into one of the user's schema; for many, make a `FromPages`."""
    return FromPages(schema)(batch)


def as_view(field: pa.Field) -> pa.Field:
    """Give the field with the view type of a string or binary, which is what pages hold; others as they are.

    >>> as_view(pa.field("name", pa.string())).type, as_view(pa.field("n", pa.int8())).type
    (DataType(string_view), DataType(int8))
    """
    return field.with_type(_VIEWS.get(field.type, field.type))


def is_encoded(type_: pa.DataType) -> bool:
    """Say whether a page holds the type as encoded rows.

    >>> is_encoded(pa.list_(pa.int8())), is_encoded(pa.dictionary(pa.int8(), pa.string()))
    (True, False)
    """
    stored = storage_type(type_)
    if pa.types.is_dictionary(stored):
        return not _is_made_plain(stored.value_type)
    return bool(pa.types.is_nested(stored) or pa.types.is_run_end_encoded(stored))


def encoded_key(column: pa.Array) -> pa.Array:
    """Encode rows so that their bytes are equal exactly when the values are: for types that nothing else compares.

    >>> rows = encoded_key(pa.array([[0.0], [-0.0], None]))
    >>> rows[0] == rows[1], rows[1] == rows[2]
    (True, False)
    """
    return _encoded(column, as_key=True)


def _is_made_plain(type_: pa.DataType) -> bool:
    """Whether pyarrow takes dictionaries of the type apart and makes them again."""
    flat = not (is_encoded(type_) or isinstance(type_, pa.BaseExtensionType) or pa.types.is_dictionary(type_))
    small_decimal = pa.types.is_decimal(type_) and type_.bit_width < 128
    return flat and not small_decimal and type_ not in (pa.string_view(), pa.binary_view())


def _page_type(type_: pa.DataType) -> pa.DataType:
    if is_encoded(type_):
        return pa.large_binary()
    stored = storage_type(type_)
    return _page_type(stored.value_type) if pa.types.is_dictionary(stored) else stored


def _page_field(field: pa.Field) -> pa.Field:
    # An encoding says itself that a value is null.
    return pa.field(field.name, _page_type(field.type), field.nullable and not is_encoded(field.type))


def _hidden(schema: pa.Schema, keys: Sequence[int]) -> list[int]:
    """Keys whose equal values may differ in bytes: beside what is kept goes a column that is hashed."""
    return [key for key in keys if is_encoded(schema[key].type) and _holds_floats(schema[key].type)]


def _holds_floats(type_: pa.DataType) -> bool:
    stored = storage_type(type_)
    if pa.types.is_floating(stored):
        return True
    if pa.types.is_dictionary(stored) or pa.types.is_run_end_encoded(stored):
        return _holds_floats(stored.value_type)
    return any(_holds_floats(stored.field(number).type) for number in range(stored.num_fields))


def _to_page(column: pa.Array, field: pa.Field) -> pa.Array:
    if is_encoded(column.type):
        if not field.nullable and column.null_count:
            raise InputError(f"shuffle: column {field.name!r} has nulls but is declared without")
        return _encoded(column)
    while isinstance(column, pa.ExtensionArray | pa.DictionaryArray):
        column = column.storage if isinstance(column, pa.ExtensionArray) else column.dictionary_decode()
    return column


def _from_page(field: pa.Field, column: pa.Array) -> pa.Array:
    if is_encoded(field.type):
        return _decoded(column, field)
    return _to_type(column, field.type, field.name)


def _to_type(column: pa.Array, type_: pa.DataType, name: str) -> pa.Array:
    if column.type == type_:
        return column
    if isinstance(type_, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(type_, _to_type(column, type_.storage_type, name))
    if pa.types.is_dictionary(type_):
        return _to_dictionary(_to_type(column, type_.value_type, name), type_, name)
    return column.cast(type_)


def _to_dictionary(column: pa.Array, type_: pa.DataType, name: str) -> pa.Array:
    """Values in the order in which they come first, so that the same rows give the same dictionary."""
    found = column.dictionary_encode()
    try:
        indices = found.indices.cast(type_.index_type)
    except pa.ArrowInvalid as error:
        raise UnsupportedTypeError(
            f"column {name!r} has {len(found.dictionary):,} values in one batch, more than the indices of {type_}"
            " reach; cast it to a dictionary of wider indices, or to its values"
        ) from error
    return pa.DictionaryArray.from_arrays(indices, found.dictionary, ordered=type_.ordered)


class _Capsules:
    """An array that the kernel made, for pyarrow to take."""

    def __init__(self, type_: pa.DataType, array: Any) -> None:
        self._type = type_
        self._array = array

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self._type.__arrow_c_schema__(), self._array


def _encoded(column: pa.Array, *, as_key: bool = False) -> pa.Array:
    return pa.array(_Capsules(pa.large_binary(), _kernel.encode_rows(column, as_key=as_key)))


def _decoded(column: pa.Array, field: pa.Field) -> pa.Array:
    stored = storage_type(field.type)
    rows = pa.RecordBatch.from_arrays([column], names=[field.name])
    found = pa.array(_Capsules(stored, _kernel.decode_rows(stored, rows)))
    return _to_type(found, field.type, field.name)
