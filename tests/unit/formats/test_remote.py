"""Files on an object store: found, read with few requests, and the same rows as local ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import esker
from esker.errors import InputFileError, OptionError, TierError
from esker.formats import open_files, open_writer
from esker.formats.remote import is_remote
from esker.testing.range_server import RangeServer

ROWS = 6000
TABLE = pa.table(
    {
        "id": pa.array(np.arange(ROWS)),
        "group": pa.array(np.arange(ROWS) // 1000),
        "text": [f"text of row {number} " + "x" * 80 for number in range(ROWS)],
    }
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    folder = tmp_path_factory.mktemp("source")
    with RangeServer() as running:
        for number in range(3):
            part = TABLE.slice(number * 2000, 2000)
            pq.write_table(part, folder / "part.parquet", row_group_size=500, compression="none")
            running.put(f"lake/year=2024/part-{number}.parquet", (folder / "part.parquet").read_bytes())
            running.put(f"lake/flat/part-{number}.parquet", (folder / "part.parquet").read_bytes())
        for name in ("rows.csv", "rows.csv.gz", "rows.arrow"):
            with open_writer(folder / name, TABLE.schema) as writer:
                for batch in TABLE.to_batches(1000):
                    writer.write(batch)
            running.put(f"lake/other/{name}", (folder / name).read_bytes())
        running.put("lake/flat/_SUCCESS", b"")
        running.put("lake/flat/.hidden/part.parquet", b"broken")
        running.put("lake/flat/notes.txt", b"notes")
        yield running


def uri(server: RangeServer, key: str, **options: object) -> str:
    return server.uri(f"lake/{key}", bytes_per_second="50MB", request_seconds="0.0001", **options)


@pytest.mark.parametrize("key", ["flat", "flat/", "flat/*.parquet", "flat/part-[0-2].parquet", "**/flat/*.parquet"])
def test_folders_and_globs_name_objects_in_order(server: RangeServer, key: str) -> None:
    data = esker.read_parquet(uri(server, key))
    assert data.to_arrow().equals(TABLE)
    assert len(open_files(uri(server, key)).paths) == 3


def test_one_object_and_a_list_of_them(server: RangeServer) -> None:
    one = uri(server, "flat/part-1.parquet")
    assert esker.read(one).to_arrow()["id"].to_pylist() == list(range(2000, 4000))
    assert esker.read([one, uri(server, "flat/part-0.parquet")]).to_arrow()["id"].to_pylist()[2000] == 0


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.arrow"])
def test_other_formats_are_read_as_local_ones_are(server: RangeServer, name: str) -> None:
    assert esker.read(uri(server, f"other/{name}")).to_arrow().equals(TABLE)


def test_only_the_columns_asked_for_are_fetched(server: RangeServer) -> None:
    data = esker.read_parquet(uri(server, "flat"))
    server.reset_counts()
    assert data.select(["id"]).to_arrow()["id"].to_pylist() == list(range(ROWS))
    counts = server.counts()
    assert counts.bytes_read < TABLE.select(["id"]).nbytes * 1.5 < TABLE.nbytes / 5
    # One for each of the twelve row groups.
    assert counts.gets == 12


def test_what_explain_says_is_what_the_store_counts(server: RangeServer) -> None:
    data = esker.read_parquet(uri(server, "flat")).filter("group = 3")
    estimated = data.explain().inputs[0].estimated if data.explain().inputs else data.explain().estimated
    server.reset_counts()
    assert data.to_arrow().equals(TABLE.filter(pc.field("group") == 3))
    counts = server.counts()
    assert (counts.bytes_read, counts.gets) == (estimated.bytes, estimated.requests)


def test_find_and_join_run_over_it(server: RangeServer) -> None:
    data = uri(server, "flat/*.parquet")
    found = esker.find(data, "id between 1500 and 2499").to_arrow()
    assert found.equals(TABLE.slice(1500, 1000))
    names = pa.table({"group": [1, 4], "name": ["one", "four"]})
    for algorithm in ("asj", "hash"):
        joined = esker.read(data).join(esker.from_arrow(names), on="group", algorithm=algorithm).to_arrow()
        expected = TABLE.join(names, "group", join_type="inner")
        assert (
            joined.sort_by("id")
            .select(["id", "text", "name"])
            .equals(expected.sort_by("id").select(["id", "text", "name"]).combine_chunks())
        )


def test_the_command_line_takes_a_uri(server: RangeServer) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from esker.cli.main import main; main()",
            "find",
            uri(server, "flat"),
            "id = 4711",
            "--format",
            "jsonl",
            "-o",
            "-",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert "text of row 4711 " in done.stdout


def test_freeze_reads_from_one_bucket_and_writes_to_another(server: RangeServer, tmp_path: Path) -> None:
    esker.freeze(
        uri(server, "flat"), tmp_path / "f.esker", keys="group", index=["id"], tier=server.uri("frozen-bucket/payload")
    )
    assert esker.find(tmp_path / "f.esker", "id = 4711").to_arrow().equals(TABLE.slice(4711, 1))


def test_an_object_that_changes_meanwhile_is_noticed(server: RangeServer) -> None:
    body = server.objects["lake/flat/part-0.parquet"].path.read_bytes()
    server.put("lake/changing/part.parquet", body)
    data = esker.read_parquet(uri(server, "changing/part.parquet"))
    server.put("lake/changing/part.parquet", body + b"x")
    with pytest.raises(InputFileError, match="changed since"):
        data.to_arrow()


def test_what_is_missing_is_named(server: RangeServer) -> None:
    with pytest.raises(InputFileError, match="lake/none"):
        esker.read_parquet(uri(server, "none"))
    with pytest.raises(InputFileError, match=r"no object matches s3://lake/none/\*"):
        esker.read_parquet(uri(server, "none/*"))
    with pytest.raises(InputFileError, match="looked for .parquet"):
        esker.read_parquet(uri(server, "other"))
    with pytest.raises(InputFileError, match="Hive"):
        esker.read_parquet(server.uri("lake"))
    with pytest.raises(OptionError, match="without its"):
        esker.read_parquet(uri(server, "[abc"))
    server.objects.pop("lake/gone/part.parquet", None)
    server.put("lake/gone/part.parquet", server.objects["lake/flat/part-0.parquet"].path.read_bytes())
    data = esker.read_parquet(uri(server, "gone"))
    server.objects.pop("lake/gone/part.parquet")
    with pytest.raises((TierError, InputFileError), match="gone/part.parquet"):
        data.to_arrow()


def test_a_damaged_object_is_named(server: RangeServer) -> None:
    server.put("lake/bad/part.parquet", b"PAR1 this is not Parquet PAR1")
    with pytest.raises(InputFileError, match=r"s3://lake/bad/part\.parquet"):
        esker.read_parquet(uri(server, "bad"))


@pytest.mark.parametrize(
    ("where", "remote"),
    [
        ("s3://b/k", True),
        (Path("s3://b/k"), True),
        ("a/s3:/b", False),
        ("disk:/a", False),
        ("C:/a", False),
        ("a", False),
    ],
)
def test_uris_are_told_from_paths(where: str | Path, remote: bool) -> None:
    assert is_remote(where) == remote
