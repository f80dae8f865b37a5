"""Serializers by name, for programs that hand one to their context.

What goes between processes here is Bag's own affair, and faster than either; a context takes them and goes on.
"""

from __future__ import annotations

import marshal
import pickle  # noqa: TID251  # Spark's class of that name; nothing durable is made of it here
from typing import Any


class Serializer:
    """What turns values into bytes and back."""

    def dumps(self, obj: Any) -> bytes:
        """Turn a value into bytes."""
        raise NotImplementedError

    def loads(self, obj: bytes) -> Any:
        """Turn bytes of one's own into a value."""
        raise NotImplementedError


class CPickleSerializer(Serializer):
    """Pickle, of any value."""

    def dumps(self, obj: Any) -> bytes:
        """Turn a value into bytes."""
        return pickle.dumps(obj, protocol=5)

    def loads(self, obj: bytes) -> Any:
        """Turn bytes of one's own into a value; whatever code lies in them runs."""
        return pickle.loads(obj)


PickleSerializer = CPickleSerializer


class MarshalSerializer(Serializer):
    """Marshal, of plain values."""

    def dumps(self, obj: Any) -> bytes:
        """Turn a value into bytes."""
        return marshal.dumps(obj)

    def loads(self, obj: bytes) -> Any:
        """Turn bytes of one's own into a value."""
        return marshal.loads(obj)
