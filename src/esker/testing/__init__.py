"""What tests of Esker, and of what is built on it, share: Hypothesis strategies for Arrow data.

Hypothesis is needed only when a strategy is asked for: `pip install hypothesis`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from esker.testing.arrow_types import BINARY, FIXED_WIDTH, FLOATS, INTEGERS, NESTED, STRINGS, TEMPORAL, TYPES, VIEWS

if TYPE_CHECKING:
    from esker.testing.arrow_strategies import arrays, batches, streams, tables

__all__ = [
    "BINARY",
    "FIXED_WIDTH",
    "FLOATS",
    "INTEGERS",
    "NESTED",
    "STRINGS",
    "TEMPORAL",
    "TYPES",
    "VIEWS",
    "arrays",
    "batches",
    "streams",
    "tables",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from esker.testing import arrow_strategies

    return getattr(arrow_strategies, name)
