from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import esker
from esker.cluster.local import LocalCluster

from .rows import table


@pytest.fixture(scope="session")
def plain() -> pa.Table:
    return table()


@pytest.fixture(scope="session")
def frozen(plain: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows frozen, with an index of every kind of answer: exact, by bins, from hot columns, and none."""
    folder = tmp_path_factory.mktemp("clients") / "rows.esker"
    index = {
        "n": "equality",
        "s": "equality",
        "b": "equality",
        "d": "equality",
        "u": "range",
        "f": esker.Bins([0.0, 1.0]),
    }
    esker.freeze(plain, folder, index=index, keys=["id"])
    return folder


@pytest.fixture(scope="session")
def indexed(plain: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows in an index folder."""
    folder = tmp_path_factory.mktemp("clients") / "rows.index"
    kinds = {"n": "bit_sliced", "s": "equality", "b": "equality", "d": "equality", "t": "time_quantum"}
    with esker.build_index(plain, folder, kinds):
        return folder


@pytest.fixture(scope="session")
def cluster(plain: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The rows in a cluster of two nodes, in blocks: what columns have no vectors for is checked on rows."""
    with LocalCluster(tmp_path_factory.mktemp("clients") / "cluster") as local:
        local.up(nodes=2)
        with local.connect() as opened:
            opened.build(plain, ["n", "s", "b", "d", "u", "f"], index="rows", block_rows=640)
        yield f"{local.address}/rows?token_file={local.token_file}"
