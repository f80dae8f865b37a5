"""Every result of the demo against DuckDB, which reads the CSV files itself."""

from __future__ import annotations

import importlib.util
from typing import Any

import pyarrow as pa

from esker.cli.demo_data import FlightData
from esker.cli.demo_job import LATE_IN_SUMMER, STORMY
from esker.errors import EskerError

QUERIES = {
    "freeze": "SELECT * FROM flights",
    "find": f"SELECT * FROM flights WHERE {LATE_IN_SUMMER}",
    "storms": "SELECT f.*, w.* EXCLUDE (origin, time_hour) FROM flights f JOIN weather w"
    f" ON f.origin = w.origin AND f.time_hour = w.time_hour WHERE {STORMY}",
    "planes": "SELECT f.*, p.* EXCLUDE (tailnum) FROM flights f JOIN planes p ON f.tailnum = p.tailnum",
    # A streak ends at a flight that was on time: flights between two ends are counted together.
    "regroup": """
        WITH joined AS (SELECT f.*, p.seats FROM flights f JOIN planes p ON f.tailnum = p.tailnum),
        ends AS (SELECT *, coalesce(dep_delay, 0) > 0 AS late,
            count(*) FILTER (coalesce(dep_delay, 0) <= 0)
                OVER (PARTITION BY dest ORDER BY time_hour, carrier, flight) AS streak FROM joined),
        streaks AS (SELECT dest, streak, count(*) FILTER (late) AS late_flights FROM ends GROUP BY dest, streak)
        SELECT dest, flights, seats, late_streak
        FROM (SELECT dest, count(*) AS flights, sum(seats)::BIGINT AS seats FROM joined GROUP BY dest)
        JOIN (SELECT dest, max(late_flights) AS late_streak FROM streaks GROUP BY dest) USING (dest)
    """,
}


class DuckCheck:
    """Compares results with DuckDB's when it is installed, and says so."""

    def __init__(self, data: FlightData) -> None:
        self.installed = importlib.util.find_spec("duckdb") is not None
        if self.installed:
            self._connection = _connect(data)

    def same_rows(self, name: str, ours: pa.Table) -> str:
        """Compare `ours` with the query `name`, as bags of rows; EskerError when they differ."""
        if not self.installed:
            return "not checked: DuckDB is not installed (pip install 'esker[duckdb]')"
        self._connection.register("ours", ours)
        try:
            self._run(f"CREATE OR REPLACE TEMP TABLE theirs AS {QUERIES[name]}")
            ((our_rows, their_rows),) = self._run("SELECT (SELECT count(*) FROM ours), (SELECT count(*) FROM theirs)")
            # Columns by position: names that clash are told apart in different ways.
            ((different,),) = self._run(
                "SELECT (SELECT count(*) FROM (SELECT * FROM ours EXCEPT ALL SELECT * FROM theirs))"
                " + (SELECT count(*) FROM (SELECT * FROM theirs EXCEPT ALL SELECT * FROM ours))"
            )
        finally:
            self._connection.unregister("ours")
        if our_rows != their_rows or different:
            raise EskerError(
                f"{name}: {our_rows:,} rows, DuckDB has {their_rows:,}, and {different:,} are in one of the two only;"
                " this is a bug of Esker, please report it"
            )
        return f"checked against DuckDB: same rows ({our_rows:,})"

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        # All of it: an unfinished result would hold the connection.
        return list(self._connection.execute(sql).fetchall())

    def close(self) -> None:
        """Let go of DuckDB's memory."""
        if self.installed:
            self._connection.close()


def _connect(data: FlightData) -> Any:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
    for name in ("flights", "weather", "planes"):
        path = str(getattr(data, name)).replace("'", "''")
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_csv('{path}', nullstr = ['NA', ''])")
    return connection
