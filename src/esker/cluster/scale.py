"""`python -m esker.cluster.scale`: balance of the ring, moved bytes and repair time for 10 to 10,000 nodes."""

from __future__ import annotations

import argparse
import sys
from typing import NamedTuple

from esker.cluster.ring import Ring
from esker.core.seeded import generator

NODE_COUNTS = (10, 100, 1_000, 10_000)
COPIES = 2


class Balance(NamedTuple):
    """How a ring of `nodes` with `virtual_nodes` points each shares out, and what a change of one node moves.

    Shares are of all copies, as multiples of the even share 1/n. `moved` is what one node's leaving (`left`) or
    joining (`joined`) has copied, as a multiple of the even share of all copies; `transfers` counts the pairs of nodes
    that copy; `receiver` is the most that one node receives, of the even share.
    """

    nodes: int
    virtual_nodes: int
    largest: float
    smallest: float
    deviation: float
    left: float
    joined: float
    transfers: float
    receiver: float


def balance(nodes: int, virtual_nodes: int, *, samples: int = 10, seed: int = 1) -> Balance:
    """Measure a ring exactly, from its arcs; changes are those of `samples` nodes drawn by chance.

    >>> even = balance(100, 64)
    >>> 0.5 < even.smallest < 1.0 < even.largest < 1.7
    True
    """
    ring = Ring(range(nodes), virtual_nodes)
    share = dict.fromkeys(range(nodes), 0.0)
    for arc in ring.arcs(COPIES):
        for node in arc.before:
            share[node] += arc.share * nodes / COPIES
    chance = generator(seed, nodes, virtual_nodes)
    drawn = chance.choice(nodes, size=min(samples, nodes), replace=False).tolist()
    moves = [_moved(ring, ring.without(node), nodes) for node in drawn]
    joins = [_moved(ring, ring.with_node(nodes + number), nodes) for number in range(len(drawn))]
    mean = sum(share.values()) / nodes
    deviation = (sum((one - mean) ** 2 for one in share.values()) / nodes) ** 0.5
    return Balance(
        nodes,
        virtual_nodes,
        max(share.values()),
        min(share.values()),
        deviation,
        sum(moved.total for moved in moves) / len(moves),
        sum(moved.total for moved in joins) / len(joins),
        sum(moved.transfers for moved in moves) / len(moves),
        sum(moved.receiver for moved in moves) / len(moves),
    )


class _Moved(NamedTuple):
    total: float
    transfers: int
    receiver: float


def _moved(before: Ring, after: Ring, nodes: int) -> _Moved:
    """What a change copies: to every node that gains an arc, from the first holder that had it and stays."""
    pairs: set[tuple[int, int]] = set()
    received: dict[int, float] = {}
    for arc in before.changes(after, COPIES):
        source = next(node for node in arc.before if node in after)
        for target in set(arc.after) - set(arc.before):
            pairs.add((source, target))
            received[target] = received.get(target, 0.0) + arc.share * nodes / COPIES
    return _Moved(sum(received.values()), len(pairs), max(received.values()))


def repair_seconds(one: Balance, node_bytes: float, bytes_per_second: float, detection_seconds: float = 2.0) -> float:
    """How long until all copies are back: detection, then the slowest receiver at the rate of its link."""
    return detection_seconds + one.receiver * node_bytes / bytes_per_second


def main(arguments: list[str] | None = None) -> int:
    """Print the table of docs/scale.md."""
    parser = argparse.ArgumentParser(prog="python -m esker.cluster.scale", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=100.0, help="of copies on an average node")
    parser.add_argument("--link", type=float, default=1.0, help="gigabytes a second that a node takes in")
    parser.add_argument("--virtual-nodes", type=int, nargs="+", default=[1, 16, 128])
    options = parser.parse_args(arguments)
    print(f"r = {COPIES}; shares of the even share 1/n; repair of {options.gigabytes:g} GB at {options.link:g} GB/s\n")
    print("| nodes | points | largest | smallest | deviation | leaving moves | joining moves | transfers | repair |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for nodes in NODE_COUNTS:
        for virtual_nodes in options.virtual_nodes:
            one = balance(nodes, virtual_nodes)
            seconds = repair_seconds(one, options.gigabytes, options.link)
            print(
                f"| {nodes:,} | {virtual_nodes} | {one.largest:.2f} | {one.smallest:.3f} | {one.deviation:.2f} "
                f"| {one.left:.2f} | {one.joined:.2f} | {one.transfers:.1f} | {seconds:,.0f} s |"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
