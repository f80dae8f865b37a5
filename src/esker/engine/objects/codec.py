"""Objects as bytes, for private spill files and pipes of a running query, and for nothing else (contracts, 3)."""

from __future__ import annotations

import io
import pickle  # noqa: TID251  # private spill files and pipes only
from collections.abc import Sequence
from typing import Any

_PROTOCOL = 5
_ATOMS = frozenset({int, str, float, bytes, bool, type(None)})
#: How many items are looked at to see whether sharing among them can matter.
_LOOKED_AT = 16


def dump_many(items: Sequence[Any]) -> bytes:
    """Write a list of objects; without the table of what was written already where items are plain.

    >>> load_many(dump_many(["a", (1, None), [2.5]]))
    ['a', (1, None), [2.5]]

    That table makes pickling pairs six times as dear and the bytes more (research/collections.md, section 1). It is
    kept for anything but texts, numbers and tuples of them: two references to one list must stay one list.
    """
    step = max(len(items) // _LOOKED_AT, 1)
    if all(map(_is_plain, items[::step])):
        try:
            return _dump_without_memo(items)
        except (ValueError, RecursionError):
            pass  # what was not looked at refers to itself
    return dump_one(list(items))


def load_many(data: bytes | memoryview) -> list[Any]:
    """Read what `dump_many` wrote."""
    items: list[Any] = pickle.loads(data)
    return items


def dump_one(item: Any) -> bytes:
    """Write one object; functions and classes of the user's main program too, by value.

    >>> load_one(dump_one(lambda x: x + 1))(1)
    2
    """
    try:
        return pickle.dumps(item, _PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        data: bytes = cloudpickle.dumps(item, _PROTOCOL)
        return data


def load_one(data: bytes | memoryview) -> Any:
    """Read what `dump_one` wrote."""
    return pickle.loads(data)


def _dump_without_memo(items: Sequence[Any]) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, _PROTOCOL)
    pickler.fast = True
    pickler.dump(list(items))
    return buffer.getvalue()


def _is_plain(item: Any) -> bool:
    kind = type(item)
    return kind in _ATOMS or (kind is tuple and len(item) < 100 and all(type(part) in _ATOMS for part in item))
