"""Objects in a bucket: listed and read side by side, written once and compared. Tiers of S3's kind build on it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from esker.core.checksum import Checksum
from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.cost import NO_COST, Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange
from esker.errors import EskerError, OutputExistsError, PayloadCorruptError, TierError
from esker.storage.keys import check_key, check_ranges
from esker.storage.ranges import Run, runs, split_range
from esker.storage.s3.clients import shared_clients
from esker.storage.s3.failures import MissingObject, RangeRefused, TakenKey, boto_failures, obstore_failures
from esker.storage.s3.place import S3Place
from esker.storage.s3.retry import Retry
from esker.storage.s3.upload import PART_BYTES, SINGLE_BYTES, Upload, Written, crc32_header
from esker.storage.tier import ReadRequest, Stored, Tier

Result = TypeVar("Result")


class ObjectTier(Tier):
    """Keep objects in a bucket under a prefix.

    Ranges that lie close are read by one GET: the gap is what the device reads in the time of a request, divided by
    the requests that run side by side. Longer ones are cut into parts of `part_bytes`. `counted` counts GETs and PUTs
    as the store does, with the bytes that were read over; `estimate` says the same beforehand.
    """

    def __init__(
        self,
        uri: str,
        place: S3Place,
        device: DeviceProfile,
        *,
        clock: Clock = SYSTEM_CLOCK,
        part_bytes: int = PART_BYTES,
        single_bytes: int = SINGLE_BYTES,
        retry: Retry | None = None,
    ) -> None:
        super().__init__(uri, device)
        # Messages do without the options.
        self.name = uri.partition("?")[0]
        self.place = place
        self.clock = clock
        self._clients = shared_clients(place, self.name, max(device.concurrency, 4))
        self._retry = retry or Retry(place.retries, clock=clock)
        self._part_bytes = part_bytes
        self._single_bytes = single_bytes
        self._sizes: dict[str, int] = {}
        self._sizes_lock = threading.Lock()

    def write(self, key: str, data: Path | bytes) -> Stored:
        check_key(key)
        start = self.clock.seconds()
        upload = Upload(
            self._clients.boto, self._retry, self.name, self.place.bucket, self.place.key(key), key, self._headers()
        )
        try:
            written = upload.write(data, self._single_bytes, self._part_bytes)
        except TakenKey as error:
            raise OutputExistsError(
                f"{self.name} has an object {key!r} already; objects are never overwritten"
            ) from error
        except MissingObject as error:
            raise TierError(f"{self.name} could not write {key!r}: there is no bucket {self.place.bucket!r}") from error
        self._compare(key, written)
        self._remember(key, written.bytes)
        self.count(Cost(written.bytes, written.requests, seconds=self.clock.seconds() - start))
        return Stored(key, written.bytes, written.checksum)

    def read(self, key: str, ranges: Sequence[ByteRange]) -> list[bytes | memoryview]:
        check_key(key)
        parts = {request.range: data for request, data in self.fetch([ReadRequest(key, asked) for asked in ranges])}
        return [parts[asked] for asked in ranges]

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        planned = [*self._runs(requests)]
        for run in planned:
            self._check(run)
        count = sum(len(run.parts) for run in planned if run.stop > run.start)
        if count <= 1:
            for run in planned:
                yield from self._serve(run, [self._get(run.key, part) for part in _filled(run)])
            return
        with ThreadPoolExecutor(min(self.device.concurrency, count), thread_name_prefix="esker-get") as pool:
            try:
                yield from self._fetch_together(planned, pool)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        import obstore

        folder = self.place.key(prefix.rpartition("/")[0])

        def ask() -> list[Stored]:
            with obstore_failures(self.name, f"list {prefix!r}"):
                pages = obstore.list(self._clients.store, prefix=folder or None)
                return [Stored(str(meta["path"]), int(meta["size"])) for page in pages for meta in page]

        try:
            found = self._retry(f"list {prefix!r} of {self.name}", ask)
        except MissingObject as error:
            raise TierError(f"{self.name} could not be listed: there is no bucket {self.place.bucket!r}") from error
        cut = len(self.place.prefix)
        inside = (
            Stored(stored.key[cut:], stored.bytes) for stored in found if stored.key.startswith(self.place.prefix)
        )
        yield from sorted((stored for stored in inside if stored.key.startswith(prefix)), key=lambda stored: stored.key)

    def delete(self, key: str) -> None:
        check_key(key)

        def ask() -> None:
            with boto_failures(self.name, f"delete {key!r}"):
                self._clients.boto.delete_object(Bucket=self.place.bucket, Key=self.place.key(key))

        with suppress(MissingObject):
            self._retry(f"delete {key!r} of {self.name}", ask)
        with self._sizes_lock:
            self._sizes.pop(key, None)

    def order(self, requests: Iterable[ReadRequest]) -> Sequence[ReadRequest]:
        return [request for run in self._runs(requests) for request in run.requests]

    def estimate(self, requests: Iterable[ReadRequest]) -> Cost:
        sizes = [part.length for run in self._runs(requests) for part in _filled(run)]
        if not sizes:
            return NO_COST
        device = self.device
        # The first answer is waited for; those of the others come while bytes do, as many at a time as there may be.
        waits = max(len(sizes) / device.concurrency, 1.0)
        seconds = waits * device.request_seconds + sum(sizes) / device.bytes_per_second
        return Cost(sum(sizes), len(sizes), 0, seconds, self._money(sizes), {device.name: seconds})

    def stat(self, key: str) -> Stored:
        head = self.head(key)
        return Stored(key, int(head["ContentLength"]), str(head["ETag"]))

    def size(self, key: str) -> int:
        """Ask how many bytes an object has; TierError when there is none."""
        with self._sizes_lock:
            known = self._sizes.get(key)
        if known is not None:
            return known
        return int(self.head(key)["ContentLength"])

    def head(self, key: str) -> Mapping[str, Any]:
        """Ask for an object's headers; TierError when there is none."""
        check_key(key)
        try:
            found = self._ask(
                f"look at {key!r}",
                lambda boto: boto.head_object(
                    Bucket=self.place.bucket, Key=self.place.key(key), ChecksumMode="ENABLED"
                ),
            )
        except MissingObject as error:
            raise TierError(f"{self.name} has no object {key!r}") from error
        self._remember(key, int(found["ContentLength"]))
        return found  # type: ignore[no-any-return]  # boto3 has no types

    def _headers(self) -> Mapping[str, str]:
        """What goes with every object that is written."""
        return {}

    def _money(self, sizes: Sequence[int]) -> float:
        return len(sizes) * self.device.money_per_request + sum(sizes) * self.device.money_per_byte

    def _ask(self, what: str, act: Callable[[Any], Result]) -> Result:
        def attempt() -> Result:
            with boto_failures(self.name, what):
                return act(self._clients.boto)

        return self._retry(f"{what} of {self.name}", attempt)

    def _runs(self, requests: Iterable[ReadRequest]) -> Iterator[Run]:
        return runs(requests, self.device.gap_bytes, self._part_bytes)

    def _check(self, run: Run) -> None:
        """Refuse what cannot be right without a request; what is past the end the store will tell."""
        check_key(run.key)
        for request in run.requests:
            part = request.range
            if not 0 <= part.start <= part.stop or part.start == part.stop:
                check_ranges(self.name, run.key, self.size(run.key), [part])

    def _fetch_together(
        self, planned: Sequence[Run], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        """Keep as many GETs under way as the device takes, and as many waiting; hand out in order."""
        waiting: deque[tuple[Run, list[Future[memoryview]]]] = deque()
        started = 0
        for run in planned:
            waiting.append((run, [pool.submit(self._get, run.key, part) for part in _filled(run)]))
            started += len(waiting[-1][1])
            while started > 2 * self.device.concurrency:
                first, futures = waiting.popleft()
                started -= len(futures)
                yield from self._serve(first, [future.result() for future in futures])
        for run, futures in waiting:
            yield from self._serve(run, [future.result() for future in futures])

    def _serve(self, run: Run, parts: Sequence[memoryview]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        whole = parts[0] if len(parts) == 1 else memoryview(b"".join(parts))
        for request in run.requests:
            yield request, whole[request.range.start - run.start : request.range.stop - run.start]

    def _get(self, key: str, part: ByteRange) -> memoryview:
        """Read one range by one GET, all of it."""
        start = self.clock.seconds()
        what = f"read bytes {part.start:,} to {part.stop:,} of {key!r}"

        def ask() -> memoryview:
            return self._get_once(key, part, what)

        try:
            data = self._retry(f"{what} of {self.name}", ask)
        except MissingObject as error:
            raise TierError(f"{self.name} has no object {key!r}") from error
        except RangeRefused as error:
            raise self._outside(key, part) from error
        if len(data) != part.length:
            raise self._outside(key, part)
        money = self._money([len(data)])
        self.count(Cost(len(data), 1, seconds=self.clock.seconds() - start, money=money))
        return data

    def _get_once(self, key: str, part: ByteRange, what: str) -> memoryview:
        import obstore

        with obstore_failures(self.name, what):
            found = obstore.get(
                self._clients.store, self.place.key(key), options={"range": (part.start, part.stop)}
            ).bytes()
        return memoryview(found)

    def _outside(self, key: str, part: ByteRange) -> EskerError:
        """Say how long the object is that a range does not fit into."""
        with self._sizes_lock:
            self._sizes.pop(key, None)
        try:
            check_ranges(self.name, key, self.size(key), [part])
        except TierError as error:
            return error
        return PayloadCorruptError(f"{self.name} gave fewer bytes of {key!r} than {part.start:,} to {part.stop:,}")

    def _compare(self, key: str, written: Written) -> None:
        """Compare what the store has with what was written: by its checksum, or by reading it back."""
        head = self.head(key)
        size_bytes, kept = int(head["ContentLength"]), head.get("ChecksumCRC32")
        if size_bytes == written.bytes and kept is None:
            kept = self._read_back(key, size_bytes)
        if size_bytes != written.bytes or kept not in written.kept:
            self.delete(key)
            raise TierError(
                f"{self.name} was given {written.bytes:,} bytes of {key!r} with checksum {written.checksum}, but has"
                f" {size_bytes:,} with {kept}; nothing was kept"
            )

    def _read_back(self, key: str, size_bytes: int) -> str:
        checksum = Checksum()
        for part in split_range(ByteRange(0, size_bytes), self._part_bytes):
            if part.length:
                checksum.update(self._get(key, part))
        return crc32_header(checksum.text)

    def _remember(self, key: str, size_bytes: int) -> None:
        with self._sizes_lock:
            self._sizes[key] = size_bytes


def _filled(run: Run) -> Sequence[ByteRange]:
    """The parts of a run that have bytes: an empty range needs no request."""
    return [part for part in run.parts if part.length]
