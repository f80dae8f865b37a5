from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from esker.errors import InputFileError, OptionError
from esker.formats import open_files, open_writer

TABLE = pa.table({"n": list(range(10)), "s": [f"row {number}" for number in range(10)]})


def test_small_batches_are_read_as_one_fragment(tmp_path: Path) -> None:
    with open_writer(tmp_path / "rows.arrow", TABLE.schema) as writer:
        for batch in TABLE.to_batches(max_chunksize=3):
            writer.write(batch)
    source = open_files(tmp_path / "rows.arrow")
    (fragment,) = source.fragments
    assert (fragment.first_row, fragment.row_count) == (0, 10)
    assert pa.Table.from_batches(source.read(fragment)) == TABLE


def test_large_batches_are_fragments_of_their_own(tmp_path: Path) -> None:
    big = pa.table({"n": pa.nulls(700_000, pa.int8())})
    with open_writer(tmp_path / "rows.arrow", big.schema) as writer:
        for _ in range(3):
            writer.write(big.to_batches()[0])
    assert [fragment.row_count for fragment in open_files(tmp_path / "rows.arrow").fragments] == [700_000] * 3


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_files_are_read(tmp_path: Path, compression: str) -> None:
    with open_writer(tmp_path / "rows.feather", TABLE.schema, compression=compression) as writer:
        writer.write(TABLE.to_batches()[0])
    source = open_files(tmp_path / "rows.feather")
    assert source.row_count == 10
    assert pa.Table.from_batches(source.batches(["s"])) == TABLE.select(["s"])


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="compression='rar'"):
        open_writer(tmp_path / "rows.arrow", TABLE.schema, compression="rar")


def test_a_stream_is_read_in_order_and_its_rows_are_unknown_before(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrows"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=4)
    source = open_files(path)
    assert source.row_count is None
    assert pa.Table.from_batches(source.batches(["s", "n"])) == TABLE.select(["s", "n"])


def test_feather_one_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "rows.feather").write_bytes(b"FEA1" + b"\x00" * 100)
    with pytest.raises(InputFileError, match="is a Feather 1 file; write it again"):
        open_files(tmp_path / "rows.feather")


def test_offsets_that_lead_out_of_the_file_are_found_before_anyone_follows_them(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    with open_writer(path, TABLE.schema) as writer:
        writer.write(TABLE.to_batches()[0])
    data = bytearray(path.read_bytes())
    offsets = TABLE.column("s").chunk(0).buffers()[1].to_pybytes()[: 11 * 4]
    place = bytes(data).index(offsets)
    data[place + 20 : place + 24] = (2**30).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(InputFileError, match=r"rows\.arrow is not a readable Arrow file, or is damaged"):
        list(open_files(path).batches())
