"""Roaring with run containers, in its portable 64-bit format."""

from __future__ import annotations

from typing import ClassVar

from esker.bitmap.encoding import Encoding


class Roaring(Encoding):
    """Containers of 2^16 rows: arrays, bits or runs, whichever takes fewest bytes.

    The bytes are those that other Roaring libraries read and write; docs/decisions says why the containers are our own.
    """

    name: ClassVar[str] = "roaring.1"
    group_bits: ClassVar[int] = 1
