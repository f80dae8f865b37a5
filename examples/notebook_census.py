# %% [markdown]
# # One index, four engines
#
# The census of source 004 (salary, age, city), 200,000 people of a seeded script: indexed once, and asked from Python,
# SQLite, DuckDB and Polars (`pip install 'esker[duckdb,polars]'`). Run the cells, or the file:
# `python notebook_census.py`.

# %% Make the people, and the index
import apsw
import duckdb
import polars as pl

import esker
from esker.clients import sqlite
from esker.testing.census import census

people = census(200_000)
index = esker.build_index(
    people,
    "census.index",
    {"salary": "bit_sliced", "age": esker.Bins([18, 21, 66]), "city": "equality"},
    memory="256MiB",
)
print(index.statistics())

# %% Questions that no record is read for
question = "salary > 150000 AND age < 30"
print(index.count(question), "people;", index.sum("salary", "city = 'Tacoma'"), "dollars in Tacoma")
print(index.group_count("city", question))
print(index.explain(question, columns=["name"], run=True))

# %% SQLite: a virtual table
connection = apsw.Connection(":memory:")
sqlite.register(connection, "census", "census.index", on_scan=lambda plan: print("asked:", plan.detail["predicate"]))
print(connection.execute(f"SELECT name, age FROM census WHERE {question} ORDER BY salary DESC LIMIT 3").fetchall())

# %% DuckDB: a variable's name is a table
records = esker.as_arrow_dataset("census.index")
by_city = f"SELECT city, count(*) AS n FROM records WHERE {question} GROUP BY city ORDER BY n DESC LIMIT 3"
print(duckdb.sql(by_city).fetchall())

# %% Polars: a lazy frame
frame = esker.scan_polars("census.index").filter((pl.col("salary") > 150_000) & (pl.col("age") < 30))
print(frame.group_by("city").agg(pl.len().alias("n")).sort("n", descending=True).head(3).collect().rows())

# %% All agree
count = frame.select(pl.len()).collect().item()
assert count == index.count(question) == index.dataset().filter(question).count()
print(count, "people, whoever asks")
