"""Esker finds, joins and regroups data bigger than memory and colder than disk.

It decides on the keys first and fetches the payload last.

>>> import esker
>>> flights = esker.from_arrow({"origin": ["JFK", "EWR", "JFK"], "delay": [130, 5, 240]})
>>> flights.filter("origin = 'JFK' AND delay > 120").count()
2
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from esker.core.version import VERSION

__version__ = VERSION

# Arrow reads this once, when it is first imported; `esker.core.arrow_memory` says why. The user's own choice stands.
if "pyarrow" not in sys.modules:
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")

if TYPE_CHECKING:
    from esker import bitmap, errors
    from esker.clients.arrow_dataset import as_arrow_dataset
    from esker.clients.polars import scan_polars
    from esker.collection.bag.bag import Bag
    from esker.collection.bag.files import (
        read_binary,
        read_csv_rows,
        read_files,
        read_json,
        read_records,
        read_text,
    )
    from esker.collection.bag.read import of, range
    from esker.collection.bitmap_index import BitmapIndex, build_index, open_index
    from esker.collection.connect import connect
    from esker.collection.dataset import Dataset
    from esker.collection.find import find
    from esker.collection.freeze import freeze
    from esker.collection.options import Options
    from esker.collection.read import from_arrow, read, read_csv, read_frozen, read_parquet
    from esker.engine.bag.accumulator import accumulator
    from esker.engine.bag.broadcast import broadcast
    from esker.engine.bag.task_state import rng
    from esker.frozen import FreezeReport
    from esker.graph import Graph
    from esker.index import Bins, BitSliced, Equality, Interval, Range, TimeQuantum
    from esker.index.vectors import VectorIndex
    from esker.parallel import Par, first, gather, par
    from esker.shuffle.partition import partition, release_memory
    from esker.storage.tiers import open_tier
    from esker.stream import Backoff, KillSwitch, Sink, Stream

# Loaded when first used, so that `import esker` and `esker --help` stay light.
_LAZY = {
    "Backoff": "esker.stream",
    "Bag": "esker.collection.bag.bag",
    "accumulator": "esker.engine.bag.accumulator",
    "broadcast": "esker.engine.bag.broadcast",
    "of": "esker.collection.bag.read",
    "range": "esker.collection.bag.read",
    "read_binary": "esker.collection.bag.files",
    "read_csv_rows": "esker.collection.bag.files",
    "read_json": "esker.collection.bag.files",
    "read_records": "esker.collection.bag.files",
    "read_files": "esker.collection.bag.files",
    "read_text": "esker.collection.bag.files",
    "rng": "esker.engine.bag.task_state",
    "Bins": "esker.index",
    "BitSliced": "esker.index",
    "BitmapIndex": "esker.collection.bitmap_index",
    "Equality": "esker.index",
    "Interval": "esker.index",
    "Range": "esker.index",
    "TimeQuantum": "esker.index",
    "VectorIndex": "esker.index.vectors",
    "connect": "esker.collection.connect",
    "build_index": "esker.collection.bitmap_index",
    "open_index": "esker.collection.bitmap_index",
    "Dataset": "esker.collection.dataset",
    "FreezeReport": "esker.frozen",
    "KillSwitch": "esker.stream",
    "Graph": "esker.graph",
    "Options": "esker.collection.options",
    "Sink": "esker.stream",
    "Stream": "esker.stream",
    "as_arrow_dataset": "esker.clients.arrow_dataset",
    "bitmap": "esker",
    "errors": "esker",
    "find": "esker.collection.find",
    "freeze": "esker.collection.freeze",
    "from_arrow": "esker.collection.read",
    "open_tier": "esker.storage.tiers",
    "Par": "esker.parallel",
    "first": "esker.parallel",
    "gather": "esker.parallel",
    "par": "esker.parallel.par",
    "partition": "esker.shuffle.partition",
    "release_memory": "esker.shuffle.partition",
    "read": "esker.collection.read",
    "read_csv": "esker.collection.read",
    "read_frozen": "esker.collection.read",
    "read_parquet": "esker.collection.read",
    "scan_polars": "esker.clients.polars",
}

__all__ = [
    "Backoff",
    "Bag",
    "Bins",
    "BitSliced",
    "BitmapIndex",
    "Dataset",
    "Equality",
    "FreezeReport",
    "Graph",
    "Interval",
    "KillSwitch",
    "Options",
    "Par",
    "Range",
    "Sink",
    "Stream",
    "TimeQuantum",
    "VectorIndex",
    "__version__",
    "accumulator",
    "as_arrow_dataset",
    "bitmap",
    "broadcast",
    "build_index",
    "connect",
    "errors",
    "find",
    "first",
    "freeze",
    "from_arrow",
    "gather",
    "of",
    "open_index",
    "open_tier",
    "par",
    "partition",
    "range",
    "release_memory",
    "read",
    "read_binary",
    "read_csv",
    "read_csv_rows",
    "read_files",
    "read_frozen",
    "read_json",
    "read_parquet",
    "read_records",
    "read_text",
    "rng",
    "scan_polars",
]


def __getattr__(name: str) -> object:
    home = _LAZY.get(name)
    if home is None:
        raise AttributeError(f"module 'esker' has no attribute {name!r}")
    found = (
        importlib.import_module(f"esker.{name}") if home == "esker" else getattr(importlib.import_module(home), name)
    )
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
