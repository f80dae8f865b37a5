"""What every tier owes, parametrised from the family's table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers import ministack, range_server, recall

from esker.core.checksum import checksum_bytes
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange
from esker.errors import InputError, InputFileError, OptionError, OutputExistsError, TierError
from esker.storage import TIERS, Capability, ReadRequest, Tier, open_tier

every_tier = pytest.mark.parametrize("name", list(TIERS))

_numbers = count()


@contextmanager
def opened(name: str) -> Iterator[Tier]:
    """A new, empty tier of the family."""
    if name in _SERVERS:
        yield open_tier(_SERVERS[name]().uri(f"contract/{next(_numbers)}"))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = f"contract-{next(_numbers)}" if name == "memory" else f"{folder}/tier"
        yield open_tier(f"{name}:{place}")


_SERVERS = {"glacier": ministack, "s3": range_server}


@st.composite
def objects(draw: st.DrawFn) -> dict[str, bytes]:
    keys = draw(st.lists(st.sampled_from(["a", "b/c", "b/d", "b/cd", "e/f/g"]), min_size=1, unique=True))
    return {key: draw(st.binary(max_size=40)) for key in keys}


@st.composite
def requests(draw: st.DrawFn, stored: dict[str, bytes]) -> list[ReadRequest]:
    asked = []
    for key in draw(st.lists(st.sampled_from(sorted(stored)), max_size=8)):
        first, second = sorted(draw(st.tuples(*[st.integers(0, len(stored[key]))] * 2)))
        asked.append(ReadRequest(key, ByteRange(first, second)))
    return asked


@every_tier
def test_a_tier_declares_its_facts(name: str) -> None:
    with opened(name) as tier:
        assert isinstance(tier.capability, Capability)
        assert isinstance(tier.device, DeviceProfile)
        assert tier.uri.startswith(f"{name}:")


@every_tier
@settings(max_examples=25)
@given(data=st.data())
def test_ranges_come_back_as_they_were_written(name: str, data: st.DataObject) -> None:
    stored = data.draw(objects())
    asked = data.draw(requests(stored))
    with opened(name) as tier:
        for key, content in stored.items():
            written = tier.write(key, content)
            assert (written.key, written.bytes) == (key, len(content))
            assert written.checksum == checksum_bytes(content)
        recall(tier)
        for key, part in asked:
            assert [bytes(found) for found in tier.read(key, [part])] == [stored[key][part.start : part.stop]]
        served = [(request, bytes(found)) for request, found in tier.fetch(asked)]
        assert sorted(served) == sorted((each, stored[each.key][each.range.start : each.range.stop]) for each in asked)


@every_tier
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_estimated_is_counted(name: str, data: st.DataObject) -> None:
    stored = data.draw(objects())
    asked = data.draw(requests(stored))
    with opened(name) as tier:
        for key, content in stored.items():
            tier.write(key, content)
        recall(tier)
        before = tier.counted
        estimated = tier.estimate(asked)
        assert tier.counted == before
        assert sorted(tier.order(asked)) == sorted(asked)
        assert len([*tier.fetch(asked)]) == len(asked)
        counted = tier.counted.since(before)
        assert (counted.bytes, counted.requests) == (estimated.bytes, estimated.requests)
        assert counted.mounts == estimated.mounts


@every_tier
def test_a_file_is_stored_as_its_bytes_are(name: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "source").write_bytes(content)
    with opened(name) as tier:
        assert tier.write("file", tmp_path / "source").checksum == tier.write("bytes", content).checksum
        recall(tier)
        assert bytes(tier.read("file", [ByteRange(0, len(content))])[0]) == content


@every_tier
def test_a_missing_source_file_is_named_and_nothing_is_stored(name: str, tmp_path: Path) -> None:
    with opened(name) as tier:
        with pytest.raises(InputFileError, match="nowhere"):
            tier.write("key", tmp_path / "nowhere")
        assert [*tier.list()] == []


@every_tier
def test_an_object_is_never_overwritten(name: str) -> None:
    with opened(name) as tier:
        tier.write("part", b"first")
        with pytest.raises(OutputExistsError, match="part"):
            tier.write("part", b"second")
        recall(tier)
        assert bytes(tier.read("part", [ByteRange(0, 5)])[0]) == b"first"


@every_tier
def test_a_missing_key_is_named(name: str) -> None:
    with opened(name) as tier:
        with pytest.raises(TierError, match=r"sales/part-7"):
            tier.read("sales/part-7", [ByteRange(0, 1)])
        tier.write("other", b"x")
        with pytest.raises(TierError, match=r"sales/part-7"):
            tier.read("sales/part-7", [ByteRange(0, 1)])


@every_tier
@pytest.mark.parametrize("part", [ByteRange(0, 6), ByteRange(5, 6), ByteRange(-1, 2), ByteRange(3, 2)])
def test_a_range_outside_the_object_is_refused(name: str, part: ByteRange) -> None:
    with opened(name) as tier:
        tier.write("part", b"12345")
        recall(tier)
        with pytest.raises(TierError, match="5 bytes"):
            tier.read("part", [part])


@every_tier
@pytest.mark.parametrize("key", ["../out", "a/../../out", "/etc/passwd", "", ".", "a//b", "a\0b", "a\\b"])
def test_a_key_cannot_lead_elsewhere(name: str, key: str) -> None:
    with opened(name) as tier:
        for act in (lambda: tier.write(key, b"x"), lambda: tier.read(key, [ByteRange(0, 1)])):
            with pytest.raises(InputError, match="cannot be a key"):
                act()


@every_tier
def test_a_list_is_sorted_and_has_the_prefix(name: str) -> None:
    with opened(name) as tier:
        assert [*tier.list()] == []
        for key in ("b/2", "a/1", "b/1", "b2", "B/1", "b%"):
            tier.write(key, key.encode())
        assert [stored.key for stored in tier.list()] == ["B/1", "a/1", "b%", "b/1", "b/2", "b2"]
        assert [(stored.key, stored.bytes) for stored in tier.list("b/")] == [("b/1", 3), ("b/2", 3)]
        assert [stored.key for stored in tier.list("b")] == ["b%", "b/1", "b/2", "b2"]


@every_tier
def test_a_deleted_object_is_gone_and_its_key_is_free(name: str) -> None:
    with opened(name) as tier:
        tier.delete("a/b")
        tier.write("a/b", b"old")
        tier.delete("a/b")
        with pytest.raises(TierError):
            tier.read("a/b", [ByteRange(0, 1)])
        tier.write("a/b", b"newer")
        recall(tier)
        assert bytes(tier.read("a/b", [ByteRange(0, 5)])[0]) == b"newer"


@every_tier
def test_a_tier_is_opened_again_by_its_uri(name: str) -> None:
    with opened(name) as tier:
        tier.write("a/b", b"kept")
        recall(tier)
        again = open_tier(tier.uri)
        assert again.uri == tier.uri
        assert bytes(again.read("a/b", [ByteRange(0, 4)])[0]) == b"kept"


@every_tier
def test_an_unknown_option_is_named(name: str) -> None:
    with pytest.raises(OptionError, match="colour"):
        open_tier(f"{name}:{'//bucket' if name in _SERVERS else '/tmp'}/none?colour=blue")


@pytest.mark.parametrize("uri", ["disk:", "disk:/a?device", "disk:/a?device=hdd&device=hdd", "disk:/a?device="])
def test_a_uri_that_cannot_be_read_is_refused(uri: str) -> None:
    with pytest.raises(OptionError, match="tier="):
        open_tier(uri)
