"""A Dataset for each key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from esker.collection.options import Options
from esker.core.context import QueryContext
from esker.core.spill import SpillFolder
from esker.engine.partition_by import GroupSource, keep_groups
from esker.engine.shuffle_barrier import ShuffleBarrier
from esker.engine.stores.kept import KeptGroups
from esker.plan.compiled import Compiled
from esker.plan.nodes import Node, Scan

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset

KEYS_MAX = 16_384


class Partitions(dict[Any, "Dataset"]):
    """The Datasets of `Dataset.partition_by`, by key.

    Their rows lie in one private file, which goes when the last of them is collected, on `close` (or at the end of a
    `with` block), and when the interpreter ends.
    """

    def __init__(self, datasets: Mapping[Any, Dataset], kept: KeptGroups) -> None:
        super().__init__(datasets)
        self._kept = kept

    def close(self) -> None:
        """Remove the rows now; reading one of the Datasets raises InputError from then on."""
        self._kept.close()

    def __enter__(self) -> Partitions:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def partition_rows(
    compiled: Compiled,
    context: QueryContext,
    by: Sequence[str],
    partition_count: int,
    keys_max: int,
    options: Options,
    dataset: Callable[[Node], Dataset],
) -> Partitions:
    """Run the plan and keep the rows of each key; `dataset` makes a Dataset of a node."""
    root = Path(options.spill_folder) if options.spill_folder is not None else None
    kept = KeptGroups(SpillFolder(root=root, limit=options.spill_limit), compiled.stream.schema)
    barrier = ShuffleBarrier(compiled.stream, by, partition_count, context)
    keys = keep_groups(barrier, by, keys_max, kept, context)
    compiled.done(sum(kept.rows(group) for group in range(len(keys))), context)
    found = {}
    for group, key in enumerate(keys):
        name = ", ".join(f"{column}={value!r}" for column, value in zip(by, key, strict=True))
        source = GroupSource(kept, group, name)
        found[key[0] if len(key) == 1 else key] = dataset(Scan(source.schema, source))
    return Partitions(found, kept)
