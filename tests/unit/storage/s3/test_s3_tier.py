"""The s3 tier against a real server: few requests, all of the bytes, and a clear word when it fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esker
from esker.core.checksum import checksum_bytes
from esker.core.clock import VirtualClock
from esker.core.extent import ByteRange
from esker.errors import MissingExtraError, OptionError, OutputExistsError, TierError, TierUnavailableError
from esker.storage import ReadRequest, open_tier
from esker.storage.s3.place import PLACE_OPTIONS, parse_place, place_device
from esker.storage.s3.retry import Retry
from esker.storage.tiers.s3 import S3Tier
from esker.testing.range_server import Fault, RangeServer, ServedRequest

DATA = bytes(range(256)) * 4000


@pytest.fixture(scope="module")
def server() -> Iterator[RangeServer]:
    with RangeServer() as running:
        running.put("bucket/data", DATA)
        yield running


def small_parts(server: RangeServer, place: str = "bucket", clock: Any = None, **options: object) -> S3Tier:
    """A tier with parts of 1,000 bytes, whose device reads 100 bytes in the time of a request."""
    words = {"bytes_per_second": "100", "request_seconds": "1", "concurrency": "1", **options}
    scheme, _, rest = server.uri(place, **words).partition(":")
    where, _, text = rest.partition("?")
    given_options = dict(word.split("=", 1) for word in text.split("&"))
    parsed = parse_place(scheme, where, given_options)
    clock = clock or VirtualClock()
    return S3Tier(
        f"s3://{place}",
        parsed,
        place_device(given_options, "s3-standard"),
        clock=clock,
        part_bytes=1000,
        single_bytes=2000,
        retry=Retry(4, clock=clock, seed=1),
    )


def failing(server: RangeServer, fault: Callable[[ServedRequest], Fault | None]) -> Any:
    class Failing:
        def __enter__(self) -> None:
            server.fault = fault

        def __exit__(self, *_: object) -> None:
            server.fault = None

    return Failing()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 3000)), max_size=12),
    st.integers(1, 5),
)
def test_the_store_counts_what_was_estimated(
    server: RangeServer, wanted: list[tuple[int, int]], concurrency: int
) -> None:
    tier = small_parts(server, concurrency=concurrency)
    asked = [ReadRequest("data", ByteRange(start, start + length)) for start, length in wanted]
    estimated = tier.estimate(asked)
    server.reset_counts()
    served = sorted((request, bytes(data)) for request, data in tier.fetch(asked))
    assert served == sorted((request, DATA[request.range.start : request.range.stop]) for request in asked)
    counts = server.counts()
    assert (counts.bytes_read, counts.gets) == (estimated.bytes, estimated.requests)
    assert (tier.counted.bytes, tier.counted.requests) == (estimated.bytes, estimated.requests)


def test_ranges_nearer_than_a_request_costs_are_read_together(server: RangeServer) -> None:
    tier = small_parts(server)
    near = [ReadRequest("data", ByteRange(0, 10)), ReadRequest("data", ByteRange(110, 120))]
    far = [ReadRequest("data", ByteRange(0, 10)), ReadRequest("data", ByteRange(111, 121))]
    assert (tier.estimate(near).requests, tier.estimate(near).bytes) == (1, 120)
    assert (tier.estimate(far).requests, tier.estimate(far).bytes) == (2, 20)


def test_a_gap_pays_less_when_requests_run_side_by_side(server: RangeServer) -> None:
    near = [ReadRequest("data", ByteRange(0, 10)), ReadRequest("data", ByteRange(110, 120))]
    assert small_parts(server, concurrency=2).estimate(near).requests == 2


def test_requests_of_a_fetch_are_under_way_together(server: RangeServer) -> None:
    meeting = threading.Barrier(4, timeout=60)

    def wait_for_others(asked: ServedRequest) -> Fault | None:
        meeting.wait()
        return None

    starts = range(0, 80_000, 10_000)
    with failing(server, wait_for_others):
        parts = small_parts(server, concurrency=4).read("data", [ByteRange(start, start + 10) for start in starts])
    assert [bytes(part) for part in parts] == [DATA[start : start + 10] for start in starts]


def test_a_server_that_fails_now_and_then_is_asked_again(server: RangeServer) -> None:
    clock = VirtualClock()
    tier = small_parts(server, clock=clock)
    answers = iter([Fault(503, "SlowDown"), Fault(500), Fault(sent_bytes=10)])
    with failing(server, lambda asked: next(answers, None)):
        assert bytes(tier.read("data", [ByteRange(5, 505)])[0]) == DATA[5:505]
    # Half to all of 0.1, 0.2 and 0.4 s.
    assert 0.35 <= clock.seconds() <= 0.7


def test_a_server_that_always_fails_is_given_up_and_the_object_named(server: RangeServer) -> None:
    asked = 0

    def refuse(request: ServedRequest) -> Fault:
        nonlocal asked
        asked += 1
        return Fault(503, "SlowDown")

    tier = small_parts(server)
    with failing(server, refuse):
        with pytest.raises(TierUnavailableError, match=r"'data' of s3://bucket: gave up after 4 tries.*503") as caught:
            tier.read("data", [ByteRange(0, 10)])
    assert asked == 4
    assert caught.value.temporary


def test_what_cannot_be_helped_is_not_tried_again(server: RangeServer) -> None:
    tier = small_parts(server)
    server.reset_counts()
    with failing(server, lambda request: Fault(403, "AccessDenied")):
        with pytest.raises(TierError, match="permission denied"):
            tier.read("data", [ByteRange(0, 10)])
    assert server.counts().faults == 1


def test_an_archived_object_is_no_permission_problem(server: RangeServer) -> None:
    with failing(server, lambda request: Fault(403, "InvalidObjectState")):
        with pytest.raises(esker.errors.NotThawedError, match="archived"):
            small_parts(server).read("data", [ByteRange(0, 10)])


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with RangeServer() as gone:
        tier = small_parts(gone)
    with pytest.raises(TierUnavailableError, match="gave up"):
        tier.read("data", [ByteRange(0, 10)])


@pytest.mark.parametrize("size", [0, 1, 2000, 2001, 7777])
def test_big_objects_are_written_in_parts(server: RangeServer, size: int, tmp_path: Path) -> None:
    tier = small_parts(server, f"bucket/write-{size}")
    (tmp_path / "source").write_bytes(DATA[:size])
    server.reset_counts()
    stored = tier.write("from-file", tmp_path / "source")
    assert (stored.bytes, stored.checksum) == (size, checksum_bytes(DATA[:size]))
    assert server.counts().puts == (1 if size <= 2000 else -(-size // 1000))
    tier.write("from-bytes", DATA[:size])
    for key in ("from-file", "from-bytes"):
        assert bytes(tier.read(key, [ByteRange(0, size)])[0]) == DATA[:size]
    assert server.uploads == {}


def test_a_lost_answer_does_not_make_our_object_somebody_else_s(server: RangeServer) -> None:
    tier = small_parts(server, "bucket/lost")
    failed = False

    def lose(request: ServedRequest) -> Fault | None:
        nonlocal failed
        if request.method != "PUT" or failed:
            return None
        failed = True
        # The object arrives, the answer does not.
        server.put("bucket/lost/part", b"content")
        return Fault(500)

    with failing(server, lose):
        assert tier.write("part", b"content").bytes == 7
    failed = False
    with failing(server, lose):
        with pytest.raises(OutputExistsError):
            tier.write("part", b"another")


def test_an_object_that_arrives_otherwise_is_removed(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    tier = small_parts(server, "bucket/damaged")
    original = RangeServer.store
    monkeypatch.setattr(
        RangeServer, "store", lambda self, key, chunks, headers: original(self, key, [b"other"], headers)
    )
    with pytest.raises(TierError, match="BadDigest"):
        tier.write("part", b"bytes")
    assert [*tier.list()] == []


def test_parts_of_an_upload_that_fails_are_given_back(server: RangeServer) -> None:
    tier = small_parts(server, "bucket/half")
    refused = iter([False, False, False] + [True] * 100)
    with failing(server, lambda asked: Fault(503) if asked.method == "PUT" and next(refused) else None):
        with pytest.raises(TierUnavailableError, match="'big'"):
            tier.write("big", DATA[:9000])
    assert server.uploads == {}
    assert [*tier.list()] == []


def test_a_list_goes_on_page_after_page(server: RangeServer) -> None:
    for number in range(2300):
        server.put(f"bucket/many/{number:05}", b"")
    assert [stored.key for stored in small_parts(server, "bucket/many").list()] == [f"{n:05}" for n in range(2300)]


def test_without_credentials_it_is_said_where_they_are_looked_for(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    tier = open_tier(server.uri("bucket").replace("&anonymous=true", ""))
    with pytest.raises(TierError, match="AWS_ACCESS_KEY_ID"):
        tier.read("data", [ByteRange(0, 1)])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "one")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "two")
    assert bytes(open_tier(tier.uri).read("data", [ByteRange(0, 3)])[0]) == DATA[:3]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    (tmp_path / "credentials").write_text("[archive]\naws_access_key_id = a\naws_secret_access_key = b\n")
    by_profile = open_tier(tier.uri + "&profile=archive")
    assert bytes(by_profile.read("data", [ByteRange(0, 3)])[0]) == DATA[:3]
    with pytest.raises(OptionError, match="no such profile"):
        open_tier(tier.uri + "&profile=nobody").read("data", [ByteRange(0, 1)])


def test_an_endpoint_of_the_environment_is_used(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    tier = open_tier("s3://bucket?region=us-east-1&anonymous=true&allow_http=true")
    assert bytes(tier.read("data", [ByteRange(0, 3)])[0]) == DATA[:3]


@pytest.mark.parametrize("module", ["boto3", "obstore.store"])
def test_a_missing_package_names_the_extra(server: RangeServer, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"esker\[s3\]"):
        open_tier(server.uri(f"without-{module}")).read("data", [ByteRange(0, 1)])


@pytest.mark.parametrize(
    ("uri", "word"),
    [
        ("s3:bucket", "s3://bucket/prefix"),
        ("s3://", "needs a bucket"),
        ("s3://b!/a", "needs a bucket"),
        ("s3://bucket/../a", "prefix"),
        ("s3://bucket?endpoint=host", "not a URL"),
        ("s3://bucket?endpoint=http://host", "allow_http"),
        ("s3://bucket?allow_http=yes", "true nor false"),
        ("s3://bucket?request_seconds=soon", "request_seconds"),
        ("s3://bucket?concurrency=0", "concurrency"),
    ],
)
def test_a_place_that_cannot_be_read_is_refused(uri: str, word: str) -> None:
    with pytest.raises(OptionError, match=word):
        open_tier(uri)


def test_an_opened_tier_imports_nothing_heavy() -> None:
    import subprocess

    code = "import sys, esker; esker.open_tier('s3://archive'); assert not {'boto3', 'obstore'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_frozen_data_set_lives_in_a_bucket(server: RangeServer, tmp_path: Path) -> None:
    rows = 20_000
    table = pa.table(
        {
            "key": pa.array(np.arange(rows) // 100),
            "payload": [f"row {number} {'x' * 90}" for number in range(rows)],
        }
    )
    uri = server.uri("bucket/frozen", bytes_per_second="50MB", request_seconds="0.001")
    esker.freeze(
        table, tmp_path / "data.esker", keys="key", index=["key"], tier=uri, extent_rows=5000, row_group_rows=500
    )
    server.reset_counts()
    found = esker.find(tmp_path / "data.esker", "key = 77")
    explained = found.explain()
    assert found.to_arrow()["payload"].to_pylist() == table["payload"].to_pylist()[7700:7800]
    counts = server.counts()
    assert (counts.bytes_read, counts.gets) == (explained.estimated.bytes, explained.estimated.requests)
    keys = pa.table({"key": [3, 77, 150], "name": ["a", "b", "c"]})
    joined = esker.read(tmp_path / "data.esker").join(esker.from_arrow(keys), on="key", algorithm="asj").to_arrow()
    assert joined.num_rows == 300
    assert set(joined["payload"].to_pylist()) == {
        text for key in (3, 77, 150) for text in table["payload"].to_pylist()[key * 100 : key * 100 + 100]
    }


def test_place_options_are_all_carried_by_the_uri() -> None:
    values = {
        "endpoint": "https://host:9000",
        "region": "eu-north-1",
        "allow_http": "true",
        "anonymous": "false",
        "profile": "archive",
        "device": "s3-standard",
        "bytes_per_second": "50MB",
        "request_seconds": "0.02",
        "concurrency": "4",
        "retries": "2",
    }
    assert set(values) == set(PLACE_OPTIONS)
    uri = "s3://bucket/prefix?" + "&".join(f"{name}={value}" for name, value in values.items())
    tier = open_tier(uri)
    assert tier.uri == uri
    assert (tier.device.bytes_per_second, tier.device.request_seconds, tier.device.concurrency) == (50e6, 0.02, 4)
