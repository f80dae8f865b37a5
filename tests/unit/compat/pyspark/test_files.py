"""What is written, and read back: layouts, codecs, names, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import pickle
import tarfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from esker.compat.pyspark import SparkContext, SparkFiles, UnsafePickleWarning
from esker.compat.pyspark.protocol import Py4JJavaError
from esker.errors import EskerError, InputFileError

HADOOP = "org.apache.hadoop.io.compress"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".bz2":
        return bz2.decompress(data)
    if path.suffix == ".deflate":
        return zlib.decompress(data)
    if path.suffix == ".zst":
        return pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return data


def test_a_text_folder_has_a_file_for_each_partition_and_a_mark_of_success(sc: SparkContext, tmp_path: Path) -> None:
    sc.parallelize(["a", "ü", "", "d"], 3).saveAsTextFile(str(tmp_path / "out"))
    assert _names(tmp_path / "out") == ["_SUCCESS", "part-00000", "part-00001", "part-00002"]
    assert (tmp_path / "out" / "part-00000").read_bytes() == b"a\n"
    assert (tmp_path / "out" / "_SUCCESS").read_bytes() == b""
    assert _names(tmp_path) == ["out"], "nothing is left beside it"


def test_elements_are_written_as_their_text_and_bytes_as_they_are(sc: SparkContext, tmp_path: Path) -> None:
    sc.parallelize([1, 2.5, None, ("a", 1), b"\xff"], 1).saveAsTextFile(f"file:{tmp_path}/deep/out")
    assert (tmp_path / "deep/out/part-00000").read_bytes() == b"1\n2.5\nNone\n('a', 1)\n\xff\n"


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("GzipCodec", ".gz"), ("BZip2Codec", ".bz2"), ("DefaultCodec", ".deflate"), ("ZStandardCodec", ".zst")],
)
def test_codecs_are_named_as_in_hadoop(sc: SparkContext, tmp_path: Path, codec: str, suffix: str) -> None:
    lines = [f"line {n}" for n in range(2000)]
    sc.parallelize(lines, 2).saveAsTextFile(str(tmp_path / "out"), f"{HADOOP}.{codec}")
    parts = sorted((tmp_path / "out").glob("part-*"))
    assert [part.name for part in parts] == [f"part-00000{suffix}", f"part-00001{suffix}"]
    assert b"".join(map(_unpacked, parts)).decode().splitlines() == lines
    if suffix != ".deflate":
        assert sc.textFile(str(tmp_path / "out")).collect() == lines


def test_an_unknown_codec_is_refused_before_anything_is_written(sc: SparkContext, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no compression codec"):
        sc.range(3).saveAsTextFile(str(tmp_path / "out"), "com.example.Codec")
    with pytest.raises(NotImplementedError, match="Hadoop's own framing"):
        sc.range(3).saveAsTextFile(str(tmp_path / "out"), f"{HADOOP}.SnappyCodec")
    assert _names(tmp_path) == []


def test_a_folder_that_is_there_is_not_overwritten(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="exists already") as caught:
        sc.range(3).saveAsTextFile(str(tmp_path / "out"))
    assert isinstance(caught.value, Py4JJavaError)


def test_a_job_that_fails_leaves_no_folder(sc: SparkContext, tmp_path: Path) -> None:
    with pytest.raises(Py4JJavaError, match="ZeroDivisionError"):
        sc.parallelize([1, 0], 2).map(lambda n: 1 // n).saveAsTextFile(str(tmp_path / "out"))
    assert _names(tmp_path) == []


def test_names_may_be_folders_patterns_and_lists(sc: SparkContext, tmp_path: Path) -> None:
    for name, text in {"a-1.txt": "1\n", "a-2.txt": "2\n", "b.txt": "3", "_hidden": "x", ".hidden": "x"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "sub").mkdir()
    assert sorted(sc.textFile(str(tmp_path)).collect()) == ["1", "2", "3"]
    assert sorted(sc.textFile(f"file:{tmp_path}/a-*.txt").collect()) == ["1", "2"]
    assert sorted(sc.textFile(f"{tmp_path}/a-{{1,2}}.txt").collect()) == ["1", "2"]
    assert sorted(sc.textFile(f"{tmp_path}/a-1.txt,{tmp_path}/b.txt").collect()) == ["1", "3"]


def test_a_missing_input_is_named(sc: SparkContext, tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="Input path does not exist: file:.*/nothing") as caught:
        sc.textFile(str(tmp_path / "nothing"))
    assert isinstance(caught.value, Py4JJavaError)


def test_the_first_partition_has_the_header_and_lines_are_whole(sc: SparkContext, tmp_path: Path) -> None:
    lines = ["header", *[f"{n},ü" * (n % 5) for n in range(500)]]
    (tmp_path / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    for least in (1, 2, 6, 50):
        rows = sc.textFile(str(tmp_path / "rows.csv"), least)
        assert rows.getNumPartitions() >= least
        assert rows.glom().first()[:1] == ["header"]
        assert rows.collect() == lines


def test_lines_may_be_bytes_and_broken_text_is_marked(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(b"a\xff\r\nb\n")
    assert sc.textFile(str(tmp_path / "rows"), use_unicode=False).collect() == [b"a\xff", b"b"]
    assert sc.textFile(str(tmp_path / "rows")).collect() == ["a\ufffd", "b"]


def test_whole_files_come_with_their_uris(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "1.txt").write_bytes("grün".encode())
    uri = f"file:{tmp_path}/1.txt"
    assert sc.wholeTextFiles(str(tmp_path)).collect() == [(uri, "grün")]
    assert sc.wholeTextFiles(str(tmp_path), use_unicode=False).collect() == [(uri, "grün".encode())]
    assert sc.binaryFiles(str(tmp_path)).collectAsMap() == {uri: "grün".encode()}


def test_reading_a_pickle_warns_that_it_runs_code(sc: SparkContext, tmp_path: Path) -> None:
    sc.parallelize([{"a": 1}, ("b", None)], 2).saveAsPickleFile(str(tmp_path / "out"))
    with pytest.warns(UnsafePickleWarning, match="runs whatever code lies in the files"):
        assert sc.pickleFile(str(tmp_path / "out")).collect() == [{"a": 1}, ("b", None)]
    assert "Reading a pickle runs whatever code lies in it" in (SparkContext.pickleFile.__doc__ or "")


@pytest.mark.parametrize("batch", [0, 1, 3, 100])
@pytest.mark.parametrize("least", [1, 2, 9])
def test_pickled_elements_come_back_in_order(sc: SparkContext, tmp_path: Path, batch: int, least: int) -> None:
    elements = list(range(100))
    sc.parallelize(elements, 3).saveAsPickleFile(str(tmp_path / "out"), batch)
    with pytest.warns(UnsafePickleWarning):
        assert sc.pickleFile(str(tmp_path / "out"), least).collect() == elements


def test_damaged_and_foreign_pickle_files_are_told_apart(sc: SparkContext, tmp_path: Path) -> None:
    sc.range(10, numSlices=1).saveAsPickleFile(str(tmp_path / "out"))
    whole = (tmp_path / "out" / "part-00000").read_bytes()
    for name, data, words in (
        ("cut", whole[:-3], "would end behind the file's end"),
        ("length", whole[:12], "ends within a length"),
        ("other", b"something else", "is not a pickle file"),
        ("bare", pickle.dumps([1]), "is not a pickle file"),
        ("sequence", b"SEQ\x06 of Hadoop", "Hadoop SequenceFile"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.warns(UnsafePickleWarning), pytest.raises(EskerError, match=words):
            sc.pickleFile(str(tmp_path / name)).collect()


def test_binary_records_are_cut_by_length(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(bytes(range(40)))
    assert sc.binaryRecords(str(tmp_path / "records"), 8).collect() == [bytes(range(n, n + 8)) for n in range(0, 40, 8)]


def test_files_are_found_by_name_on_the_driver_and_in_tasks(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("seven", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.txt").write_text("inner", encoding="utf-8")
    sc.addFile(str(tmp_path / "words.txt"))
    sc.addFile(str(tmp_path / "folder"), recursive=True)
    read = sc.parallelize([1], 1).map(lambda _: Path(SparkFiles.get("words.txt")).read_text("utf-8"))
    assert read.collect() == ["seven"]
    inner = sc.parallelize([1], 1).map(lambda _: Path(SparkFiles.get("folder"), "inner.txt").read_text("utf-8"))
    assert inner.collect() == ["inner"]
    assert Path(SparkFiles.get("words.txt")).read_text(encoding="utf-8") == "seven"


def test_files_that_cannot_be_added_are_refused(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "words.txt").write_text("1", encoding="utf-8")
    (tmp_path / "words.txt").write_text("2", encoding="utf-8")
    sc.addFile(str(tmp_path / "words.txt"))
    with pytest.raises(ValueError, match="another file was added under the name"):
        sc.addFile(str(tmp_path / "a" / "words.txt"))
    with pytest.raises(ValueError, match="recursive=True"):
        sc.addFile(str(tmp_path / "a"))
    with pytest.raises(InputFileError, match="does not exist"):
        sc.addFile(str(tmp_path / "nothing"))
    with pytest.raises(NotImplementedError, match="not by https"):
        sc.addFile("https://example.org/x")


def test_a_module_that_was_added_is_imported_by_tasks(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "esker_added_module.py").write_text("def double(n):\n    return 2 * n\n", encoding="utf-8")
    sc.addPyFile(str(tmp_path / "esker_added_module.py"))

    def double(n: int) -> int:
        from esker_added_module import double

        return int(double(n))

    assert sc.range(3).map(double).collect() == [0, 2, 4]


def test_an_archive_that_climbs_out_of_its_folder_is_not_unpacked(sc: SparkContext, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("x", encoding="utf-8")
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "words.txt", "../../escaped.txt")
    with pytest.raises(tarfile.FilterError):
        sc.addArchive(str(tmp_path / "bad.tar.gz"))


def test_stopping_removes_what_was_added(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("x", encoding="utf-8")
    with SparkContext("local", "short") as sc:
        sc.addFile(str(tmp_path / "words.txt"))
        root = Path(SparkFiles.getRootDirectory())
        assert (root / "words.txt").exists()
    assert not root.parent.exists()
    with pytest.raises(RuntimeError, match="without a running SparkContext"):
        SparkFiles.getRootDirectory()


def test_a_checkpoint_is_saved_once_and_read_from_then_on(sc: SparkContext, tmp_path: Path) -> None:
    computed = sc.accumulator(0)

    def counting(n: int) -> int:
        computed.add(1)
        return n

    sc.setCheckpointDir(f"{tmp_path}/checkpoints")
    numbers = sc.range(10, numSlices=3).map(counting)
    before = numbers.map(str)
    numbers.checkpoint()
    assert not numbers.isCheckpointed()
    assert numbers.sum() == 45
    assert numbers.isCheckpointed()
    assert numbers.getCheckpointFile() == f"{sc.getCheckpointDir()}/rdd-{numbers.id()}"
    assert numbers.glom().collect() == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert before.collect() == list("0123456789")
    assert computed.value == 10


def test_checkpoints_want_a_folder(sc: SparkContext) -> None:
    with pytest.raises(Py4JJavaError, match="Checkpoint directory"):
        sc.range(3).checkpoint()
