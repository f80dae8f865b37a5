"""Worker processes of Dask, one thread each, quiet and without a dashboard."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any


def start(worker_count: int, folder: Path, memory_bytes: int | None = None) -> Any:
    """Start workers whose files are in `folder`, each of `memory_bytes` (default: no limit); gives their client."""
    import dask
    import dask.distributed

    dask.config.set(temporary_directory=str(folder))
    cluster = dask.distributed.LocalCluster(
        n_workers=worker_count,
        threads_per_worker=1,
        memory_limit=memory_bytes,
        dashboard_address=None,
        local_directory=str(folder),
        silence_logs=logging.ERROR,
    )
    client = dask.distributed.Client(cluster)
    client.wait_for_workers(worker_count)
    return client
