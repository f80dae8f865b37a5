"""A Ray cluster of its own for Ray Data, quiet, and set to shuffle by hash."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

# Ray reads them when it is first imported.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}


def start(cpu_count: int, object_store_bytes: int, folder: Path | None = None) -> Any:
    """Start Ray with so many CPUs, its files in `folder` (default: where Ray puts them); gives the module `ray`."""
    os.environ.update(QUIET)
    import ray
    import ray.data

    ray.init(
        address="local",
        num_cpus=cpu_count,
        object_store_memory=object_store_bytes,
        include_dashboard=False,
        _temp_dir=str(folder) if folder is not None else None,
        logging_level=logging.ERROR,
    )
    context = ray.data.DataContext.get_current()
    context.shuffle_strategy = ray.data.context.ShuffleStrategy.HASH_SHUFFLE
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray
