"""Bags of objects in a real S3 server: what they give is what the same bytes give as local files."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import esker
from esker.collection.bag.bag import Bag
from esker.errors import InputFileError
from tests.servers import Ministack, ministack

POEM = "".join(f"{number}: Tyger Tyger – brennend hell, 虎よ虎よ 🐅\r\n" for number in range(400)).encode()
VALUES = "".join(json.dumps({"n": n, "text": "ü" * (n % 7)}, ensure_ascii=False) + "\n" for n in range(500)).encode()


def _rows(begin: int, end: int) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["n", "says"])
    writer.writerows([n, f'"{n}",\nline two' if n % 3 else "plain"] for n in range(begin, end))
    return text.getvalue().encode()


OBJECTS = {
    "texts/a.txt": POEM,
    "texts/b.txt": b"",
    "texts/c.txt": b"no end",
    "texts/c.log": b"not of the glob\n",
    "texts/deep/d.txt": b"not of the folder\n",
    "packed/a.txt.gz": gzip.compress(POEM),
    "packed/b.txt.bz2": bz2.compress(b"second\n"),
    "values/2024/a.json": VALUES,
    "values/2025/b.json": b'{"n": 500}\n\n[1]\n',
    "tables/a.csv": _rows(0, 300),
    "tables/b.csv": _rows(300, 310),
    "records/a.bin": bytes(range(256)) * 4,
}


@pytest.fixture(scope="module")
def server() -> Ministack:
    found = ministack()
    client = found.client()
    client.create_bucket(Bucket="bags")
    for key, data in OBJECTS.items():
        client.put_object(Bucket="bags", Key=key, Body=data)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objects")
    for key, data in OBJECTS.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def uri(server: Ministack, place: str) -> str:
    return server.uri(f"bags/{place}").replace("glacier://", "s3://", 1)


@pytest.mark.parametrize("runtime", ["inline", "processes"])
@pytest.mark.parametrize(
    ("place", "read"),
    [
        ("texts/a.txt", lambda where: esker.read_text(where, partitions=7)),
        ("texts/*.txt", lambda where: esker.read_text(where, partition_bytes=4000)),
        ("texts/[a-c].[tl]*", lambda where: esker.read_text(where, partitions=3)),
        ("texts/deep", esker.read_text),
        ("packed/*", esker.read_text),
        ("values/*/*.json", lambda where: esker.read_json(where, partitions=5)),
        ("values/2024/a.json", lambda where: esker.read_json(where, partitions=9)),
        ("tables/*.csv", lambda where: esker.read_csv_rows(where, partitions=6)),
        ("tables/a.csv", lambda where: esker.read_csv_rows(where, partitions=4, header=False)),
        ("records/a.bin", lambda where: esker.read_binary(where, record_bytes=32, partitions=3)),
    ],
)
def test_objects_give_what_local_files_give(
    server: Ministack, folder: Path, place: str, read: Callable[[str], Bag], runtime: str
) -> None:
    found = read(uri(server, place)).with_options(runtime=runtime, workers=2)
    expected = read(str(folder / place)).with_options(runtime="inline")
    parts = found.glom().collect()
    assert parts == expected.glom().collect()
    assert any(parts)


def test_a_list_may_mix_objects_and_files(server: Ministack, folder: Path) -> None:
    places = [uri(server, "texts/c.txt"), str(folder / "texts/c.log"), uri(server, "texts/deep/*")]
    assert esker.read_text(places).collect() == ["no end", "not of the glob", "not of the folder"]


def test_a_prefix_names_all_objects_below_it(server: Ministack) -> None:
    lines = esker.read_text(uri(server, "texts")).collect()
    assert lines[-3:] == ["not of the glob", "no end", "not of the folder"]
    assert len(lines) == 400 + 3


def test_only_the_ranges_that_are_asked_for_are_fetched(server: Ministack) -> None:
    before = len(server.requests("bags/texts/a.txt"))
    bag = esker.read_text(uri(server, "texts/a.txt"), partitions=4).with_options(runtime="inline")
    assert bag.take(2) == [line.rstrip("\r") for line in POEM.decode().split("\n")[:2]]
    fetched = [request for request in server.requests("bags/texts/a.txt")[before:] if request[0] == "GET"]
    assert len(fetched) <= 2


def test_nothing_that_matches_is_named(server: Ministack) -> None:
    for place in ("texts/none*.txt", "nowhere", "texts/none.txt"):
        with pytest.raises(InputFileError, match="none|nowhere"):
            esker.read_text(uri(server, place))


def test_an_object_that_changed_since_the_bag_was_made_is_refused(server: Ministack) -> None:
    client: Any = server.client()
    client.put_object(Bucket="bags", Key="changing/a.json", Body=b"1\n2\n")
    bag = esker.read_json(uri(server, "changing/a.json")).with_options(runtime="inline")
    assert bag.collect() == [1, 2]
    client.put_object(Bucket="bags", Key="changing/a.json", Body=b"3\n4\n")
    with pytest.raises(InputFileError, match="changed since the Bag was made"):
        bag.collect()
