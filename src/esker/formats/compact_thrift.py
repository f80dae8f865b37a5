"""Thrift's compact protocol, as far as Parquet's footers, page headers and page indexes need it.

Written from the protocol's description in the Thrift repository. Values keep their types, so that what was read can
be written again: a struct is a dictionary of field id -> `Typed`, a list is a `ThriftList`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from esker.errors import PayloadCorruptError

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

_DEPTH_MAX = 32
_VARINT_BYTES_MAX = 10
_INTEGERS = frozenset((I16, I32, I64))
_DOUBLE = struct.Struct("<d")


class Typed(NamedTuple):
    """A field's value and how it is written: `kind` is one of the types above (TRUE for either boolean)."""

    kind: int
    value: Any


class ThriftList(NamedTuple):
    """A list or set: the type of its items and the items."""

    kind: int
    items: list[Any]


Struct = Mapping[int, Typed]


class Reader:
    """Read values from untrusted bytes; PayloadCorruptError for anything that is not well formed.

    >>> Reader(bytes([0x15, 0x02, 0x18, 0x01, 0x61, 0x00])).struct()
    {1: Typed(kind=5, value=1), 2: Typed(kind=8, value=b'a')}
    """

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self._data = memoryview(data)
        self.position = position

    def struct(self, depth: int = 0) -> dict[int, Typed]:
        """Read a struct up to its end."""
        fields: dict[int, Typed] = {}
        field_id = 0
        while header := self._byte():
            delta, kind = header >> 4, header & 0x0F
            field_id = field_id + delta if delta else self.integer()
            if kind in (TRUE, FALSE):
                fields[field_id] = Typed(TRUE, kind == TRUE)
            else:
                fields[field_id] = Typed(kind, self._value(kind, depth))
        return fields

    def integer(self) -> int:
        """Read a signed integer of any width."""
        coded = self.varint()
        return (coded >> 1) ^ -(coded & 1)

    def varint(self) -> int:
        """Read an unsigned integer of at most 64 bits."""
        value = 0
        for number in range(_VARINT_BYTES_MAX):
            byte = self._byte()
            value |= (byte & 0x7F) << (7 * number)
            if byte < 0x80:
                if value >= 1 << 64:
                    break
                return value
        raise _damaged("an integer of more than 64 bits", self.position)

    def _value(self, kind: int, depth: int) -> Any:
        if depth >= _DEPTH_MAX:
            raise _damaged(f"structures more than {_DEPTH_MAX} deep", self.position)
        if kind in _INTEGERS:
            return self.integer()
        if kind == BINARY:
            return bytes(self._take(self.varint()))
        if kind in (LIST, SET):
            return self._list(depth + 1)
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind == DOUBLE:
            return _DOUBLE.unpack(self._take(_DOUBLE.size))[0]
        if kind == BYTE:
            return self._byte()
        if kind in (TRUE, FALSE):
            return self._byte() == TRUE
        # Parquet has no maps.
        raise _damaged(f"a value of type {kind}", self.position)

    def _list(self, depth: int) -> ThriftList:
        header = self._byte()
        count, kind = header >> 4, header & 0x0F
        if count == 15:
            count = self.varint()
        # Every item takes a byte at least: no list can be longer than what is left.
        if count > len(self._data) - self.position:
            raise _damaged(f"a list of {count:,} items", self.position)
        return ThriftList(kind, [self._value(kind, depth) for _ in range(count)])

    def _byte(self) -> int:
        if self.position >= len(self._data):
            raise _damaged("an end in the middle of a value", self.position)
        byte = self._data[self.position]
        self.position += 1
        return byte

    def _take(self, length: int) -> memoryview:
        if length > len(self._data) - self.position:
            raise _damaged(f"a text of {length:,} bytes", self.position)
        taken = self._data[self.position : self.position + length]
        self.position += length
        return taken


def integer_of(fields: Struct, field_id: int) -> int:
    """Give the number in a field; PayloadCorruptError when there is none."""
    found = fields.get(field_id)
    if found is None or found.kind not in _INTEGERS:
        raise PayloadCorruptError(f"Parquet metadata is damaged: field {field_id} is no number")
    return int(found.value)


def struct_of(fields: Struct, field_id: int) -> Struct:
    """Give the struct in a field; PayloadCorruptError when there is none."""
    found = fields.get(field_id)
    if found is None or found.kind != STRUCT:
        raise PayloadCorruptError(f"Parquet metadata is damaged: field {field_id} is no structure")
    value: Struct = found.value
    return value


def structs_of(fields: Struct, field_id: int) -> Sequence[Struct]:
    """Give the structs in a list field; PayloadCorruptError when it holds anything else."""
    found = fields.get(field_id)
    if found is None or not isinstance(found.value, ThriftList) or (found.value.items and found.value.kind != STRUCT):
        raise PayloadCorruptError(f"Parquet metadata is damaged: field {field_id} is no list of structures")
    return found.value.items


def write_struct(fields: Struct) -> bytes:
    """Write a struct as `Reader.struct` reads it.

    >>> write_struct({1: Typed(I32, 1), 2: Typed(BINARY, b"a")}).hex()
    '150218016100'
    """
    out = bytearray()
    _write_struct(out, fields)
    return bytes(out)


def _write_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for field_id in sorted(fields):
        kind, value = fields[field_id]
        coded = (TRUE if value else FALSE) if kind == TRUE else kind
        if 0 < field_id - last <= 15:
            out.append((field_id - last) << 4 | coded)
        else:
            out.append(coded)
            _write_integer(out, field_id)
        if kind != TRUE:
            _write_value(out, kind, value)
        last = field_id
    out.append(0)


def _write_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _write_integer(out, value)
    elif kind == BINARY:
        _write_varint(out, len(value))
        out += value
    elif kind in (LIST, SET):
        count = len(value.items)
        out.append(min(count, 15) << 4 | value.kind)
        if count >= 15:
            _write_varint(out, count)
        for item in value.items:
            _write_value(out, value.kind, item)
    elif kind == STRUCT:
        _write_struct(out, value)
    elif kind == DOUBLE:
        out += _DOUBLE.pack(value)
    elif kind == BYTE:
        out.append(value)
    else:
        assert kind in (TRUE, FALSE), f"no values of type {kind} are written"
        out.append(TRUE if value else FALSE)


def _write_integer(out: bytearray, value: int) -> None:
    _write_varint(out, (value << 1) ^ (value >> 63))


def _write_varint(out: bytearray, value: int) -> None:
    value &= (1 << 64) - 1
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _damaged(what: str, position: int) -> PayloadCorruptError:
    return PayloadCorruptError(f"Parquet metadata is damaged: {what} at byte {position:,}")
