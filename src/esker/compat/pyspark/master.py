"""Master URLs: how many tasks run at once, and how often one may fail."""

from __future__ import annotations

import os
import re

from esker.compat.pyspark.errors import PySparkNotImplementedError, PySparkRuntimeError

_LOCAL = re.compile(r"local(?:\[\s*(?P<threads>\*|[0-9]+)\s*(?:,\s*(?P<failures>[0-9]+)\s*)?\])?")
_CLUSTERS = ("spark://", "k8s://", "yarn", "mesos://", "local-cluster[", "sc://")


def read_master(master: str) -> tuple[int, int]:
    """Give the tasks at once and the failures a partition may have.

    >>> read_master("local"), read_master("local[4]"), read_master("local[2, 3]")
    ((1, 1), (4, 1), (2, 3))

    Raises PySparkNotImplementedError for a cluster, PySparkRuntimeError for what is no master.
    """
    found = _LOCAL.fullmatch(master.strip())
    if found is not None:
        threads = found["threads"] or "1"
        count = len(os.sched_getaffinity(0)) if threads == "*" else int(threads)
        if count > 0:
            return count, int(found["failures"] or 1)
    if master.startswith(_CLUSTERS):
        raise PySparkNotImplementedError(
            f"master {master!r} is a cluster; this is one machine: local, local[4], local[*]"
        )
    raise PySparkRuntimeError(
        f"Could not parse Master URL: {master!r}; there is local, local[4], local[*]", "INVALID_MASTER"
    )
