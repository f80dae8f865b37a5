"""What the shuffle between nodes would do with CloudSort's 100 TB, computed: `python -m benchmarks.cloudsort`.

Nothing is sorted. Files, fetches and bytes follow from how the shuffle works (`esker.engine.distributed_shuffle`); what
the driver and a reader hold is measured on descriptions of map outputs of that shape, made here. The nodes are those of
Exoshuffle-CloudSort (Luan et al., 2022): 40 of 16 cores and 128 GiB.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from typing import NamedTuple

import numpy as np

from esker.engine.distributed_shuffle import MAPS_OF_A_WORKER, PAGE_BYTES, SHUFFLE_SHARE
from esker.shuffle.page_file import MapOutput, credits_of
from esker.shuffle.page_server import CREDIT_BYTES

_EXOSHUFFLE_SECONDS = 5_378


class Cluster(NamedTuple):
    """The machines and the data, in bytes and bytes a second."""

    data: float
    nodes: int
    workers_each: int
    memory_each: float
    disk_rate: float
    network_rate: float


class Shape(NamedTuple):
    """What the shuffle makes of it."""

    maps: int
    partitions: int
    page_bytes: float
    pages_of_segment: int
    directory_bytes: float
    reader_bytes: float
    fetches_of_reader: int


def shape(cluster: Cluster, partitions: int) -> Shape:
    """Compute files, pages and fetches; measure what describes them.

    >>> tiny = Cluster(1e9, 2, 2, 1e9, 1e9, 1e9)
    >>> shape(tiny, 10).maps == 4 * MAPS_OF_A_WORKER
    True
    """
    maps = cluster.nodes * cluster.workers_each * MAPS_OF_A_WORKER
    segment = cluster.data / maps / partitions
    pages = max(1, round(segment / PAGE_BYTES + 0.5))
    output = _output(partitions, pages, int(segment / pages))
    one = output.segment(0)
    assert one is not None
    away = maps * (cluster.nodes - 1) // cluster.nodes
    return Shape(
        maps,
        partitions,
        segment / pages,
        pages,
        float(maps * len(pickle.dumps(output, protocol=5))),
        float(maps * len(pickle.dumps(one, protocol=5))),
        away * sum(1 for _ in credits_of(one.pages, CREDIT_BYTES)),
    )


def _output(partitions: int, pages: int, page_bytes: int) -> MapOutput:
    total = partitions * pages
    each = np.full(total, page_bytes, np.int64)
    return MapOutput(
        "1",
        0,
        "0" * 56,
        "1-0-00000000",
        np.arange(0, total + 1, pages),
        np.arange(total) * page_bytes,
        each,
        each // 100,
        np.arange(total) * 7919 % (1 << 32),
        np.full(partitions, pages * page_bytes, np.int64),
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the table of docs/scale.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cloudsort", description=__doc__)
    parser.add_argument("--terabytes", type=float, default=100.0)
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--workers", type=int, default=16, help="on each node")
    parser.add_argument("--memory", type=float, default=128.0, help="GiB of a node")
    parser.add_argument("--disk", type=float, default=2.0, help="GB/s that a node's disks read or write")
    parser.add_argument("--network", type=float, default=3.0, help="GB/s into a node, from the object store and others")
    parser.add_argument("--partitions", type=int, default=25_000)
    options = parser.parse_args(arguments)
    cluster = Cluster(
        options.terabytes * 1e12,
        options.nodes,
        options.workers,
        options.memory * (1 << 30),
        options.disk * 1e9,
        options.network * 1e9,
    )
    print("| | |\n| --- | ---: |")
    for name, value in _rows(cluster, shape(cluster, options.partitions)):
        print(f"| {name} | {value} |")
    return 0


def _rows(cluster: Cluster, made: Shape) -> list[tuple[str, str]]:
    node_bytes = cluster.data / cluster.nodes
    task_memory = cluster.memory_each / cluster.workers_each
    map_bytes = cluster.data / made.maps
    spilled = max(0.0, map_bytes - SHUFFLE_SHARE * task_memory)
    spilled_share = spilled / map_bytes
    # Pages once written and once read; spilled ones twice; the partition is sorted in memory.
    disk_bytes = node_bytes * (2 + 2 * spilled_share)
    partition = cluster.data / made.partitions
    seconds = {
        "disk": disk_bytes / cluster.disk_rate,
        "network": node_bytes * 3 * (1 - 1 / cluster.nodes) / cluster.network_rate,
    }
    slower = max(seconds, key=lambda name: seconds[name])
    return [
        ("map tasks, each one file of pages", f"{made.maps:,} of {map_bytes / 1e9:.0f} GB"),
        ("files on a node", f"{made.maps // cluster.nodes:,}"),
        ("partitions", f"{made.partitions:,} of {partition / 1e9:.1f} GB"),
        ("memory of a task", f"{task_memory / 1e9:.1f} GB"),
        ("of a map task's rows, spilled before they are pages", f"{100 * spilled_share:.0f} %"),
        ("pages", f"{made.maps * made.partitions * made.pages_of_segment:,} of {made.page_bytes / 1e6:.2f} MB"),
        ("fetches of a reader from other nodes", f"{made.fetches_of_reader:,}"),
        ("fetches in all", f"{made.fetches_of_reader * made.partitions:,}"),
        ("pages a reader has on the way at a time", f"{CREDIT_BYTES / 1e6:.1f} MB at most"),
        ("a reader's list of pages", f"{made.reader_bytes / 1e6:.1f} MB"),
        ("the driver's list of all pages", f"{made.directory_bytes / 1e9:.1f} GB"),
        ("disk of a node: pages, and spill of the tasks that run", _disk(node_bytes, spilled, cluster)),
        ("read and written by a node's disks", f"{disk_bytes / 1e12:.1f} TB, {seconds['disk']:,.0f} s"),
        ("into and out of a node: input, pages, output", f"{seconds['network']:,.0f} s"),
        (f"least time (the {slower})", f"{seconds[slower]:,.0f} s; Exoshuffle took {_EXOSHUFFLE_SECONDS:,} s"),
    ]


def _disk(node_bytes: float, spilled: float, cluster: Cluster) -> str:
    return f"{node_bytes / 1e12:.2f} + {spilled * cluster.workers_each / 1e12:.2f} TB"


if __name__ == "__main__":
    sys.exit(main())
