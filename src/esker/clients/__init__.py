"""Clients: other engines that ask our indexes. Polars, DuckDB and whatever reads a pyarrow dataset, and SQLite."""
