"""The optimisations that can be turned off, of the shuffle and of its page pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from esker.shuffle.strategy import OPTIMISATIONS

# Those of the pool: the name of its option, what it is when on, and what when off.
POOL = {"huge_pages": (True, False), "recycle": (True, False)}
# What an optimisation is when on and when off, where that is not True and False.
OTHER = {"chunk_rows": (1024, 1)}


@dataclass(frozen=True)
class Switch:
    """An optimisation: what it is when on and when off, and whether the pool has it or the shuffle."""

    name: str
    on: Any
    off: Any
    of_pool: bool

    def options(self, on: bool) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Options of the shuffle, and of the pool."""
        chosen = {self.name: self.on if on else self.off}
        return ({}, chosen) if self.of_pool else (chosen, {})


def switches() -> list[Switch]:
    """Every optimisation.

    >>> [switch.name for switch in switches()][:2]
    ['padded_locks', 'minimal_locking']
    """
    of_shuffle = [Switch(name, *OTHER.get(name, (True, False)), of_pool=False) for name in OPTIMISATIONS]
    return of_shuffle + [Switch(name, on, off, of_pool=True) for name, (on, off) in POOL.items()]
