"""Wide steps over Python objects: pairs of one input partition in, pairs of one output partition out.

The map side (`collect`) runs on an input partition and leaves files; the reduce side (`groups`, `reduced`,
`cogrouped`, `records`, `sorted_records`) runs on all their sections for one output partition. Both run in whatever
process they are called in.
"""

from esker.engine.objects.collect import Feed, collect
from esker.engine.objects.combine import Combine, first
from esker.engine.objects.groups import Group, cogrouped, groups, records, reduced, reduced_pairs
from esker.engine.objects.keys import stable_hash
from esker.engine.objects.partitioners import (
    FunctionPartitioner,
    HashPartitioner,
    KeySample,
    NumberPartitioner,
    Partitioner,
    RangePartitioner,
    range_bounds,
)
from esker.engine.objects.runs import Runs, Section, SpillPlace
from esker.engine.objects.sort import sample_keys, sorted_records, spool

__all__ = [
    "Combine",
    "Feed",
    "FunctionPartitioner",
    "Group",
    "HashPartitioner",
    "KeySample",
    "NumberPartitioner",
    "Partitioner",
    "RangePartitioner",
    "Runs",
    "Section",
    "SpillPlace",
    "cogrouped",
    "collect",
    "first",
    "groups",
    "range_bounds",
    "records",
    "reduced",
    "reduced_pairs",
    "sample_keys",
    "sorted_records",
    "spool",
    "stable_hash",
]
