"""Customers as TPC-C populates them (clause 4.3.3.1), drawn from a seed: what source 004 was tested with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from esker.core import seeded

SYLLABLES = ("BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING")
DISTRICTS, CUSTOMERS_OF_A_DISTRICT = 10, 3_000
# The constant that NURand adds when names are made (clause 2.1.6.1: any within 0 to 255).
_C_LAST = 157


def customers(row_count: int, seed: int = 2018) -> pa.Table:
    """Draw customers, district by district: names by NURand(255, 0, 999), one in ten with bad credit.

    >>> rows = customers(2_000)
    >>> rows["c_last"][0].as_py(), rows["c_credit"].value_counts().to_pylist()[0]["values"]
    ('BARBARBAR', 'GC')
    """
    chance = seeded.generator(seed, 0x7CC)
    number = np.arange(row_count)
    customer = number % CUSTOMERS_OF_A_DISTRICT
    district = number // CUSTOMERS_OF_A_DISTRICT
    # The first thousand of a district have every name once.
    last = np.where(customer < 1_000, customer, _nurand(chance, 255, 0, 999, row_count))
    return pa.table(
        {
            "c_w_id": pa.array(district // DISTRICTS + 1, pa.int32()),
            "c_d_id": pa.array(district % DISTRICTS + 1, pa.int8()),
            "c_id": pa.array(customer + 1, pa.int32()),
            "c_last": pa.array([last_name(one) for one in range(1_000)]).take(pa.array(last)),
            "c_credit": pa.array(["GC", "BC"]).take(pa.array((chance.random(row_count) < 0.1).astype(np.int8))),
            "c_discount": pa.array(chance.integers(0, 5_001, row_count) / 10_000),
            "c_balance": pa.array(np.full(row_count, -10.0)),
            "c_payment_cnt": pa.array(chance.poisson(1.5, row_count), pa.int32()),
        }
    )


def last_name(number: int) -> str:
    """Make a name of three syllables (clause 4.3.2.3).

    >>> last_name(371)
    'PRICALLYOUGHT'
    """
    return SYLLABLES[number // 100] + SYLLABLES[number // 10 % 10] + SYLLABLES[number % 10]


def _nurand(chance: np.random.Generator, a: int, low: int, high: int, count: int) -> npt.NDArray[np.int64]:
    """Draw as NURand does: not evenly, but the same skew everywhere (clause 2.1.6)."""
    mixed = chance.integers(0, a + 1, count) | chance.integers(low, high + 1, count)
    return (mixed + _C_LAST) % (high - low + 1) + low
