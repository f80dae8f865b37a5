"""Keys of pairs: equal as Python says, hashed the same in every process."""

from __future__ import annotations

from typing import Any

from esker.kernel import _kernel

#: Types whose values are their own plain form, NaN apart.
_PLAIN = frozenset({int, str, bytes, bool, type(None)})
#: NaN's plain form: every NaN is one key, since none keeps its identity from one process to another.
NAN = ("\0nan",)


def plain_key(key: Any) -> Any:
    """Give what stands for `key` in tables: plain values and tuples of them, equal where Python's keys are equal.

    >>> from decimal import Decimal
    >>> plain_key("a"), plain_key((1, None)), plain_key(Decimal("2.0")) == plain_key(2)
    ('a', (1, None), True)
    >>> plain_key([1])
    Traceback (most recent call last):
        ...
    esker.errors.KeyTypeError: [1] cannot be a key: a list can change; use a tuple [ESK-104]

    Raises KeyTypeError for what is mutable, and for objects whose hash differs between processes.
    """
    kind = type(key)
    if kind in _PLAIN:
        return key
    if kind is float:
        return key if key == key else NAN
    if kind is tuple:
        return tuple([plain_key(part) for part in key])
    # Most programs have no other keys, and load nothing for them.
    from esker.engine.objects.unusual_keys import plain_form

    return plain_form(key)


def stable_hash(key: Any) -> int:
    """Hash `key` the same in every process and run; equal keys have equal hashes.

    >>> stable_hash(7), stable_hash(7.0), stable_hash(None)
    (7, 7, 0)
    >>> stable_hash(("a", 1)) == stable_hash(("a", True))
    True
    """
    return _kernel.stable_hash(key, plain_key)
