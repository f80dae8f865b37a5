"""Servers that tests talk to, one of each for a whole run; the interpreter's end stops them."""

from __future__ import annotations

import atexit
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from esker.core.extent import Extent
from esker.storage import Recall, Tier
from esker.storage.recall import wait_for
from esker.testing.range_server import RangeServer


@cache
def range_server() -> RangeServer:
    """A server of our own that speaks S3."""
    server = RangeServer().start()
    atexit.register(server.stop)
    return server


class Ministack:
    """A ministack process, an S3 server with Glacier's semantics; see tests/ministack_process.py."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="esker-ministack-")
        script = Path(__file__).with_name("ministack_process.py")
        self._errors = Path(self._folder.name, "errors").open("w")  # noqa: SIM115 - the process writes to it
        self._process = subprocess.Popen(
            [sys.executable, str(script), self._folder.name], stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()
        assert self.endpoint, Path(self._folder.name, "errors").read_text()
        self._buckets: set[str] = set()

    def uri(self, place: str, **options: object) -> str:
        """Name a glacier tier on this server; the bucket is made when it is not there."""
        bucket = place.partition("/")[0]
        if bucket not in self._buckets:
            self.client().create_bucket(Bucket=bucket)
            self._buckets.add(bucket)
        words = {"endpoint": self.endpoint, "region": "us-east-1", "allow_http": "true", "anonymous": "true", **options}
        return f"glacier://{place}?" + "&".join(f"{name}={value}" for name, value in words.items())

    def client(self) -> Any:
        """A client of its own, for looking at it from outside."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def requests(self, place: str = "") -> list[tuple[str, str, int]]:
        """Method, path with query, and status of the requests so far, below a bucket or prefix."""
        lines = Path(self._folder.name, "requests").read_text().splitlines()
        found = [(words[0], " ".join(words[1:-1]), int(words[-1])) for words in map(str.split, lines)]
        return [request for request in found if request[1].startswith(f"/{place}")]

    def put_clock_ahead(self, seconds: float) -> None:
        """Let the server believe that time has passed."""
        Path(self._folder.name, "offset").write_text(str(seconds))

    def stop(self) -> None:
        """End the process and remove its folder."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()
        self._folder.cleanup()


@cache
def ministack() -> Ministack:
    """A server with Glacier's semantics."""
    server = Ministack()
    atexit.register(server.stop)
    return server


class QuickClock:
    """Real time, but for waiting: a minute passes in a twentieth of a second."""

    def __init__(self) -> None:
        self.slept = 0.0

    def seconds(self) -> float:
        return time.perf_counter() + self.slept

    def wall_seconds(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(min(seconds / 1200, 0.2))


def recall(tier: Tier, keys: Sequence[str] | None = None) -> None:
    """Bring objects within reach, where the tier is a cold one."""
    if not isinstance(tier, Recall):
        return
    stored = [found for found in tier.list() if keys is None or found.key in keys]
    extents = [Extent(found.key, 0, 0, found.bytes, "") for found in stored]
    if tier.uri.startswith("glacier:"):
        for _ in wait_for(tier, extents, clock=QuickClock()):
            pass
