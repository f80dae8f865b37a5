"""Frozen data sets: hot keys in a folder, payload on a tier, one catalogue that commits."""

from esker.frozen.catalog import FrozenCatalog
from esker.frozen.freeze import FreezeReport, append, freeze, rebuild_index
from esker.frozen.garbage import Collected, collect_garbage
from esker.frozen.location import looks_frozen
from esker.frozen.records import FrozenExtent, HotPart, IndexBuilder, IndexSegment
from esker.frozen.target import require_unfrozen

__all__ = [
    "Collected",
    "FreezeReport",
    "FrozenCatalog",
    "FrozenExtent",
    "HotPart",
    "IndexBuilder",
    "IndexSegment",
    "append",
    "collect_garbage",
    "freeze",
    "looks_frozen",
    "rebuild_index",
    "require_unfrozen",
]
