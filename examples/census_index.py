"""The worked example of source 004 (Risner and Burdick): a census, its bins, one query, by index and then exactly.

    python examples/census_index.py [folder]

SELECT * FROM CENSUS WHERE SALARY > 100000 AND AGE < 50 is R:[2,3]&[4,6] over the vectors of Tables 2 and 3: a superset,
since 50 lies within the bin of ages 21 to 65. The rows of that bin are looked at, and only those.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import esker
from esker.testing.census import AGE_BINS, SALARY_BINS, TABLE_1, census

QUERY = "salary > 100000 AND age < 50"
RANGES = "R:[2,3]&[4,6]"


PEOPLE = 200_000


def main(folder: Path) -> None:
    """Build both indices in a folder and print what they answer."""
    bins = {"salary": SALARY_BINS, "age": AGE_BINS}
    with esker.build_index(TABLE_1, folder / "table1.index", bins) as index:
        print("Tables 2 and 3, rows of each vector:")
        for number in range(8):
            print(f"  v{number}: {[f't{row}' for row in index.vectors(number, number).to_numpy()]}")
        print(f"{RANGES}: {index.find(RANGES, ['name'])['name'].to_pylist()}")
    with esker.build_index(census(PEOPLE), folder / "census.index", {**bins, "city": "equality"}) as index:
        superset, exact = index.row_set(RANGES), index.row_set(QUERY)
        print(f"\nof {PEOPLE:,} people the vectors leave {len(superset):,}, of whom {len(exact):,} are right")
        assert not exact - superset, "no row of the answer is missing from the superset"
        print(index.explain(QUERY, ["name"], run=True))
        print(f"their cities: {index.top('city', 3, QUERY)}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(Path(made))
