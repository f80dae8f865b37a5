# %% [markdown]
# # Who imports whom: bags and a graph
#
# Python's own library is a text collection that everybody has. This reads all its modules, counts words, and ranks
# modules by who imports them. Run the cells, or the file: `python notebook_imports.py`.

# %% The modules, as pairs of name and text
import re
import sysconfig
from pathlib import Path

import esker
from esker import Graph

library = Path(sysconfig.get_paths()["stdlib"])
modules = sorted(path for path in library.glob("*.py") if path.stem.isidentifier())
print(len(modules), "modules")


def read(path):
    """A module's name and text."""
    return path.stem, path.read_text(encoding="utf-8", errors="replace")


texts = esker.of(modules, partitions=8).map(read).persist()
print(texts.map(lambda pair: len(pair[1])).sum(), "characters")

# %% The commonest words, combined before they are sent
words = texts.flat_map(lambda pair: re.findall(r"\b[a-z_]{4,}\b", pair[1])).map(lambda word: (word, 1))
for word, count in words.reduce_by_key(lambda a, b: a + b).top(5, key=lambda pair: pair[1]):
    print(f"{count:6,} {word}")


# %% An inverted index: in which modules a word stands
def places(pair):
    """The words of a module, each with the module's name."""
    name, text = pair
    return [(word, name) for word in set(re.findall(r"\b[a-z_]{4,}\b", text))]


rare = texts.flat_map(places).group_by_key().map_values(sorted).filter(lambda pair: len(pair[1]) == 3)
print(rare.take(2))

# %% Imports are edges
names = {path.stem for path in modules}


def imports(pair):
    """The modules that a module imports."""
    name, text = pair
    found = re.findall(r"^\s*(?:from|import) +([a-z_][a-z0-9_]*)", text, re.MULTILINE)
    return [(name, target) for target in sorted(set(found)) if target in names and target != name]


edges = texts.flat_map(imports).collect()
print(len(edges), "imports")

# %% PageRank: a module is important when important ones import it
graph = Graph(None, {"src": [source for source, _ in edges], "dst": [target for _, target in edges]})
ranks = graph.page_rank().sort("page_rank", descending=True).head(8).to_arrow().to_pylist()
for row in ranks:
    print(f"{row['page_rank']:.4f} {row['id']}")
texts.unpersist()
