"""Where a Bag begins: files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from esker.collection.bag.bag import Bag
from esker.collection.bag.read import cut, of_splits
from esker.engine.bag.call_site import call_site
from esker.engine.bag.csv_rows import CsvFormat, CsvNode, read_header
from esker.engine.bag.file_place import FilePart, FilePlace, Paths, cut_places, find_places
from esker.engine.bag.files import FixedSplit, RecordsSplit, WholeFilesSplit
from esker.engine.bag.json_lines import parse_lines
from esker.engine.bag.options import DEFAULT_BAG_OPTIONS, require_whole
from esker.engine.bag.steps import PARTITION
from esker.engine.bag.text import TextSplit, check_encoding, is_wide
from esker.errors import OptionError


def read_text(
    paths: Paths,
    *,
    partitions: int | None = None,
    partition_bytes: int | str | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> Bag[str]:
    r"""Read the lines of text files, without their ends: a path, a folder, a glob, a URI, or a list of them.

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "poem.txt"
    >>> _ = path.write_text("Tyger Tyger,\nburning bright\n")
    >>> esker.read_text(path, partitions=2).collect()
    ['Tyger Tyger,', 'burning bright']

    Files are cut into partitions of about `partition_bytes` (default 32 MiB), at least `partitions` where they can be,
    always between two lines; the first partition has the first line. Compressed files (`.gz`, `.bz2`, `.xz`, `.zst`)
    and wide encodings (UTF-16, UTF-32) are one partition each. `errors` is what Python's `open` takes. Lines end with a
    line feed, or with carriage return and line feed. `s3://bucket/2024/*.txt` needs the extra `esker[s3]`.

    Raises InputFileError for a file that is missing now, changed when it is read, or not in that encoding.
    """
    name = check_encoding(encoding)
    places = find_places(paths)
    parts = _whole(places) if is_wide(name) else _cut_text(places, partitions, partition_bytes)
    return of_splits([TextSplit(part, name, errors) for part in parts], "read_text")


def read_files(paths: Paths, *, partitions: int | None = None) -> Bag[tuple[str, bytes]]:
    """Read whole files, as pairs of the path and its bytes, decompressed where the extension says so.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> written = (folder / "a.txt").write_text("ab"), (folder / "b.txt").write_text("cde")
    >>> esker.read_files(folder / "*.txt").map(lambda pair: len(pair[1])).collect()
    [2, 3]

    Small files share partitions: there are `partitions` of them (default: one for each core), if there are as many
    files.
    """
    places = find_places(paths)
    splits = [WholeFilesSplit(tuple(part)) for part in cut(places, partitions) if part]
    return of_splits(splits, "read_files")


def read_binary(
    paths: Paths,
    *,
    record_bytes: int | None = None,
    chunk_bytes: int | str | None = None,
    partitions: int | None = None,
    partition_bytes: int | str | None = None,
) -> Bag[bytes]:
    """Read files as bytes: records of a fixed size (`record_bytes`), or chunks of at most `chunk_bytes`.

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "numbers"
    >>> _ = path.write_bytes(bytes(range(6)))
    >>> esker.read_binary(path, record_bytes=2, partitions=2).collect()
    [b'\\x00\\x01', b'\\x02\\x03', b'\\x04\\x05']

    Nothing is read ahead, nor kept. Raises InputFileError, when it is read, for a file that ends within a record.
    """
    from esker.core.byte_size import parse_bytes

    if (record_bytes is None) == (chunk_bytes is None):
        raise OptionError("read_binary takes record_bytes=, the size of a record, or chunk_bytes=, the most of a chunk")
    if record_bytes is not None:
        require_whole("record_bytes", record_bytes, 1)
    size = record_bytes if record_bytes is not None else parse_bytes(chunk_bytes or 0, "chunk_bytes")
    parts = cut_places(find_places(paths), _wanted(partitions, partition_bytes), partition_bytes, size)
    return of_splits([FixedSplit(part, size, record_bytes is not None) for part in parts], "read_binary")


def read_json(
    paths: Paths, *, partitions: int | None = None, partition_bytes: int | str | None = None, encoding: str = "utf-8"
) -> Bag[Any]:
    r"""Read JSON values, one on each line; empty lines are skipped. Files as in `read_text`.

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "values.json"
    >>> _ = path.write_text('{"n": 1}\n[2, 3]\n')
    >>> esker.read_json(path).collect()
    [{'n': 1}, [2, 3]]

    Raises InputFileError, when it is read, showing the line that is no JSON.
    """
    lines = read_text(paths, partitions=partitions, partition_bytes=partition_bytes, encoding=encoding)
    return lines._step(PARTITION, "read_json", parse_lines)


def read_csv_rows(
    paths: Paths,
    *,
    delimiter: str = ",",
    quote: str = '"',
    header: bool = True,
    encoding: str = "utf-8",
    partitions: int | None = None,
    partition_bytes: int | str | None = None,
) -> Bag[Any]:
    r"""Read CSV files as rows: dicts of text by the names of the header, or tuples of text with `header=False`.

    >>> import esker, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.csv"
    >>> _ = path.write_text('name,says\nAda,"two\nlines"\n')
    >>> esker.read_csv_rows(path, partitions=2).collect()
    [{'name': 'Ada', 'says': 'two\nlines'}]

    Each file has a header of its own. Files are cut as by `read_text`, between rows, also where quoted fields have
    line ends in them: the first run counts quotes for that. For columns with types use `esker.read_csv`.

    Raises InputFileError for a row with more or fewer fields than the header, and for quotes that do not close.
    """
    name = check_encoding(encoding)
    if is_wide(name):
        raise OptionError(f"encoding={encoding!r}: read_csv_rows takes encodings in which a line end is one byte")
    for word, mark in (("delimiter", delimiter), ("quote", quote)):
        if len(mark) != 1 or not mark.isascii():
            raise OptionError(f"{word}={mark!r}: give one ASCII character")
    plain = CsvFormat(delimiter, quote, name)
    parts = []
    for place, parts_of in groupby(_cut_text(find_places(paths), partitions, partition_bytes), lambda part: part.place):
        whole = FilePart(place, 0, place.size_bytes)
        form = replace(plain, names=read_header(whole, plain), skip_header=True) if header else plain
        parts += [(part, form) for part in parts_of]
    return Bag(CsvNode(parts, call_site()))


def read_records(paths: Paths) -> Bag[bytes]:
    """Read what `Bag.write_records` wrote: bytes, one partition for each file.

    >>> import esker, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp()) / "records"
    >>> count = esker.of([b"one", b"", b"three"], partitions=1).write_records(folder)
    >>> esker.read_records(folder).collect()
    [b'one', b'', b'three']
    """
    return of_splits([RecordsSplit(place) for place in find_places(paths)], "read_records")


def _cut_text(places: Sequence[FilePlace], partitions: int | None, partition_bytes: int | str | None) -> list[FilePart]:
    return cut_places(places, _wanted(partitions, partition_bytes), partition_bytes)


def _whole(places: Sequence[FilePlace]) -> list[FilePart]:
    return [FilePart(place, 0, place.size_bytes) for place in places]


def _wanted(partitions: int | None, partition_bytes: int | str | None) -> int | None:
    """Without a word of the caller's: as many as there are cores, so that all of them work."""
    if partitions is None and partition_bytes is None:
        return DEFAULT_BAG_OPTIONS.worker_count
    return partitions
