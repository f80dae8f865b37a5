from __future__ import annotations

import dataclasses
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from esker.bitmap import Bitmap
from esker.core.context import QueryContext
from esker.core.seeded import generator
from esker.errors import BitmapCorruptError, CancelledError, UnknownColumnError
from esker.expression import And, Column, Compare, InList, IsNull, Literal, Not, Or, bind, parse
from esker.index import Bins, Equality, Index, SegmentInfo, build_index
from esker.index.segment_file import BLOCK_VECTORS, FOOTER, MAGIC, Block, Entry, Meta, write_segment

GOLDEN = Path(__file__).parents[2] / "golden"
# Never regenerated: bytes that differ are a new version of the format.
GOLDEN_INFOS = [
    SegmentInfo("index-1-equality.seg", "carrier", "equality", 1104, "crc32:f6a71346", {}),
    SegmentInfo("index-1-bins.seg", "day", "bins", 1072, "crc32:55a1509a", {}),
]
GOLDEN_INFOS_2 = [
    SegmentInfo("index-2-equality.seg", "carrier", "equality", 2504, "crc32:209b3632", {}),
    SegmentInfo("index-2-bit-sliced.seg", "delay", "bit_sliced", 2656, "crc32:9e762240", {}),
    SegmentInfo("index-2-range.seg", "level", "range", 2440, "crc32:3948f386", {}),
    SegmentInfo("index-2-interval.seg", "stop", "interval", 2448, "crc32:7dbfc3e4", {}),
    SegmentInfo("index-2-bins.seg", "price", "bins", 2456, "crc32:c9ffa7c3", {}),
    SegmentInfo("index-2-time-quantum.seg", "time", "time_quantum", 2952, "crc32:54f45568", {}),
]


@pytest.fixture
def flights(tmp_path):
    chance = generator(9)
    count = 20_000
    batch = pa.RecordBatch.from_pydict(
        {
            "month": pa.array([row * 12 // count + 1 for row in range(count)], pa.int8()),
            "carrier": pa.array(chance.choice(["AA", "B6", "DL", "UA"], count)),
            "delay": pa.array(chance.normal(10, 40, count)),
        }
    )
    specs = {"month": Equality(), "carrier": Equality(), "delay": Bins([0, 15, 60, 120])}
    with QueryContext() as context:
        infos = build_index([batch], count, specs, tmp_path, context=context)
    return tmp_path, infos


def month(*numbers):
    return InList(Column("month"), tuple(Literal(pa.scalar(number, pa.int8())) for number in numbers))


def test_opening_reads_directories_and_a_question_reads_the_vectors_it_names(flights):
    folder, infos = flights
    with Index.open(folder, infos, 20_000) as index:
        assert index.statistics()["vectors_read"] == 0
        assert index.statistics()["vectors"] == (2 + 12) + (2 + 4) + (2 + 5)
        answer = index.evaluate(month(6, 7))
        assert (answer.vectors_read, answer.exact) == (2, True)
        assert answer.bytes_read == index.statistics()["bytes_read"] < 100
        carrier = Compare("=", Column("carrier"), Literal(pa.scalar("AA")))
        assert index.evaluate(And((month(6, 7), carrier))).vectors_read == 3
        assert index.statistics()["vectors_read"] == 5
        assert index.statistics()["bytes"] == sum((folder / info.file).stat().st_size for info in infos)


def test_the_smaller_side_of_a_question_is_read(flights):
    folder, infos = flights
    with Index.open(folder, infos) as index:
        assert index.evaluate(Not(month(6))).vectors_read == 1
        assert index.evaluate(Not(IsNull(Column("month")))).vectors_read == 0
        assert len(index.evaluate(Not(month(6))).rows) == 20_000 - len(index.evaluate(month(6)).rows)


def test_nothing_more_is_read_once_no_row_is_left(flights):
    folder, infos = flights
    late = Compare(">", Column("delay"), Literal(pa.scalar(30.0)))
    with Index.open(folder, infos) as index:
        answer = index.evaluate(And((late, month(13))))
    assert (answer.vectors_read, len(answer.rows), answer.exact) == (0, 0, True)
    assert any("not read" in line for line in answer.trace)


def test_nothing_more_is_read_once_every_row_is_in(flights):
    folder, infos = flights
    late = Compare(">", Column("delay"), Literal(pa.scalar(30.0)))
    with Index.open(folder, infos) as index:
        answer = index.evaluate(Or((Not(month(13)), late)))
    assert (answer.vectors_read, len(answer.rows), answer.exact) == (0, 20_000, True)


def test_a_vector_asked_for_twice_is_read_once(flights):
    folder, infos = flights
    late = Compare(">", Column("delay"), Literal(pa.scalar(30.0)))
    june = month(6)
    with Index.open(folder, infos) as index:
        once = index.evaluate(Or((june, late))).vectors_read
        assert index.evaluate(And((Or((june, late)), Or((june, IsNull(Column("tail"))))))).vectors_read == once


def test_a_column_without_an_index_is_left_to_the_check(flights):
    folder, infos = flights
    other = IsNull(Column("tail"))
    with Index.open(folder, infos) as index:
        answer = index.evaluate(And((other, month(6))))
        assert answer.residual == other
        assert len(answer.rows) == len(index.evaluate(month(6)).rows)
        alone = index.evaluate(other)
        assert (len(alone.rows), alone.residual, alone.vectors_read) == (20_000, other, 0)
        with pytest.raises(UnknownColumnError):
            index.segment("tail")


def test_an_index_of_another_row_count_is_refused(flights):
    folder, infos = flights
    with pytest.raises(BitmapCorruptError, match="has 20000 rows, the data 7"):
        Index.open(folder, infos, 7)
    with pytest.raises(BitmapCorruptError, match="another segment"):
        Index.open(folder, [infos[0], infos[0]])


@pytest.mark.parametrize("number", range(3))
def test_every_damaged_byte_is_noticed_by_validate_and_none_goes_into_an_answer(flights, number):
    folder, infos = flights
    info = infos[number]
    path = folder / info.file
    whole = path.read_bytes()
    predicate = Not(IsNull(Column(info.column))) if number else month(1, 2, 3, 4, 5, 6, 7, 8)
    with Index.open(folder, infos) as index:
        expected = index.evaluate(predicate).rows
    for place in sorted({*range(0, len(whole), 1 + len(whole) // 120), *range(len(whole) - FOOTER.size, len(whole))}):
        damaged = bytearray(whole)
        damaged[place] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(BitmapCorruptError, match=info.file):
            with Index.open(folder, infos) as index:
                index.validate()
        try:
            with Index.open(folder, infos) as index:
                assert index.evaluate(predicate).rows == expected
        except BitmapCorruptError as error:
            assert info.file in str(error)


@pytest.mark.parametrize("keep", [0, 7, 47, 60, -1])
def test_a_cut_or_missing_file_is_named(flights, keep):
    folder, infos = flights
    path = folder / infos[0].file
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BitmapCorruptError, match=infos[0].file):
        Index.open(folder, infos)
    cut = dataclasses.replace(infos[0], bytes=path.stat().st_size)
    with pytest.raises(BitmapCorruptError, match=infos[0].file):
        Index.open(folder, [cut])
    path.unlink()
    with pytest.raises(BitmapCorruptError, match="cannot be opened"):
        Index.open(folder, infos)


def test_a_file_cut_while_open_is_an_error_and_no_crash(flights):
    folder, infos = flights
    with Index.open(folder, infos) as index:
        (folder / infos[0].file).write_bytes(b"")
        with pytest.raises(BitmapCorruptError, match="ends before byte"):
            index.evaluate(month(6))


def test_a_segment_of_another_column_is_refused(flights):
    folder, infos = flights
    swapped = dataclasses.replace(infos[0], column="carrier")
    with pytest.raises(BitmapCorruptError, match="is an index of column 'month'"):
        Index.open(folder, [swapped])


@pytest.mark.parametrize("file", ["../secret.seg", "/etc/passwd", "", "a/b.seg"])
def test_a_file_outside_the_folder_is_not_opened(flights, file):
    folder, infos = flights
    with pytest.raises(BitmapCorruptError, match="does not lie in the index folder"):
        Index.open(folder, [dataclasses.replace(infos[0], file=file)])


def forged(folder, **changes):
    """Write a segment whose checksums are right and whose meaning is not."""
    vectors = changes.get("vectors", [Bitmap.from_positions(rows, 4) for rows in ([0], [], [1, 2], [3])])
    labels = changes.get("labels", pa.array([None, None, 1, 2]))
    kind = changes.get("kind", "equality")
    slots = changes.get("slots", "bins" if kind == "bins" else "values")
    meta = Meta("v", kind, changes.get("layout", "equality"), slots, changes.get("slot_count", len(labels)))
    block = Block(labels, [Entry(vector) for vector in vectors])
    size, checksum, *_ = write_segment(folder / "f.seg", meta, [block], labels.type, 4)
    return SegmentInfo("f.seg", "v", kind, size, checksum, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "sliced"},
        {"layout": "spiral"},
        {"slots": "holes"},
        {"slot_count": 3},
        {"slot_count": 9},
        {"kind": "bins", "labels": pa.array([None, None, None, None], pa.int64())},
        {"labels": pa.array([None, None, 1, None])},
        {"vectors": [Bitmap.from_positions([0], 4)], "labels": pa.array([1])},
        {"vectors": [Bitmap.none(4)] * 4},
    ],
)
def test_a_directory_that_makes_no_sense_is_refused(tmp_path, changes):
    info = forged(tmp_path, **changes)
    with pytest.raises(BitmapCorruptError, match=r"f\.seg"):
        Index.open(tmp_path, [info])


def test_rows_in_two_vectors_are_noticed_by_validate(tmp_path):
    info = forged(tmp_path, vectors=[Bitmap.from_positions(rows, 4) for rows in ([0], [], [1, 2], [2])])
    with Index.open(tmp_path, [info]) as index, pytest.raises(BitmapCorruptError, match="in two vectors"):
        index.validate()


def test_a_directory_that_points_outside_the_vectors_is_refused(tmp_path):
    info = forged(tmp_path)
    whole = bytearray((tmp_path / "f.seg").read_bytes())
    with Index.open(tmp_path, [info]) as index:
        root = index.segment("v").root
    first, length = int(root.offsets[0]), int(root.lengths[0])
    place = whole.index(struct.pack("<4Q", 8, 0, 12, 16), first)  # the offsets of the four vectors
    struct.pack_into("<Q", whole, place, 2**63)
    checksum = struct.pack("<I", zlib.crc32(whole[first : first + length]))
    *head, _root_crc, _footer_crc, magic = FOOTER.unpack(whole[-FOOTER.size :])
    _, offset, length, _ = head
    whole[offset : offset + length] = whole[offset : offset + length].replace(root.checksums.tobytes(), checksum)
    head.append(zlib.crc32(whole[offset : offset + length]))
    whole[-FOOTER.size :] = FOOTER.pack(*head, zlib.crc32(FOOTER.pack(*head, 0, MAGIC)), magic)
    (tmp_path / "f.seg").write_bytes(whole)
    with pytest.raises(BitmapCorruptError, match="outside the file's vectors"):
        Index.open(tmp_path, [info])


def test_the_golden_segments_of_version_1_can_be_asked():
    with Index.open(GOLDEN, GOLDEN_INFOS, 6) as index:
        index.validate()
        carrier = Compare("=", Column("carrier"), Literal(pa.scalar("JFK")))
        assert index.evaluate(carrier).rows.to_numpy().tolist() == [0, 4]
        day = Compare(">=", Column("day"), Literal(pa.scalar(date(2013, 7, 1))))
        assert index.evaluate(day).rows.to_numpy().tolist() == [1, 3]
        assert index.evaluate(IsNull(Column("day"))).rows.to_numpy().tolist() == [2]


@pytest.mark.parametrize(
    ("predicate", "rows"),
    [
        ("carrier IN ('JFK', 'LGA')", [0, 3, 4]),
        ("delay >= 5 AND delay < 130", [0, 4, 5]),
        ("level > 1", [1, 2, 3]),
        ("stop <= 2", [0, 1, 3, 5]),
        ("price >= 2.0", [1, 4, 5]),
        ("time >= '2013-07-01' AND time < '2014-01-01'", [1, 3, 5]),
    ],
)
def test_the_golden_segments_of_version_2_can_be_asked(predicate, rows):
    with Index.open(GOLDEN, GOLDEN_INFOS_2, 6) as index:
        index.validate()
        types = {info.column: index.segment_file(info.column).label_type for info in GOLDEN_INFOS_2}
        answer = index.evaluate(bind(parse(predicate), pa.schema(types)))
    assert (answer.exact, answer.rows.to_numpy().tolist()) == (True, rows)


def test_opening_many_vectors_reads_the_root_and_a_question_reads_one_block_and_one_vector(tmp_path):
    values = pa.array(generator(2).permutation(100_000), pa.int32())
    batch = pa.RecordBatch.from_arrays([values], ["id"])
    with QueryContext() as context:
        infos = build_index([batch], len(values), {"id": Equality()}, tmp_path, context=context)
    with Index.open(tmp_path, infos) as index:
        opened = index.statistics()
        assert (opened["vectors"], opened["vectors_read"], opened["requests"]) == (100_002, 0, 2)
        assert opened["directory_bytes_read"] < 5_000 < infos[0].bytes // 500
        answer = index.evaluate(Compare("=", Column("id"), Literal(pa.scalar(77_777, pa.int32()))))
        assert answer.rows.to_numpy().tolist() == [values.to_pylist().index(77_777)]
        read = index.statistics()
        assert (read["vectors_read"], answer.vectors_read) == (1, 1)
        assert read["directory_bytes_read"] - opened["directory_bytes_read"] < infos[0].bytes // 15
        few = index.evaluate(InList(Column("id"), tuple(Literal(pa.scalar(i, pa.int32())) for i in (5, 99_999))))
        assert (len(few.rows), few.vectors_read) == (2, 2)


def test_threads_may_ask_one_index(flights):
    folder, infos = flights
    late = Compare(">", Column("delay"), Literal(pa.scalar(30.0)))
    with Index.open(folder, infos) as index, ThreadPoolExecutor(4) as pool:
        alone = index.evaluate(Or((month(3), late)))
        before = index.statistics()["vectors_read"]
        answers = list(pool.map(lambda _: index.evaluate(Or((month(3), late))), range(40)))
        assert index.statistics()["vectors_read"] == before + 40 * alone.vectors_read
    assert all(answer.rows == alone.rows and answer.vectors_read == alone.vectors_read for answer in answers)


def test_writing_asks_between_blocks_whether_to_go_on_and_leaves_nothing(tmp_path: Path) -> None:
    labels = pa.array(range(3 * BLOCK_VECTORS))
    block = Block(labels, [Entry(Bitmap.from_positions([0], 4))] * len(labels))
    meta = Meta("v", "equality", "equality", "values", len(labels))
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        write_segment(tmp_path / "f.seg", meta, [block], labels.type, 4, check=check)
    assert asked == 2 and list(tmp_path.iterdir()) == []
