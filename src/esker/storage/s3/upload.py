"""Writing an object: only under a free key, in parts when it is big, and compared with what the store then has."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from esker.core.checksum import Checksum
from esker.core.extent import ByteRange
from esker.errors import InputFileError, TierError
from esker.storage.ranges import split_range
from esker.storage.s3.failures import MissingObject, TakenKey, boto_failures
from esker.storage.s3.retry import Retry, TemporaryFailure
from esker.storage.source import source_bytes

PART_BYTES = 16 << 20
# Below it one request does.
SINGLE_BYTES = 64 << 20
_PARTS_MAX = 10_000
_CHUNK_BYTES = 1 << 20
_PARTS_AT_A_TIME = 4


class Written(NamedTuple):
    """What was written: its bytes, checksum, the requests it took, and the checksums a store may keep of it."""

    bytes: int
    checksum: str
    requests: int
    kept: frozenset[str]


class Upload:
    """One object on its way to a bucket. `headers` go with it (storage class and the like)."""

    def __init__(
        self, client: Any, retry: Retry, uri: str, bucket: str, name: str, key: str, headers: Mapping[str, str]
    ) -> None:
        self._client = client
        self._retry = retry
        self._uri = uri
        self._key = key
        self._where = {"Bucket": bucket, "Key": name}
        self._headers = dict(headers)
        self._requests = 0
        self._kept: set[str] = set()

    def write(self, data: Path | bytes, single_bytes: int = SINGLE_BYTES, part_bytes: int = PART_BYTES) -> Written:
        """Write all of it; TakenKey when the key is not free, TierError when the source changes meanwhile."""
        size_bytes = source_bytes(data)
        checksum = _checksum(data, ByteRange(0, size_bytes))
        self._kept = {crc32_header(checksum)}
        if size_bytes <= single_bytes:
            self._write_whole(data, size_bytes, checksum)
        else:
            self._write_parts(data, size_bytes, max(part_bytes, -(-size_bytes // _PARTS_MAX)))
        return Written(size_bytes, checksum, self._requests, frozenset(self._kept))

    def _write_whole(self, data: Path | bytes, size_bytes: int, checksum: str) -> None:
        def put() -> None:
            with _part(data, ByteRange(0, size_bytes)) as body:
                self._client.put_object(
                    **self._where,
                    **self._headers,
                    Body=body,
                    ContentLength=size_bytes,
                    ChecksumCRC32=crc32_header(checksum),
                    IfNoneMatch="*",
                )

        self._once(put, size_bytes)

    def _write_parts(self, data: Path | bytes, size_bytes: int, part_bytes: int) -> None:
        begun = self._call(
            lambda: self._client.create_multipart_upload(**self._where, **self._headers, ChecksumAlgorithm="CRC32")
        )
        upload = {**self._where, "UploadId": begun["UploadId"]}
        parts = split_range(ByteRange(0, size_bytes), part_bytes)

        def put(number: int) -> dict[str, Any]:
            return self._put_part(upload, data, parts[number], number + 1)

        try:
            with ThreadPoolExecutor(_PARTS_AT_A_TIME) as pool:
                done = [*pool.map(put, range(len(parts)))]
            self._kept.add(composite_header([part["ChecksumCRC32"] for part in done]))
            self._once(
                lambda: self._client.complete_multipart_upload(
                    **upload,
                    MultipartUpload={"Parts": done},
                    IfNoneMatch="*",
                ),
                size_bytes,
            )
        except BaseException:
            # Parts that are left cost money for ever.
            with suppress(Exception):  # the error that ended the upload is the one to be seen
                self._client.abort_multipart_upload(**upload)
            raise

    def _put_part(self, upload: Mapping[str, str], data: Path | bytes, part: ByteRange, number: int) -> dict[str, Any]:
        checksum = crc32_header(_checksum(data, part))

        def put() -> Any:
            with _part(data, part) as body:
                return self._client.upload_part(
                    **upload, PartNumber=number, Body=body, ContentLength=part.length, ChecksumCRC32=checksum
                )

        return {"PartNumber": number, "ETag": self._call(put)["ETag"], "ChecksumCRC32": checksum}

    def _once(self, act: Callable[[], Any], size_bytes: int) -> None:
        """Do what makes the object appear. A lost answer must not turn our own object into somebody else's."""
        tries = 0

        def attempt() -> None:
            nonlocal tries
            tries += 1
            self._requests += 1
            with boto_failures(self._uri, f"write {self._key!r}"):
                act()

        try:
            self._retry(f"write {self._key!r} to {self._uri}", attempt)
        except TakenKey:
            if tries == 1 or not self._is_ours(size_bytes):
                raise

    def _is_ours(self, size_bytes: int) -> bool:
        try:
            with boto_failures(self._uri, f"look at {self._key!r}"):
                head = self._client.head_object(**self._where, ChecksumMode="ENABLED")
        except (MissingObject, TemporaryFailure):
            return False
        return bool(head["ContentLength"] == size_bytes and head.get("ChecksumCRC32") in self._kept)

    def _call(self, act: Callable[[], Any]) -> Any:
        def attempt() -> Any:
            self._requests += 1
            with boto_failures(self._uri, f"write {self._key!r}"):
                return act()

        return self._retry(f"write {self._key!r} to {self._uri}", attempt)


def crc32_header(checksum: str) -> str:
    """Write one of our checksums as S3 does.

    >>> crc32_header("crc32:e56944bf")
    '5WlEvw=='
    """
    return base64.b64encode(bytes.fromhex(checksum.removeprefix("crc32:"))).decode()


def composite_header(parts: Sequence[str]) -> str:
    """Give the checksum of the checksums of parts, as S3 keeps it of an object that came in parts.

    >>> composite_header(["5WlEvw==", "5WlEvw=="])
    '3w5PXA==-2'
    """
    whole = Checksum()
    whole.update(b"".join(map(base64.b64decode, parts)))
    return f"{crc32_header(whole.text)}-{len(parts)}"


def _part(data: Path | bytes, part: ByteRange) -> io.BufferedIOBase:
    """Open a stretch of what is written; a file's is not held in memory."""
    if isinstance(data, bytes):
        return io.BytesIO(data if part.length == len(data) else data[part.start : part.stop])
    try:
        return io.BufferedReader(_FilePart(data, part), _CHUNK_BYTES)
    except OSError as error:
        raise InputFileError(f"cannot read {data}: {error.strerror}") from error


def _checksum(data: Path | bytes, part: ByteRange) -> str:
    checksum = Checksum()
    with _part(data, part) as file:
        while chunk := file.read(_CHUNK_BYTES):
            checksum.update(chunk)
    return checksum.text


class _FilePart(io.RawIOBase):
    """A stretch of a file that reads and seeks like a file of its own."""

    def __init__(self, path: Path, part: ByteRange) -> None:
        self._file = path.open("rb", buffering=0)
        self._part = part
        self._path = path
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._part.length}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(self._part.length - self._position, 0)]
        self._file.seek(self._part.start + self._position)
        count = self._file.readinto(view) or 0
        if not count and len(view):
            raise TierError(f"{self._path} became shorter while it was written; nothing was kept")
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
