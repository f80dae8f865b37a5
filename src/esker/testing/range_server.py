"""A small object store for tests and benchmarks: S3's calls on one machine, slow on purpose, every byte counted.

    with RangeServer(bytes_per_second=50e6, request_seconds=0.02) as server:
        tier = open_tier(server.uri("bucket/prefix"))
        ...
        server.counts().bytes_read

Speaks ListObjectsV2, HEAD, GET with ranges, PUT with `If-None-Match`, multipart uploads and DELETE, without looking at
signatures. Listens on the loopback address only. `python -m esker.testing.range_server --help` runs it as a process of
its own, so that it does not share an interpreter with what is measured.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from esker.core.clock import SYSTEM_CLOCK, Clock

COUNTS_PATH = "/-/counts"
_SEND_BYTES = 64 << 10
_KEYS_A_PAGE = 1000


class ServedRequest(NamedTuple):
    """One request as the server saw it: object "bucket/key", the bytes asked for, and its number."""

    method: str
    key: str
    start: int
    stop: int
    number: int


class Fault(NamedTuple):
    """What to do wrong: answer with `status`, or break off after `sent_bytes` of the body, after `delay_seconds`."""

    status: int = 200
    code: str = "InternalError"
    sent_bytes: int | None = None
    delay_seconds: float = 0.0


@dataclass
class Counts:
    """What was asked for: `gets`, `heads`, `lists`, `puts`, `posts`,
    `deletes`; `objects` has GETs and bytes of each object."""

    gets: int = 0
    heads: int = 0
    lists: int = 0
    puts: int = 0
    posts: int = 0
    deletes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    faults: int = 0
    objects: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stored:
    path: Path
    bytes: int
    etag: str
    crc32: str
    modified: str
    seconds: float
    headers: Mapping[str, str]


class RangeServer:
    """A server with its objects in a folder of its own; a context manager that starts and stops it.

    `bytes_per_second` is what all connections get together, `request_seconds` what every request waits first (None and
    0: as fast as it goes). `fault` is asked before every request and says what goes wrong, if anything.

    >>> from esker.storage import open_tier
    >>> from esker.core.extent import ByteRange
    >>> with RangeServer() as server:
    ...     tier = open_tier(server.uri("bucket/data"))
    ...     _ = tier.write("a", b"every byte")
    ...     bytes(tier.read("a", [ByteRange(0, 5)])[0]), server.counts().bytes_read
    (b'every', 5)
    """

    def __init__(
        self,
        *,
        bytes_per_second: float | None = None,
        request_seconds: float = 0.0,
        port: int = 0,
        folder: Path | None = None,
        fault: Callable[[ServedRequest], Fault | None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="esker-range-server-") if folder is None else None
        self._folder = Path(self._own.name) if self._own is not None else Path(folder or ".")
        self.fault = fault
        self.request_seconds = request_seconds
        self.bytes_per_second = bytes_per_second
        self.clock = clock
        self.objects: dict[str, _Stored] = {}
        self.uploads: dict[str, dict[int, Path]] = {}
        self.lock = threading.RLock()
        self._counts = Counts()
        self._number = 0
        self._free_at = 0.0
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def uri(self, place: str, **options: object) -> str:
        """Name a tier on this server: `place` is bucket/prefix."""
        words = {"endpoint": self.endpoint, "region": "us-east-1", "allow_http": "true", "anonymous": "true", **options}
        return f"s3://{place}?" + "&".join(f"{name}={value}" for name, value in words.items())

    def counts(self) -> Counts:
        """Give a copy of what was counted so far."""
        with self.lock:
            return Counts(**{**asdict(self._counts), "objects": dict(self._counts.objects)})

    def reset_counts(self) -> None:
        """Count from zero again."""
        with self.lock:
            self._counts = Counts()

    def put(self, key: str, data: bytes) -> None:
        """Store an object "bucket/key" without a request."""
        self.store(key, [data], {})

    def load(self, key: str, path: Path) -> None:
        """Store a file as object "bucket/key" without a request and without a copy."""
        checksum, digest, size = 0, hashlib.md5(usedforsecurity=False), 0
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
                digest.update(chunk)
        self._enter(key, path, size, digest.hexdigest(), checksum, {})

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop answering and remove what was stored."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def store(self, key: str, chunks: Iterator[bytes] | list[bytes], headers: Mapping[str, str]) -> _Stored:
        """Keep an object's bytes in a file of the folder."""
        checksum, digest, size = 0, hashlib.md5(usedforsecurity=False), 0
        path = self.new_file()
        with path.open("wb") as file:
            for chunk in chunks:
                checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
                digest.update(chunk)
                file.write(chunk)
        return self._enter(key, path, size, digest.hexdigest(), checksum, headers)

    def new_file(self) -> Path:
        """Name a file that is not there yet."""
        with self.lock:
            self._number += 1
            return self._folder / f"object-{self._number:06}"

    def number(self) -> int:
        """Number a request."""
        with self.lock:
            self._number += 1
            return self._number

    def count(self, name: str, key: str = "", size: int = 0) -> None:
        """Count a request, and its bytes."""
        with self.lock:
            counts = self._counts
            setattr(counts, name, getattr(counts, name) + 1)
            if name == "gets":
                counts.bytes_read += size
                gets, read = counts.objects.get(key, (0, 0))
                counts.objects[key] = (gets + 1, read + size)
            elif name == "puts":
                counts.bytes_written += size

    def wait_for(self, size: int) -> None:
        """Sleep until `size` bytes may pass: all connections share one rate, first come, first served."""
        if not self.bytes_per_second:
            return
        with self.lock:
            now = self.clock.seconds()
            self._free_at = max(self._free_at, now) + size / self.bytes_per_second
            delay = self._free_at - now
        self.clock.sleep(delay)

    def _enter(
        self, key: str, path: Path, size: int, digest: str, checksum: int, headers: Mapping[str, str]
    ) -> _Stored:
        now = self.clock.wall_seconds()
        crc32 = base64.b64encode(checksum.to_bytes(4, "big")).decode()
        stored = _Stored(path, size, f'"{digest}"', crc32, formatdate(now, usegmt=True), now, dict(headers))
        with self.lock:
            self.objects[key] = stored
        return stored


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    owner: RangeServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._serve(self._head)

    def do_GET(self) -> None:
        if self.path == COUNTS_PATH:
            self._answer(200, json.dumps(asdict(self._owner.counts())).encode(), "application/json")
        else:
            self._serve(self._get)

    def do_PUT(self) -> None:
        self._serve(self._put)

    def do_POST(self) -> None:
        if self.path == COUNTS_PATH:
            self._owner.reset_counts()
            self._answer(204)
        else:
            self._serve(self._post)

    def do_DELETE(self) -> None:
        self._serve(self._delete)

    @property
    def _owner(self) -> RangeServer:
        return self.server.owner

    def _serve(self, act: Callable[[], None]) -> None:
        url = urlsplit(self.path)
        self._key = unquote(url.path).lstrip("/")
        self._query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        self._body_left = int(self.headers.get("Content-Length") or 0)
        owner = self._owner
        start, stop = self._asked_range() or (0, 0)
        asked = ServedRequest(self.command, self._key, start, stop, owner.number())
        self._fault = owner.fault(asked) if owner.fault is not None else None
        try:
            owner.clock.sleep(owner.request_seconds + (self._fault.delay_seconds if self._fault else 0.0))
            if self._fault is not None and self._fault.status != 200:
                owner.count("faults")
                self._fail(self._fault.status, self._fault.code)
            else:
                act()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _head(self) -> None:
        stored = self._owner.objects.get(self._key)
        self._owner.count("heads")
        if stored is None:
            self._answer(404)
            return
        self.send_response(200)
        self._send_headers(stored, stored.bytes)
        if self.headers.get("x-amz-checksum-mode") == "ENABLED":
            self.send_header("x-amz-checksum-crc32", stored.crc32)
            self.send_header("x-amz-checksum-type", "FULL_OBJECT")
        self.end_headers()

    def _get(self) -> None:
        if "/" not in self._key.rstrip("/"):
            self._list()
            return
        stored = self._owner.objects.get(self._key)
        if stored is None:
            self._owner.count("gets", self._key)
            self._fail(404, "NoSuchKey")
            return
        if self.headers.get("If-Match") not in (None, stored.etag, stored.etag.strip('"')):
            self._owner.count("gets", self._key)
            self._fail(412, "PreconditionFailed")
            return
        asked = self._asked_range(stored.bytes)
        start, stop = asked or (0, stored.bytes)
        stop = min(stop, stored.bytes)
        if asked is not None and start >= stored.bytes:
            self._owner.count("gets", self._key)
            self._fail(416, "InvalidRange")
            return
        self._owner.count("gets", self._key, stop - start)
        self.send_response(206 if asked is not None else 200)
        self._send_headers(stored, stop - start)
        if asked is not None:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{stored.bytes}")
        self.end_headers()
        self._send_body(stored, start, stop)

    def _send_body(self, stored: _Stored, start: int, stop: int) -> None:
        fault_stop = stop
        if self._fault is not None and self._fault.sent_bytes is not None:
            fault_stop = min(stop, start + self._fault.sent_bytes)
        with stored.path.open("rb") as file:
            file.seek(start)
            while start < fault_stop:
                chunk = file.read(min(_SEND_BYTES, fault_stop - start))
                self._owner.wait_for(len(chunk))
                self.wfile.write(chunk)
                start += len(chunk)
        if start < stop:
            self._owner.count("faults")
            self.close_connection = True

    def _list(self) -> None:
        self._owner.count("lists")
        bucket = self._key.rstrip("/")
        prefix = self._query.get("prefix", "")
        after = self._query.get("continuation-token") or self._query.get("start-after") or ""
        head = f"{bucket}/"
        with self._owner.lock:
            found = sorted(
                (key[len(head) :], stored) for key, stored in self._owner.objects.items() if key[: len(head)] == head
            )
        found = [(key, stored) for key, stored in found if key.startswith(prefix) and key > after]
        page = found[: min(int(self._query.get("max-keys", _KEYS_A_PAGE)), _KEYS_A_PAGE)]
        encode = quote if self._query.get("encoding-type") == "url" else escape
        parts = [
            f"<Contents><Key>{encode(key)}</Key><Size>{stored.bytes}</Size><ETag>{escape(stored.etag)}</ETag>"
            f"<LastModified>{_iso(stored.seconds)}</LastModified><StorageClass>STANDARD</StorageClass></Contents>"
            for key, stored in page
        ]
        more = len(page) < len(found)
        token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if more else ""
        self._answer(
            200,
            (
                '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult'
                ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<Name>{escape(bucket)}</Name><Prefix>{encode(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
                f"<MaxKeys>{_KEYS_A_PAGE}</MaxKeys><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
                f"{token}{''.join(parts)}</ListBucketResult>"
            ).encode(),
        )

    def _put(self) -> None:
        owner = self._owner
        if "uploadId" in self._query:
            self._put_part()
            return
        if self.headers.get("If-None-Match") == "*" and self._key in owner.objects:
            self._drain()
            owner.count("puts")
            self._fail(412, "PreconditionFailed")
            return
        size = self._body_left
        kept = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}
        stored = owner.store(self._key, [*self._body()], kept)
        owner.count("puts", self._key, size)
        said = self.headers.get("x-amz-checksum-crc32")
        if said is not None and said != stored.crc32:
            del owner.objects[self._key]
            self._fail(400, "BadDigest")
            return
        self._answer(200, headers={"ETag": stored.etag, "x-amz-checksum-crc32": stored.crc32})

    def _put_part(self) -> None:
        parts = self._owner.uploads.get(self._query["uploadId"])
        if parts is None:
            self._drain()
            self._fail(404, "NoSuchUpload")
            return
        size, path = self._body_left, self._owner.new_file()
        path.write_bytes(b"".join(self._body()))
        parts[int(self._query["partNumber"])] = path
        self._owner.count("puts", self._key, size)
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        self._answer(200, headers={"ETag": f'"{digest}"'})

    def _post(self) -> None:
        owner = self._owner
        owner.count("posts")
        if "uploads" in self._query:
            self._drain()
            upload = f"upload-{owner.number()}"
            owner.uploads[upload] = {}
            self._answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode(),
            )
            return
        body = b"".join(self._body()).decode()
        parts = owner.uploads.get(self._query.get("uploadId", ""))
        if parts is None:
            self._fail(404, "NoSuchUpload")
        elif self.headers.get("If-None-Match") == "*" and self._key in owner.objects:
            self._fail(412, "PreconditionFailed")
        else:
            numbers = [int(number) for number in re.findall(r"<PartNumber>(\d+)</PartNumber>", body)]
            stored = owner.store(self._key, [parts[number].read_bytes() for number in numbers], {})
            del owner.uploads[self._query["uploadId"]]
            self._answer(
                200,
                f"<CompleteMultipartUploadResult><ETag>{escape(stored.etag)}</ETag>"
                "</CompleteMultipartUploadResult>".encode(),
            )

    def _delete(self) -> None:
        if "uploadId" in self._query:
            self._owner.uploads.pop(self._query["uploadId"], None)
        else:
            self._owner.count("deletes", self._key)
            self._owner.objects.pop(self._key, None)
        self._answer(204)

    def _body(self) -> Iterator[bytes]:
        """Read the body, unwrapping the chunks in which some clients sign it."""
        if "aws-chunked" in (self.headers.get("Content-Encoding") or ""):
            yield from self._chunked_body()
            return
        chunked = "chunked" in (self.headers.get("Transfer-Encoding") or "")
        if chunked:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        while self._body_left:
            chunk = self.rfile.read(min(self._body_left, 1 << 20))
            if not chunk:
                raise ConnectionResetError
            self._body_left -= len(chunk)
            self._owner.wait_for(len(chunk))
            yield chunk

    def _chunked_body(self) -> Iterator[bytes]:
        raw = self.rfile.read(self._body_left)
        self._body_left = 0
        position = 0
        while True:
            line_end = raw.index(b"\r\n", position)
            size = int(raw[position:line_end].split(b";")[0], 16)
            if not size:
                return
            yield raw[line_end + 2 : line_end + 2 + size]
            position = line_end + 2 + size + 2

    def _drain(self) -> None:
        for _ in self._body():
            pass

    def _asked_range(self, size: int | None = None) -> tuple[int, int] | None:
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if found is None:
            return None
        first, last = found.groups()
        if not first:
            return (max(size - int(last), 0), size) if size is not None else (0, int(last))
        return int(first), int(last) + 1 if last else (size if size is not None else int(first))

    def _send_headers(self, stored: _Stored, length: int) -> None:
        self.send_header("Content-Length", str(length))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("ETag", stored.etag)
        self.send_header("Last-Modified", stored.modified)
        self.send_header("Accept-Ranges", "bytes")
        for name, value in stored.headers.items():
            self.send_header(name, value)

    def _fail(self, status: int, code: str) -> None:
        self._drain()
        self._answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "application/xml",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def main() -> None:
    """Serve files until interrupted; prints its endpoint as the first line."""
    parser = argparse.ArgumentParser(prog="python -m esker.testing.range_server", description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--bytes-per-second", type=float, default=None, help="of all connections together")
    parser.add_argument("--request-seconds", type=float, default=0.0, help="what every request waits first")
    parser.add_argument(
        "--load", action="append", default=[], metavar="BUCKET/KEY=FILE", help="serve a file as an object"
    )
    asked = parser.parse_args()
    server = RangeServer(
        port=asked.port, bytes_per_second=asked.bytes_per_second, request_seconds=asked.request_seconds
    )
    for word in asked.load:
        key, _, path = word.partition("=")
        server.load(key, Path(path))
    with server:
        print(server.endpoint, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
