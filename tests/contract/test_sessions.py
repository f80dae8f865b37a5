"""The same scripts in every session give the same rows as on one machine, in the same order."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import esker
from esker.engine.session import Session

SESSIONS: dict[str, dict[str, Any]] = {
    "inline": {},
    "threads": {"workers": 2},
    "processes": {"workers": 2},
    "simulated": {"workers": 3, "seed": 7, "losses": 0.3},
    "ray": {"workers": 2},
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    chance = np.random.default_rng(8)
    count = 40_000
    rows = pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "key": chance.integers(0, 300, count),
            "name": pa.array([None if n % 11 == 0 else f"name {n % 97}" for n in range(count)]),
            "price": chance.random(count),
        }
    )
    pq.write_table(rows, folder / "rows.parquet", row_group_size=6_000)
    pq.write_table(
        pa.table({"key": range(0, 300, 2), "label": [f"label {n}" for n in range(150)]}), folder / "labels.parquet"
    )
    return folder


def _rows(here: Path) -> esker.Dataset:
    return esker.read_parquet(here / "rows.parquet")


def _doubled(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch({"id": batch["id"], "twice": np.asarray(batch["price"]) * 2})


def _median(group: pa.Table) -> dict[str, Any]:
    return {"key": group["key"][0].as_py(), "median": float(np.median(group["price"].to_numpy()))}


def _first(group: pa.Table) -> dict[str, Any]:
    return {"key": group["key"][0].as_py(), "median": group["price"][0].as_py()}


def _longest(batches: Iterator[pa.RecordBatch]) -> dict[str, Any]:
    names = [name for batch in batches for name in batch["name"].to_pylist() if name]
    return {"longest": max(names, key=len, default="")}


MEDIANS = pa.schema({"key": pa.int64(), "median": pa.float64()})

# Each is given the folder of the data and an empty one, and returns something that can be compared.
DATASETS: dict[str, Callable[[Path, Path], Any]] = {
    "scan": lambda here, _: _rows(here).to_arrow(),
    "filter": lambda here, _: _rows(here).filter("key < 20 AND price > 0.5").select(["id", "name"]).to_arrow(),
    "map_batches": lambda here, _: _rows(here).map_batches(_doubled).to_arrow(),
    "head": lambda here, _: _rows(here).map_batches(_doubled).head(7).to_arrow(),
    "count": lambda here, _: _rows(here).filter("name IS NULL").count(),
    "sample": lambda here, _: _rows(here).sample(0.1, seed=3).to_arrow(),
    "sample n": lambda here, _: _rows(here).sample(n=50, seed=3).to_arrow(),
    "sort": lambda here, _: _rows(here).sort(["name", "price"]).head(500).to_arrow(),
    "sort, the greatest first": lambda here, _: (
        _rows(here).sort(["name", "price"], descending=[True, False], nulls="first").to_arrow()
    ),
    "sort, equal rows as they came": lambda here, _: _rows(here).sort("name").to_arrow(),
    "sort of what a function made": lambda here, _: (
        _rows(here).map_batches(_doubled).sort("twice", descending=True).to_arrow()
    ),
    "sort of groups": lambda here, _: (
        _rows(here).group_by("key", partitions=8).agg({"n": ("id", "count")}).sort(["n", "key"]).to_arrow()
    ),
    "sort, then what numbers partitions": lambda here, _: (
        _rows(here).sort("price").map_batches(_doubled).sample(0.1, seed=3).to_arrow(),
        _rows(here).sort("price").shuffle("price", 8, function="range").to_arrow(),
        _rows(here).sort("price").repartition(5).to_arrow(),
    ),
    "sort, then groups": lambda here, _: (
        _rows(here)
        .sort("price")
        .filter("key < 90")
        .group_by("key", partitions=8)
        .map_groups(_first, MEDIANS)
        .to_arrow()
    ),
    "shuffle": lambda here, _: _rows(here).shuffle("key", 8).to_arrow(),
    "shuffle, then map": lambda here, _: _rows(here).shuffle("key", 8).map_batches(_doubled).to_arrow(),
    "range shuffle": lambda here, _: _rows(here).shuffle("price", 8, function="range").to_arrow(),
    "range shuffle of what a function made": lambda here, _: (
        _rows(here).map_batches(_doubled).shuffle("twice", 8, function="range").to_arrow()
    ),
    "range shuffle of groups": lambda here, _: (
        _rows(here)
        .group_by("key", partitions=8)
        .agg({"total": ("price", "sum")})
        .shuffle(["total", "key"], 5, function="range")
        .to_arrow()
    ),
    "repartition": lambda here, _: _rows(here).repartition(5).to_arrow(),
    "repartition of what a function made": lambda here, _: (
        _rows(here).filter("key < 90").map_batches(_doubled).repartition(4).to_arrow()
    ),
    "repartition of groups, then map": lambda here, _: (
        _rows(here).shuffle("key", 6).repartition(7).map_batches(_doubled).sample(0.1, seed=3).to_arrow()
    ),
    "sample n of what a function made": lambda here, _: (
        _rows(here).filter("key < 150").map_batches(_doubled).sample(n=70, seed=3).to_arrow()
    ),
    "distinct": lambda here, _: _rows(here).distinct("name", partitions=8).to_arrow(),
    "aggregate": lambda here, _: (
        _rows(here).group_by("key", partitions=8).agg({"total": ("price", "sum"), "n": ("id", "count")}).to_arrow()
    ),
    "map_groups": lambda here, _: _rows(here).group_by("key", partitions=8).map_groups(_median, MEDIANS).to_arrow(),
    "map_groups, batches": lambda here, _: (
        _rows(here)
        .group_by("key", partitions=8)
        .map_groups(_longest, pa.schema({"longest": pa.string()}), batches=True)
        .to_arrow()
    ),
    "two shuffles": lambda here, _: (
        _rows(here)
        .group_by("key", partitions=8)
        .agg({"n": ("id", "count")})
        .group_by("n", partitions=4)
        .agg({"keys": ("key", "count")})
        .to_arrow()
    ),
    "join": lambda here, _: _rows(here).join(esker.read_parquet(here / "labels.parquet"), on="key").to_arrow(),
    "join of results": lambda here, _: (
        _rows(here)
        .group_by("key", partitions=8)
        .agg({"total": ("price", "sum")})
        .join(esker.read_parquet(here / "labels.parquet"), on="key", how="left")
        .to_arrow()
    ),
    "join of what a function made with few keys": lambda here, _: (
        _rows(here)
        .map_batches(_without_some)
        .join(esker.read_parquet(here / "labels.parquet").filter("key < 40"), on="key")
        .to_arrow()
    ),
    "semi join of what a function made with few keys": lambda here, _: (
        _rows(here)
        .map_batches(_without_some)
        .join(esker.read_parquet(here / "labels.parquet").filter("key > 270"), on="key", how="semi")
        .to_arrow()
    ),
    "tables in memory": lambda here, _: (
        esker.from_arrow(pa.table({"k": [n % 50 for n in range(600_000)], "n": range(600_000)}))
        .filter("n % 3 = 0")
        .group_by("k", partitions=4)
        .agg({"total": ("n", "sum")})
        .to_arrow()
    ),
    "a stream": lambda here, _: (
        (esker.from_arrow(pq.read_table(here / "rows.parquet").to_reader()).group_by("key", partitions=4))
        .agg({"n": ("id", "count")})
        .to_arrow()
    ),
    "write": lambda here, empty: (
        _rows(here).shuffle("key", 3).write_parquet(empty / "parts"),
        [pq.read_table(path) for path in sorted((empty / "parts").glob("*.parquet"))],
    ),
    "freeze and find": lambda here, empty: (
        esker.freeze(_rows(here), empty / "rows.esker", keys=["id"], index=["key"]).rows,
        esker.find(empty / "rows.esker", "key IN (3, 5)").to_arrow(),
        esker.read_frozen(empty / "rows.esker")
        .filter("key = 7")
        .group_by("name")
        .agg({"n": ("id", "count")})
        .to_arrow(),
    ),
    "index files": lambda here, empty: _index_files(here, empty),
    "index files, behind groups": lambda here, empty: (
        esker.build_index(
            _rows(here).group_by("key", partitions=8).agg({"n": ("id", "count")}), empty / "index", {"n": "range"}
        ).count("n > 130"),
        _segments(empty / "index" / "vectors"),
    ),
    "index files, appended": lambda here, empty: (
        esker.build_index(_rows(here).filter("key < 50"), empty / "index", ["key", "name"]).append(
            _rows(here).filter("key >= 250")
        ),
        _segments(empty / "index" / "vectors"),
    ),
    "index files of a freeze in order": lambda here, empty: (
        esker.freeze(
            _rows(here).map_batches(_without_some),
            empty / "rows.esker",
            keys=["id"],
            index=["name", "key"],
            order_by=["key", "price"],
        ).rows,
        _segments(empty / "rows.esker" / "index"),
        esker.read_frozen(empty / "rows.esker").select(["id", "key"]).to_arrow(),
    ),
    "index": lambda here, empty: esker.build_index(_rows(here), empty / "index", ["key"]).count("key < 10"),
}

BAGS: dict[str, Callable[[Path, Path], Any]] = {
    "narrow": lambda here, _: (
        esker.range(1000, partitions=7)
        .map(lambda n: n * n)
        .filter(lambda n: n % 3)
        .flat_map(lambda n: (n, -n))
        .collect()
    ),
    "stream": lambda here, _: list(esker.range(500, partitions=3).map(str)),
    "take": lambda here, _: esker.range(10_000, partitions=9).map(lambda n: n + 1).take(20),
    "random": lambda here, _: esker.range(50, partitions=4).map(lambda n: float(esker.rng().random())).collect(),
    "reduce_by_key": lambda here, _: (
        esker.range(5000, partitions=6).map(lambda n: (n % 17, n)).reduce_by_key(operator.add).collect()
    ),
    "group_by_key": lambda here, _: (
        esker.range(500, partitions=6).map(lambda n: (n % 17, n)).group_by_key(4).map_values(list).collect()
    ),
    "sort_by": lambda here, _: esker.range(3000, partitions=5).sort_by(lambda n: (n * 7919) % 3001).collect(),
    "join": lambda here, _: (
        esker.range(200, partitions=3)
        .map(lambda n: (n % 20, n))
        .join(esker.range(40, partitions=2).map(lambda n: (n % 25, str(n))))
        .collect()
    ),
    "distinct": lambda here, _: esker.range(900, partitions=4).map(lambda n: n % 31).distinct(5).collect(),
    "repartition": lambda here, _: esker.range(100, partitions=3).repartition(7).glom().collect(),
    "cartesian": lambda here, _: esker.range(9, partitions=2).cartesian(esker.range(5, partitions=2)).collect(),
    "broadcast": lambda here, _: _with_broadcast(),
    "accumulator": lambda here, _: _with_accumulator(),
    "persist": lambda here, _: _persisted(),
    "to_bag": lambda here, _: _rows(here).filter("key = 5").to_bag(2).pluck("id").collect(),
}

GRAPHS: dict[str, Callable[[Path, Path], Any]] = {
    "components": lambda here, _: _graph().connected_components().to_arrow(),
    "page rank": lambda here, _: _graph().page_rank(iterations=5).to_arrow(),
    "degrees": lambda here, _: _graph().degrees().to_arrow(),
}


def _without_some(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.filter(pa.array(np.asarray(batch["id"]) % 5 != 3))


def _index_files(here: Path, empty: Path) -> tuple[int, dict[str, list[bytes]]]:
    columns = {
        "name": "equality",
        "key": esker.Bins([50, 100, 200]),
        "price": esker.Bins.quantile(8),
        "id": "bit_sliced",
    }
    with esker.build_index(_rows(here).filter("key < 250"), empty / "index", columns) as index:
        return index.count("name = 'name 5' AND key > 120"), _segments(empty / "index" / "vectors")


def _segments(folder: Path) -> dict[str, list[bytes]]:
    """The bytes of index files by their column: their names are new each time."""
    found: dict[str, list[bytes]] = {}
    for path in folder.iterdir():
        found.setdefault(path.name.partition(".")[0], []).append(path.read_bytes())
    return {column: sorted(files) for column, files in found.items()}


def _with_broadcast() -> list[Any]:
    names = esker.broadcast({n: f"name {n}" for n in range(100)})
    try:
        return esker.range(100, partitions=4).map(lambda n: names.value[n]).collect()
    finally:
        names.release()


def _with_accumulator() -> tuple[int, Any]:
    seen = esker.accumulator(0)
    return esker.range(100, partitions=4).map(lambda n: (seen.add(n), n)[1]).sum(), seen.value


def _persisted() -> tuple[Any, ...]:
    kept = esker.range(100, partitions=4).map(lambda n: n * n).persist()
    try:
        return kept.sum(), kept.count(), kept.collect()
    finally:
        kept.unpersist()


def _graph() -> esker.Graph:
    chance = np.random.default_rng(5)
    edges = pa.table({"src": chance.integers(0, 400, 900), "dst": chance.integers(0, 400, 900)})
    return esker.Graph(pa.table({"id": range(400)}), edges)


SCRIPTS = {
    **DATASETS,
    **{f"bag: {name}": s for name, s in BAGS.items()},
    **{f"graph: {n}": s for n, s in GRAPHS.items()},
}


@pytest.fixture(scope="module")
def expected(here: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scripts give on one machine, without a session."""
    return {name: script(here, tmp_path_factory.mktemp("empty")) for name, script in SCRIPTS.items()}


@pytest.fixture(scope="module", params=SESSIONS)
def session(request: pytest.FixtureRequest, expected: dict[str, Any]) -> Iterator[Session]:
    with esker.connect(request.param, **SESSIONS[request.param]) as opened:
        yield opened


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_gives_the_same_rows_as_on_one_machine(
    name: str, session: Session, here: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    assert SCRIPTS[name](here, tmp_path) == expected[name]
