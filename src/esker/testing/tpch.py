"""Tables with the keys and sizes of TPC-H, made from a seed: what joins need, without the council's generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from esker.core.seeded import generator

# Rows at scale factor 1, as the specification has them; an order has one to seven lines, a part four suppliers.
ORDERS, CUSTOMERS, PARTS, SUPPLIERS = 1_500_000, 150_000, 200_000, 10_000
SUPPLIERS_OF_A_PART = 4
_GROUP_ROWS = 1 << 16


def write_tpch(folder: Path, scale: float) -> None:
    """Write lineitem, orders, customer, part and partsupp as Parquet files at a scale factor.

    Keys follow the specification: order keys leave out three of four eights, a third of the customers has no order,
    the suppliers of a line are those of its part. Other columns are a few of each table's, with seeded values.
    """
    chance = generator(1)
    orders, customers, parts = (max(int(count * scale), 40) for count in (ORDERS, CUSTOMERS, PARTS))
    numbers = np.arange(orders)
    order_keys = numbers // 8 * 32 + numbers % 8 + 1
    lines = chance.integers(1, 8, orders)
    line_orders = np.repeat(order_keys, lines)
    ends = np.cumsum(lines)
    line_parts = chance.integers(1, parts + 1, len(line_orders))
    _write(
        folder / "lineitem.parquet",
        l_orderkey=line_orders,
        l_partkey=line_parts,
        l_suppkey=_supplier(line_parts, chance.integers(0, SUPPLIERS_OF_A_PART, len(line_parts)), scale),
        l_linenumber=(np.arange(len(line_orders)) - np.repeat(ends - lines, lines) + 1).astype(np.int32),
        l_quantity=chance.integers(1, 51, len(line_orders)),
        l_comment=_words(chance, len(line_orders)),
    )
    holders = chance.integers(1, customers + 1, orders)
    _write(
        folder / "orders.parquet",
        o_orderkey=order_keys,
        o_custkey=holders - (holders % 3 == 0),
        o_totalprice=chance.integers(100, 50_000_000, orders),
        o_comment=_words(chance, orders),
    )
    _write(
        folder / "customer.parquet",
        c_custkey=np.arange(1, customers + 1),
        c_acctbal=chance.integers(-99_999, 1_000_000, customers),
        c_comment=_words(chance, customers),
    )
    _write(
        folder / "part.parquet",
        p_partkey=np.arange(1, parts + 1),
        p_size=chance.integers(1, 51, parts).astype(np.int32),
        p_name=_words(chance, parts),
    )
    pairs = np.repeat(np.arange(1, parts + 1), SUPPLIERS_OF_A_PART)
    _write(
        folder / "partsupp.parquet",
        ps_partkey=pairs,
        ps_suppkey=_supplier(pairs, np.tile(np.arange(SUPPLIERS_OF_A_PART), parts), scale),
        ps_availqty=chance.integers(1, 10_000, len(pairs)).astype(np.int32),
        ps_comment=_words(chance, len(pairs)),
    )


def _supplier(parts: np.ndarray[Any, Any], which: np.ndarray[Any, Any], scale: float) -> np.ndarray[Any, Any]:
    suppliers = max(int(SUPPLIERS * scale), SUPPLIERS_OF_A_PART)
    found: np.ndarray[Any, Any] = (
        parts + which * (suppliers // SUPPLIERS_OF_A_PART + (parts - 1) // suppliers)
    ) % suppliers
    return found + 1


def _words(chance: np.random.Generator, rows: int) -> pa.Array:
    texts = pa.array([f"quickly final deposits {number} sleep" for number in range(1000)])
    return texts.take(pa.array(chance.integers(0, len(texts), rows)))


def _write(path: Path, **columns: Any) -> None:
    with pq.ParquetWriter(path, pa.table(columns).schema) as writer:
        for part in _slices(pa.table(columns)):
            writer.write_table(part)


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, _GROUP_ROWS):
        yield table.slice(start, _GROUP_ROWS)
