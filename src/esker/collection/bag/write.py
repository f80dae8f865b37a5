"""Where a Bag goes: files, a Dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from esker.collection.bag.base import BagBase
from esker.collection.bag.element import T
from esker.engine.bag.run import running_bag
from esker.errors import OutputFileError

if TYPE_CHECKING:
    import pyarrow as pa

    from esker.collection.bag.bag import Bag
    from esker.collection.dataset import Dataset
    from esker.engine.bag.writing import PartWriter


class WriteActions(BagBase[T]):
    """Methods of a Bag that write it."""

    def write_text(self, folder: str | Path, *, compression: str | None = None, overwrite: bool = False) -> int:
        r"""Write the text of each element as a line, a file for each partition; returns how many elements there were.

        >>> import esker, tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "numbers"
        >>> esker.range(5, partitions=2).write_text(folder)
        5
        >>> [(path.name, path.read_text()) for path in sorted(folder.iterdir())]
        [('part-00000.txt', '0\n1\n'), ('part-00001.txt', '2\n3\n4\n')]

        The folder is there when all of it is whole, and not before. `compression` is `gz`, `bz2`, `xz` or `zst`.
        Raises OutputExistsError if there is such a folder and `overwrite` is False.
        """
        from esker.engine.bag.writing import TextPart

        return self._write(folder, TextPart(compression), "write_text", overwrite)

    def write_json(self, folder: str | Path, *, compression: str | None = None, overwrite: bool = False) -> int:
        """Write each element as a line of JSON; otherwise as `write_text`. InputError names what has no JSON form."""
        from esker.engine.bag.writing import TextPart

        return self._write(folder, TextPart(compression, as_json=True), "write_json", overwrite)

    def write_parquet(self, folder: str | Path, schema: pa.Schema, *, overwrite: bool = False) -> int:
        """Write rows (dicts, or tuples in the order of `schema`) as Parquet; otherwise as `write_text`.

        >>> import esker, tempfile, pathlib, pyarrow as pa
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "rows"
        >>> schema = pa.schema({"n": pa.int64(), "text": pa.string()})
        >>> esker.of([(1, "one"), (2, "two")]).write_parquet(folder, schema)
        2
        >>> esker.read_parquet(folder).to_arrow()["text"].to_pylist()
        ['one', 'two']

        Raises InputError naming the column and the value that do not fit.
        """
        from esker.engine.bag.writing import ParquetPart

        return self._write(folder, ParquetPart(schema), "write_parquet", overwrite)

    def write_records(self, folder: str | Path, *, overwrite: bool = False) -> int:
        """Write elements that are bytes, whatever is in them; `esker.read_records` reads them back.

        >>> import esker, tempfile, pathlib
        >>> folder = pathlib.Path(tempfile.mkdtemp()) / "records"
        >>> esker.of([b"one", b"", b"three"]).write_records(folder)
        3
        >>> esker.read_records(folder).collect()
        [b'one', b'', b'three']

        The files are Arrow files with one binary column, `record`: nothing is pickled, and any Arrow reads them.
        """
        from esker.engine.bag.writing import RecordsPart

        return self._write(folder, RecordsPart(), "write_records", overwrite)

    def _write(self, folder: str | Path, writer: PartWriter, operator: str, overwrite: bool) -> int:
        from esker.core.file_system import LOCAL
        from esker.engine.bag.writing import WritePart

        target = Path(folder).expanduser().absolute()
        if not target.parent.is_dir():
            raise OutputFileError(f"cannot write {target}: there is no folder {target.parent}")
        with LOCAL.folder_aside(target, overwrite=overwrite) as aside:
            with running_bag(self._options, self._node) as run:
                consumer = self._consumer(WritePart(str(aside), writer), operator)
                counts = run.results(run.pipelines(self._node), consumer)
            for left in aside.glob(".part-*"):  # of tries whose process died
                left.unlink()
        return sum(counts)

    def to_dataset(self, schema: pa.Schema) -> Dataset:
        """Make a Dataset of rows: dicts, or tuples in the order of `schema`. The Bag runs each time it is read.

        >>> import esker, pyarrow as pa
        >>> rows = esker.range(4).map(lambda n: {"n": n, "even": n % 2 == 0})
        >>> data = rows.to_dataset(pa.schema({"n": pa.int64(), "even": pa.bool_()}))
        >>> data.filter("even").to_arrow()["n"].to_pylist()
        [0, 2]
        """
        from esker.collection.dataset import Dataset
        from esker.engine.bag.arrow_rows import BagSource, BatchesOf
        from esker.engine.bag.steps import PARTITION
        from esker.plan.nodes import Scan

        batches = self._step(PARTITION, "to_dataset", BatchesOf(schema))
        source = BagSource(schema, batches.iterate)
        return Dataset(Scan(source.schema, source))


def bag_of_rows(dataset: Dataset, partitions: int | None) -> Bag[dict[str, Any]]:
    """The rows of a Dataset as dicts; see `Bag.from_dataset`."""
    from esker.collection.bag.bag import Bag
    from esker.engine.bag.arrow_rows import BatchesNode
    from esker.engine.bag.call_site import call_site
    from esker.engine.bag.options import DEFAULT_BAG_OPTIONS, require_whole

    count = DEFAULT_BAG_OPTIONS.worker_count if partitions is None else partitions
    require_whole("partitions", count, 1)
    return Bag(BatchesNode(dataset.execute, dataset.schema, count, call_site()))
