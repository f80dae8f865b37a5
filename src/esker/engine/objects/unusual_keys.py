"""Keys that are neither text nor number: what stands for them in tables, and which are refused."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import numbers
import pathlib
import sys
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from esker.engine.objects.keys import NAN, plain_key, stable_hash
from esker.errors import KeyTypeError

if TYPE_CHECKING:
    import numpy as np

_MUTABLE = (list, dict, set, bytearray, memoryview)
_EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001  # naive times are counted from a naive epoch
_EPOCH_UTC = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def plain_form(key: Any) -> Any:
    """Give what stands for a key of an unusual type; see `plain_key`."""
    given = getattr(type(key), "__esker_key__", None)
    if given is not None:
        return ("\0object", *_name(type(key)), plain_key(given(key)))
    array, scalar = _numpy_types()
    if isinstance(key, (*_MUTABLE, *array)):
        raise KeyTypeError(f"{_shown(key)} cannot be a key: a {type(key).__name__} can change; use a tuple")
    if isinstance(key, scalar):
        return _numpy(key)
    for base, plain in _BASES:
        if isinstance(key, base) and _compares_as(key, base):
            return plain(key)
    if _is_frozen_dataclass(key):
        values = [getattr(key, field.name) for field in dataclasses.fields(key) if field.compare]
        return ("\0dataclass", *_name(type(key)), *[plain_key(value) for value in values])
    raise KeyTypeError(
        f"{_shown(key)} cannot be a key: the hash of a {type(key).__name__} differs from process to process; use a"
        " tuple of its fields, give the class an __esker_key__ method, or pass a function that names the partition"
    )


def _compares_as(key: Any, base: type) -> bool:
    """Whether a subclass left equality to `base`: one that did not may tell apart what its plain form does not."""
    if base in (numbers.Number, enum.Enum, type, pathlib.PurePath):
        return True
    kind = type(key)
    return kind.__eq__ is base.__eq__ and kind.__hash__ is base.__hash__


def _is_frozen_dataclass(key: Any) -> bool:
    parameters = getattr(type(key), "__dataclass_params__", None)
    if parameters is None or not (parameters.frozen and parameters.eq):
        return False
    # Generated methods have no file: a class that wrote its own compares in its own way.
    made = [getattr(type(key), name, None) for name in ("__eq__", "__hash__")]
    return all(getattr(getattr(method, "__code__", None), "co_filename", "<string>") == "<string>" for method in made)


def _number(key: Any) -> Any:
    if isinstance(key, numbers.Integral):
        return int(key)
    if isinstance(key, Decimal):
        if key.is_nan():
            return NAN
        return float(key) if key.is_infinite() else _number(Fraction(key))
    if isinstance(key, numbers.Rational):
        if key.denominator == 1:
            return int(key.numerator)
        near = _nearest_float(key)
        return near if near is not None and Fraction(near) == key else ("\0fraction", key.numerator, key.denominator)
    if isinstance(key, numbers.Real):
        return plain_key(float(key))
    number = complex(key)
    return plain_key(number.real) if number.imag == 0 else ("\0complex", plain_key(number.real), plain_key(number.imag))


def _nearest_float(key: Any) -> float | None:
    try:
        return float(key)
    except OverflowError:
        return None


def _numpy_types() -> tuple[tuple[type[np.ndarray[Any, Any]], ...], tuple[type[np.generic], ...]]:
    """NumPy's arrays and numbers, where it is loaded: who has one of them has loaded it."""
    numpy: Any = sys.modules.get("numpy")
    return ((), ()) if numpy is None else ((numpy.ndarray,), (numpy.generic,))


def _numpy(key: Any) -> Any:
    if key.dtype.kind not in "biufcSU":
        raise KeyTypeError(f"{_shown(key)} cannot be a key: pass numpy's {key.dtype} as Python's own type, or a number")
    value = key.item()
    return plain_key(value) if not isinstance(value, _numpy_types()[1]) else _number(value)


def _datetime(key: datetime.datetime) -> Any:
    # An offset of None makes a time naive, whatever its tzinfo.
    aware = key.utcoffset() is not None
    past = key - _EPOCH_UTC if aware else key.replace(tzinfo=None) - _EPOCH
    return ("\0datetime", aware, past.days, past.seconds, past.microseconds)


def _time(key: datetime.time) -> Any:
    offset = key.utcoffset()
    seconds = key.hour * 3600 + key.minute * 60 + key.second
    if offset is not None:
        seconds -= offset.days * 86_400 + offset.seconds
    return ("\0time", offset is not None, seconds, key.microsecond)


def _frozenset(key: frozenset[Any]) -> Any:
    # In an order that all equal sets share: numbers that are equal are written alike first.
    return (
        "\0frozenset",
        *sorted(map(_written_alike, map(plain_key, key)), key=lambda part: (stable_hash(part), repr(part))),
    )


def _written_alike(plain: Any) -> Any:
    if type(plain) is tuple:
        return tuple([_written_alike(part) for part in plain])
    if type(plain) is bool or (type(plain) is float and plain.is_integer()):
        return int(plain)
    return plain


def _range(key: range) -> Any:
    return ("\0range", len(key), key.start if key else None, key.step if len(key) > 1 else None)


def _name(kind: type) -> tuple[str, str]:
    return kind.__module__, kind.__qualname__


def _shown(key: Any) -> str:
    shown = repr(key)
    return shown if len(shown) <= 80 else shown[:79] + "…"


#: In order: a subclass stands before its base.
_BASES: tuple[tuple[type, Any], ...] = (
    (int, int),
    (str, str.__str__),
    (bytes, lambda key: bytes(memoryview(key))),
    (float, lambda key: plain_key(float(key))),
    (tuple, lambda key: tuple([plain_key(part) for part in key])),
    (enum.Enum, lambda key: ("\0enum", *_name(type(key)), key.name)),
    (numbers.Number, _number),
    (datetime.datetime, _datetime),
    (datetime.date, lambda key: ("\0date", key.toordinal())),
    (datetime.time, _time),
    (datetime.timedelta, lambda key: ("\0timedelta", key.days, key.seconds, key.microseconds)),
    (uuid.UUID, lambda key: ("\0uuid", key.int)),
    (frozenset, _frozenset),
    (range, _range),
    (pathlib.PurePath, lambda key: ("\0path", isinstance(key, pathlib.PureWindowsPath), str(key))),
    (type, lambda key: ("\0type", *_name(key))),
)
