"""Who matters among followers: PageRank, communities and motifs of a graph whose edges lie in a file.

Run it: `python examples/follower_graph.py [FOLDER]`. It makes its own graph, with few accounts that many follow and
many that few do, takes a few seconds, and keeps within 64 MiB.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

import esker

ACCOUNTS = 10_000
FOLLOWS = 80_000
TOWNS = ["Brno", "Graz", "Oslo", "Rome"]


def write_graph(folder: Path, seed: int = 7) -> None:
    """Accounts with a town, and who follows whom since when; people follow their own town more than others."""
    random = np.random.default_rng(seed)
    town = random.integers(0, len(TOWNS), ACCOUNTS)
    names = np.char.add("user", np.arange(ACCOUNTS).astype(str))
    accounts = pa.table({"id": names, "town": pa.array(TOWNS).take(pa.array(town))})
    follower = random.integers(0, ACCOUNTS, FOLLOWS)
    followed = (ACCOUNTS * random.random(FOLLOWS) ** 3).astype(np.int64)
    near = random.random(FOLLOWS) < 0.5
    followed = np.where(near, followed - followed % len(TOWNS) + town[follower], followed).clip(0, ACCOUNTS - 1)
    follows = pa.table({"src": names[follower], "dst": names[followed], "year": random.integers(2015, 2026, FOLLOWS)})
    esker.from_arrow(accounts).write_parquet(folder / "accounts.parquet")
    esker.from_arrow(follows).write_parquet(folder / "follows.parquet")


def main(folder: Path) -> None:
    write_graph(folder)
    graph = esker.Graph(folder / "accounts.parquet", folder / "follows.parquet")
    with graph.with_options(memory="64MiB") as graph:
        ranks = graph.page_rank()
        print("the five of the highest rank:")
        best = ranks.sort("page_rank", descending=True).head(5)
        for row in best.join(graph.vertices, on="id").sort("page_rank", descending=True).to_arrow().to_pylist():
            print(f"  {row['id']:10} {row['town']}  {row['page_rank']:.5f}")

        parts = graph.connected_components().group_by("component").agg({"accounts": ("id", "len")})
        sizes = parts.sort("accounts", descending=True).to_arrow()["accounts"].to_pylist()
        print(f"{len(sizes):,} components, the largest of {sizes[0]:,} accounts")
        triangles = graph.triangle_count().group_by("id").agg({"t": ("triangles", "sum")}).to_arrow()["t"]
        print(f"{sum(triangles.to_pylist()) // 3:,} triangles")
        core = graph.k_core()
        print(f"the innermost core has {core.vertices.count():,} accounts and {core.edges.count():,} edges")

        late = graph.subgraph(edges="year >= 2020")
        mutual = late.find("(a)-[e]->(b); (b)-[f]->(a)").filter("a.id < b.id AND a.town = b.town")
        print(f"{mutual.count():,} pairs of one town follow each other since 2020")
        chains = late.find("(a)-[e]->(b); (b)-[f]->(c); !(a)-[]->(c)").filter("f.year < e.year AND a.id = 'user1'")
        print(f"{chains.count():,} accounts could be suggested to user1")
        away = graph.triplets().filter("src.town <> dst.town").count()
        print(f"{away:,} of {FOLLOWS:,} follow someone in another town")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
