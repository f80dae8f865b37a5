"""PageRank and connected components of a power-law graph in Parquet: Esker within 512 MiB, igraph, NetworkX, PySpark.

Edges are pairs of int64; both ends are drawn by popularity, vertices are named in no order. Every run is a process of
its own that reads the file and ends with a rank or a component for each vertex. PageRank goes on until all ranks
together change by less than 1e-6; igraph's solver (PRPACK) is exact and needs fewer passes. Nothing here imports Esker
at the top: the peers' interpreter has none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.case import Case, Digest, Setting, Workload

BUDGET = "512MiB"
DAMPING = 0.85
TOLERANCE = 1e-6
EDGES_PER_VERTEX = 4
# The greater, the more edges the most popular vertices have.
SKEW = 3.0
GROUP_ROWS = 1 << 18
ROUNDS = 2
FILE = "edges.parquet"

Array = npt.NDArray[Any]

_HERE = "benchmarks.graphs"


def _cases(work: str, spark: str) -> tuple[Case, ...]:
    return (
        Case("esker", f"{_HERE}:prepare_esker_{work}", f"memory={BUDGET}; edges numbered, sorted and scanned on disk"),
        Case(
            "esker warm",
            f"{_HERE}:prepare_esker_{work}_warm",
            "the same on a Graph that has run an algorithm before: edges are numbered already",
        ),
        Case(
            "igraph", f"{_HERE}:prepare_igraph_{work}", "Graph from arrays of numbered vertices, in memory", ("igraph",)
        ),
        Case(
            "igraph warm",
            f"{_HERE}:prepare_igraph_{work}_warm",
            "the same on a Graph that is built already",
            ("igraph",),
        ),
        Case(
            "networkx",
            f"{_HERE}:prepare_networkx_{work}",
            "DiGraph of dicts, in memory; PageRank by SciPy",
            ("networkx", "scipy"),
            rounds_max=1,
        ),
        Case(
            "pyspark",
            f"{_HERE}:prepare_pyspark_{work}",
            spark,
            ("pyspark", "pandas"),
            rounds_max=1,
        ),
    )


_WORKS = {
    "page_rank": _cases("page_rank", "DataFrames, local[threads], 4 GiB: a join and a sum each iteration, persisted"),
    "components": _cases(
        "components", "DataFrames, local[threads], 4 GiB: least label of all neighbours until none changes"
    ),
}


def workloads(rows: int, threads: int, memory_bytes: int) -> Iterator[Workload]:
    """Give both algorithms on the same graph; half of `rows` are its edges."""
    edges = rows // 2
    for work, cases in _WORKS.items():
        yield Workload(
            name=f"graph {work}",
            title=f"{work} of {edges:,} edges, power law, Parquet, {threads} threads",
            generate=partial(write, edges=edges),
            cases=cases,
            reference="esker",
            subject="esker",
            digest=f"{_HERE}:digest_{work}",
            memory_bytes=memory_bytes,
            threads=threads,
            fresh=True,
            rounds_max=ROUNDS,
            facts={"edges": edges, "vertices_drawn": edges // EDGES_PER_VERTEX, "skew": SKEW, "budget": BUDGET},
        )


def write(folder: Path, edges: int) -> None:
    """Write the edges: both ends by popularity, named by chance."""
    chance = np.random.default_rng(11)
    names = chance.permutation(max(edges // EDGES_PER_VERTEX, 2)).astype(np.int64)
    schema = pa.schema({"src": pa.int64(), "dst": pa.int64()})
    with pq.ParquetWriter(folder / FILE, schema, compression="zstd") as writer:
        for start in range(0, edges, GROUP_ROWS):
            ends = chance.random((2, min(GROUP_ROWS, edges - start))) ** SKEW
            columns = [names[(len(names) * end).astype(np.int64)] for end in ends]
            writer.write_table(pa.table(columns, schema=schema))


# Esker


def _graph(setting: Setting) -> Any:
    import esker

    spill = setting.data / f"spill-{os.getpid()}"
    spill.mkdir(exist_ok=True)
    edges = esker.read_parquet(setting.data / FILE)
    return esker.Graph(None, edges).with_options(memory=BUDGET, threads=setting.threads, spill_folder=spill)


def _esker(setting: Setting, work: str, warm: bool) -> Callable[[], Any]:
    import esker

    calls: dict[str, Callable[[Any], Any]] = {
        "page_rank": partial(esker.Graph.page_rank, damping=DAMPING, tolerance=TOLERANCE),
        "components": esker.Graph.connected_components,
    }
    graph = _graph(setting)
    if warm:
        graph.degrees()

    def run() -> Any:
        found = calls[work](graph if warm else _graph(setting))
        column = found.columns[1]
        ids, values = [], []
        for batch in found:
            ids.append(batch.column(0).to_numpy())
            values.append(batch.column(column).to_numpy())
        return np.concatenate(ids), np.concatenate(values)

    return run


prepare_esker_page_rank = partial(_esker, work="page_rank", warm=False)
prepare_esker_page_rank_warm = partial(_esker, work="page_rank", warm=True)
prepare_esker_components = partial(_esker, work="components", warm=False)
prepare_esker_components_warm = partial(_esker, work="components", warm=True)


# igraph


def _igraph(setting: Setting, work: str, warm: bool) -> Callable[[], Any]:
    kept = _igraph_graph(setting) if warm else None

    def run() -> tuple[Array, Array]:
        ids, graph = kept or _igraph_graph(setting)
        if work == "page_rank":
            return ids, np.array(graph.pagerank(damping=DAMPING))
        return ids, np.array(graph.connected_components(mode="weak").membership)

    return run


def _igraph_graph(setting: Setting) -> tuple[Array, Any]:
    import igraph

    table = pq.read_table(setting.data / FILE)
    src, dst = table["src"].to_numpy(), table["dst"].to_numpy()
    ids, numbers = np.unique(np.concatenate([src, dst]), return_inverse=True)
    return ids, igraph.Graph(n=len(ids), edges=numbers.reshape(2, len(src)).T, directed=True)


prepare_igraph_page_rank = partial(_igraph, work="page_rank", warm=False)
prepare_igraph_page_rank_warm = partial(_igraph, work="page_rank", warm=True)
prepare_igraph_components = partial(_igraph, work="components", warm=False)
prepare_igraph_components_warm = partial(_igraph, work="components", warm=True)


# NetworkX


def _networkx(setting: Setting, work: str) -> Callable[[], Any]:
    import networkx

    def run() -> tuple[Array, Array]:
        table = pq.read_table(setting.data / FILE)
        graph = networkx.MultiDiGraph() if work == "page_rank" else networkx.DiGraph()
        graph.add_edges_from(zip(table["src"].to_pylist(), table["dst"].to_pylist(), strict=True))
        if work == "page_rank":
            ranks = networkx.pagerank(graph, alpha=DAMPING, tol=TOLERANCE / len(graph), max_iter=1000)
            return np.array(list(ranks)), np.array(list(ranks.values()))
        labels = {
            vertex: number
            for number, group in enumerate(networkx.weakly_connected_components(graph))
            for vertex in group
        }
        return np.array(list(labels)), np.array(list(labels.values()))

    return run


prepare_networkx_page_rank = partial(_networkx, work="page_rank")
prepare_networkx_components = partial(_networkx, work="components")


# PySpark


def _session(setting: Setting) -> Any:
    from pyspark.sql import SparkSession

    return (
        SparkSession.builder.master(f"local[{setting.threads}]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", str(2 * setting.threads))
        .config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(setting.data))
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .getOrCreate()
    )


def prepare_pyspark_page_rank(setting: Setting) -> Callable[[], Any]:
    """Power iteration: ranks are joined to the edges by src and summed by dst."""
    from pyspark.sql import functions as f

    session = _session(setting)

    def run() -> tuple[Array, Array]:
        edges = session.read.parquet(str(setting.data / FILE)).repartition("src").persist()
        vertices = edges.select(f.col("src").alias("id")).union(edges.select(f.col("dst").alias("id"))).distinct()
        degrees = edges.groupBy("src").agg(f.count("*").alias("degree")).withColumnRenamed("src", "id")
        vertices = vertices.join(degrees, "id", "left").persist()
        count = vertices.count()
        ranks = vertices.withColumn("rank", f.lit(1.0 / count)).persist()
        change = 1.0
        while change >= TOLERANCE:
            dangling = ranks.where("degree IS NULL").agg(f.coalesce(f.sum("rank"), f.lit(0.0))).first()[0]
            given = ranks.where("degree IS NOT NULL").select(
                f.col("id").alias("src"), (f.col("rank") / f.col("degree")).alias("given")
            )
            sums = edges.join(given, "src").groupBy(f.col("dst").alias("id")).agg(f.sum("given").alias("received"))
            even = DAMPING * dangling / count + (1 - DAMPING) / count
            new = ranks.join(sums, "id", "left").select(
                "id",
                "degree",
                (f.coalesce(f.col("received"), f.lit(0.0)) * DAMPING + even).alias("rank"),
                f.col("rank").alias("before"),
            )
            # Without it the plan would grow by an iteration each time.
            new = new.localCheckpoint()
            change = new.agg(f.sum(f.abs(f.col("rank") - f.col("before")))).first()[0]
            ranks = new.drop("before")
        found = ranks.select("id", "rank").toPandas()
        return found["id"].to_numpy(), found["rank"].to_numpy()

    return run


def prepare_pyspark_components(setting: Setting) -> Callable[[], Any]:
    """Every vertex takes the least label of its neighbours, whichever way edges point, until none changes."""
    from pyspark.sql import functions as f

    session = _session(setting)

    def run() -> tuple[Array, Array]:
        read = session.read.parquet(str(setting.data / FILE))
        turned = read.select(f.col("dst").alias("src"), f.col("src").alias("dst"))
        edges = read.union(turned).distinct().repartition("src").persist()
        labels = edges.select(f.col("src").alias("id")).distinct().withColumn("label", f.col("id")).persist()
        changed = 1
        while changed:
            heard = edges.join(labels.withColumnRenamed("id", "src"), "src")
            least = heard.groupBy(f.col("dst").alias("id")).agg(f.min("label").alias("heard"))
            new = labels.join(least, "id").select(
                "id", f.least("label", "heard").alias("label"), (f.col("heard") < f.col("label")).alias("changed")
            )
            new = new.localCheckpoint()
            changed = new.where("changed").count()
            labels = new.drop("changed")
        found = labels.toPandas()
        return found["id"].to_numpy(), found["label"].to_numpy()

    return run


# What came out


def digest_page_rank(result: tuple[Array, Array], data: Path) -> Digest:
    """Count the vertices, sum the ranks, and name the ten greatest, whatever the order and the last digits."""
    ids, ranks = result
    top = np.argsort(-ranks, kind="stable")[:10]
    return {
        "vertices": len(ids),
        "ids": int(ids.astype(np.uint64).sum()),
        "millionths": round(float(ranks.sum()) * 1e6),
        "greatest": int((ids[top] * np.arange(1, 11)).sum()),
        "share_of_greatest": round(float(ranks[top].sum()) * 1e4),
    }


def digest_components(result: tuple[Array, Array], data: Path) -> Digest:
    """Count vertices and components, and sum the squares of their sizes."""
    ids, labels = result
    _, sizes = np.unique(labels, return_counts=True)
    return {
        "vertices": len(ids),
        "ids": int(ids.astype(np.uint64).sum()),
        "components": len(sizes),
        "squares": int((sizes.astype(np.uint64) ** np.uint64(2)).sum()),
    }
