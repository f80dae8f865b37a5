"""The log file: what was synced stays, what was torn goes, what was damaged is an error."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esker.cluster import records as kinds
from esker.cluster.log_file import MAGIC, LogFile, frame, scan
from esker.cluster.messages import UnitCopy, UnitWrite
from esker.cluster.records import Record, decode, encode
from esker.errors import LockedError, LogCorruptError

GOLDEN = Path(__file__).parents[2] / "golden" / "cluster-log-1.log"

# Syncs of a disk that others use take long; what is tested is what is in the file.
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None

NUMBERS = st.integers(-(2**63), 2**63 - 1)
DIGESTS = st.integers(0, 2**64 - 1)
TEXTS = st.text(max_size=8)
VALUES = st.binary(max_size=12)


def many(item: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(item, max_size=3).map(tuple)


WRITES = many(st.builds(UnitWrite, TEXTS, NUMBERS, DIGESTS, st.booleans(), many(st.tuples(NUMBERS, VALUES))))
COPIES = st.builds(UnitCopy, TEXTS, NUMBERS, DIGESTS, many(st.tuples(NUMBERS, NUMBERS, VALUES)))
RECORDS = st.one_of(
    st.builds(kinds.Prepared, NUMBERS, many(NUMBERS), WRITES),
    st.builds(kinds.Ended, NUMBERS, st.booleans()),
    st.builds(kinds.Kept, many(COPIES)),
    st.builds(kinds.Partial, COPIES, many(st.tuples(NUMBERS, NUMBERS))),
    st.builds(kinds.Gone, many(TEXTS)),
    st.builds(kinds.Seen, NUMBERS),
    st.builds(kinds.Born, NUMBERS),
    st.builds(kinds.Members, NUMBERS, many(NUMBERS)),
    st.builds(kinds.Decided, NUMBERS, NUMBERS, NUMBERS, many(NUMBERS), many(st.tuples(TEXTS, DIGESTS))),
    st.builds(kinds.Settled, NUMBERS),
    st.builds(kinds.Catalogue, many(st.tuples(TEXTS, NUMBERS, DIGESTS)), many(st.tuples(NUMBERS, NUMBERS))),
)

# One of each kind, as the golden file has them.
EACH: list[Record] = [
    kinds.Members(3, (0, 1, 2)),
    kinds.Decided((3 << 32) + 1, -2, 7, (0, 2), (("census/0", 2**64 - 1),)),
    kinds.Settled((3 << 32) + 1),
    kinds.Catalogue((("census/0", (3 << 32) + 1, 5),), ((-2, 7),)),
    kinds.Born(1),
    kinds.Seen(3),
    kinds.Prepared((3 << 32) + 1, (0, 2), (UnitWrite("census/0", 0, 0, False, ((4, b"\x01\x02"), (5, b""))),)),
    kinds.Ended((3 << 32) + 1, True),
    kinds.Kept((UnitCopy("census/1", 9, 11, ((4, 9, b"\xff"),)),)),
    kinds.Partial(UnitCopy("census/2", 12, 13, ((4, 12, b"\xfe"),)), ((9, 12),)),
    kinds.Gone(("census/1", "é")),
]


@given(RECORDS)
def test_a_record_comes_back_from_its_bytes(record: Record) -> None:
    assert decode(encode(record)) == record


@given(RECORDS, st.data())
def test_damaged_bytes_are_another_record_or_an_error(record: Record, data: st.DataObject) -> None:
    damaged = bytearray(encode(record))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(damaged[: data.draw(st.integers(1, len(damaged)))])
    try:
        found = decode(cut)
    except LogCorruptError:
        return
    assert encode(found) == cut


@settings(max_examples=30)
@given(st.lists(RECORDS, max_size=6), st.lists(RECORDS, min_size=1, max_size=6), st.data())
def test_what_was_synced_survives_any_tear(synced: list[Record], loose: list[Record], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        path = Path(folder) / "node.log"
        with LogFile(path) as log:
            for record in synced:
                log.append(record)
            log.sync()
            durable = path.stat().st_size
            for record in loose:
                log.append(record)
            log.sync()
        whole = bytearray(path.read_bytes())
        # A crash before the second sync: its bytes are there in part, and some of them are not what was written.
        torn = whole[: data.draw(st.integers(durable, len(whole)))]
        for _ in range(data.draw(st.integers(0, 2))):
            if len(torn) > durable:
                torn[data.draw(st.integers(durable, len(torn) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(torn)
        with LogFile(path) as log:
            found = log.records()
            assert found[: len(synced)] == synced
            assert found == (synced + loose)[: len(found)]
            log.append(kinds.Seen(1))
            log.sync()
        with LogFile(path) as log:
            assert log.records() == [*found, kinds.Seen(1)]


def test_damage_to_what_was_synced_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    with LogFile(path) as log:
        for epoch in range(3):
            log.append(kinds.Seen(epoch))
            log.sync()
    data = bytearray(path.read_bytes())
    data[len(MAGIC) + 20] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogCorruptError, match=r"node\.log is damaged at byte 8, among records that were durable"):
        LogFile(path)


def test_what_is_not_a_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    path.write_bytes(b"ESKLOG99")
    with pytest.raises(LogCorruptError, match="no log of this version"):
        LogFile(path)


def test_what_was_not_synced_is_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    with LogFile(path) as log:
        log.append(kinds.Seen(1))
        assert log.bytes > path.stat().st_size == len(MAGIC)


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    with LogFile(path):
        with pytest.raises(LockedError, match="another process"):
            LogFile(path)


def test_a_replaced_log_is_short_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    with LogFile(path) as log:
        for epoch in range(100):
            log.append(kinds.Seen(epoch))
        log.sync()
        before = log.bytes
        log.replace([kinds.Seen(99)])
        assert log.bytes < before / 20
        log.append(kinds.Gone(("a",)))
        log.sync()
        with pytest.raises(LockedError):
            LogFile(path)
    with LogFile(path) as log:
        assert log.records() == [kinds.Seen(99), kinds.Gone(("a",))]
    assert [entry.name for entry in tmp_path.iterdir()] == ["node.log"]


def test_the_golden_log_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "cluster-log-1.log"
    path.write_bytes(GOLDEN.read_bytes())
    with LogFile(path) as log:
        assert log.records() == EACH


def test_the_same_records_still_have_the_golden_bytes(tmp_path: Path) -> None:
    with LogFile(tmp_path / "new.log") as log:
        for record in EACH:
            log.append(record)
        log.sync()
    assert (tmp_path / "new.log").read_bytes() == GOLDEN.read_bytes()


def test_a_length_beyond_the_file_is_a_torn_end() -> None:
    data = frame(b"one") + (2**31).to_bytes(4, "little") + b"x" * 30
    frames, end = scan(data)
    assert ([one.payload for one in frames], end) == ([b"one"], len(frame(b"one")))
