"""A census, drawn from a seed: the table of source 004 (Table 1) at any size, with the bins of its Tables 2 and 3."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from esker.core import seeded
from esker.index import Bins

SCHEMA = pa.schema([("salary", pa.int32()), ("age", pa.int32()), ("city", pa.string()), ("name", pa.string())])
# Salary bins are closed above (60 < S <= 100, in thousands); with whole dollars that is [60001, 100001).
SALARY_BINS = Bins([60_001, 100_001, 300_001])
AGE_BINS = Bins([18, 21, 66])
TABLE_1 = pa.table(
    {
        "salary": [65_000, 25_000, 130_000],
        "age": [20, 76, 42],
        "city": ["Tacoma", "Spokane", "Seattle"],
        "name": ["Julia", "Tim", "Maria"],
    },
    SCHEMA,
)
# About Washington's ten largest cities, by inhabitants in thousands.
CITIES = {
    "Seattle": 737, "Spokane": 229, "Tacoma": 219, "Vancouver": 191, "Bellevue": 152, "Kent": 137, "Everett": 111,
    "Renton": 107, "Spokane Valley": 103, "Federal Way": 101,
}  # fmt: skip
NAMES = ("Julia", "Tim", "Maria", "Sam", "Jahrme", "Ada", "Grace", "Alan", "Edgar", "Barbara", "Donald", "Niklaus")


def census(row_count: int, seed: int = 2018) -> pa.Table:
    """Draw rows: log-normal salaries of those of age, ages as in a grown population, cities by their size.

    >>> census(3).schema.names, census(1_000).equals(census(1_000)), census(1_000).equals(census(1_000, seed=1))
    (['salary', 'age', 'city', 'name'], True, False)
    """
    chance = seeded.generator(seed, 0xCE2505)
    age = np.minimum(chance.triangular(0, 30, 101, row_count).astype(np.int32), 100)
    salary = np.where(age < 18, 0, chance.lognormal(10.9, 0.7, row_count)).astype(np.int32)
    weights = np.array(list(CITIES.values()), float)
    city = chance.choice(len(CITIES), row_count, p=weights / weights.sum())
    name = chance.integers(0, len(NAMES), row_count)
    return pa.table(
        {
            "salary": salary,
            "age": age,
            "city": pa.array(list(CITIES)).take(pa.array(city)),
            "name": pa.array(NAMES).take(pa.array(name)),
        },
        SCHEMA,
    )
