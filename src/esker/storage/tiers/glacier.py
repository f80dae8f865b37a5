"""Objects in an archive class of S3: restored before they are read, once, and not without saying what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.core.cost import Cost
from esker.core.device_profile import DeviceProfile
from esker.core.extent import ByteRange, Extent
from esker.errors import NotThawedError, TierError
from esker.storage.options import check_options, choice_option, count_option
from esker.storage.prices import RestorePrice, restore_price, storage_classes
from esker.storage.s3.archive import ArchiveState, Cold, Restored, Restoring, Warm, archive_state
from esker.storage.s3.failures import MissingObject
from esker.storage.s3.object_tier import ObjectTier
from esker.storage.s3.place import PLACE_OPTIONS, S3Place, parse_place, place_device, place_uri
from esker.storage.tier import Capability, ReadRequest, RecallState

_OPTIONS = (*PLACE_OPTIONS, "class", "speed", "days")
_DEVICES = {"GLACIER": "glacier-flexible", "DEEP_ARCHIVE": "glacier-deep-archive"}
_DAYS = 7
# A copy that expires sooner than this is asked for again when it is read: a join may take hours.
_RENEW_SECONDS = 6 * 3600.0
_IN_PROGRESS = "RestoreAlreadyInProgress"


class GlacierTier(ObjectTier):
    """Keep objects in S3 Glacier Flexible Retrieval or Deep Archive: `glacier://bucket/prefix?class=DEEP_ARCHIVE`.

    Options beside those of the s3 tier: `class` (GLACIER, the default, or DEEP_ARCHIVE), `speed` (expedited, standard,
    bulk), `days` that a restored copy stays. An object is cold, restoring or restored (`archive_state`); one that is
    not restored is never asked for its bytes, and one that is asked for already is never asked for again: the store
    itself remembers, so a killed run pays nothing twice. A copy that is about to expire is kept longer when read.
    Source: research on restore semantics of the S3 user guide (202, 409, 200 on extension, 403 until restored).
    """

    capability = Capability(random_read=True, needs_thaw=True, append_only=False)

    def __init__(
        self,
        uri: str,
        place: S3Place,
        device: DeviceProfile,
        *,
        storage_class: str,
        speed: str,
        days: int,
        clock: Clock = SYSTEM_CLOCK,
        **options: Any,
    ) -> None:
        super().__init__(uri, place, device, clock=clock, **options)
        self.storage_class = storage_class
        self.prices: RestorePrice = restore_price(storage_class, speed)
        self.days = days
        self.restores = 0
        # Copies known to be there, and until when: looked up once a lease.
        self._leases: dict[str, float] = {}

    @classmethod
    def open(cls, place: str, options: Mapping[str, str], *, clock: Clock = SYSTEM_CLOCK) -> Self:
        check_options("glacier", options, _OPTIONS)
        where = parse_place("glacier", place, options)
        storage_class = choice_option(options, "class", "GLACIER", storage_classes())
        return cls(
            place_uri("glacier", where, options, _OPTIONS),
            where,
            place_device(options, _DEVICES[storage_class]),
            storage_class=storage_class,
            speed=options.get("speed", "standard"),
            days=count_option(options, "days", _DAYS),
            clock=clock,
        )

    def fetch(self, requests: Iterable[ReadRequest]) -> Iterator[tuple[ReadRequest, bytes | memoryview]]:
        asked = [*requests]
        for key in dict.fromkeys(request.key for request in asked):
            self._require_ready(key)
        try:
            yield from super().fetch(asked)
        except NotThawedError:
            # It expired meanwhile: what we knew is not true any more.
            for request in asked:
                self._leases.pop(request.key, None)
            raise

    def delete(self, key: str) -> None:
        super().delete(key)
        self._leases.pop(key, None)

    def archive_state(self, key: str) -> ArchiveState:
        """Ask the store how far an object is from being readable."""
        found = archive_state(f"{self.name}/{key}", self.head(key), self.clock.wall_seconds())
        if isinstance(found, Restored):
            self._leases[key] = found.until
        elif isinstance(found, Warm):
            self._leases[key] = float("inf")
        else:
            self._leases.pop(key, None)
        return found

    def state(self, extent: Extent) -> RecallState:
        """Say whether the extent is cold, on its way, or can be read now."""
        match self.archive_state(extent.key):
            case Cold():
                return RecallState.COLD
            case Restoring():
                return RecallState.RECALLING
            case _:
                return RecallState.READY

    def request(self, extents: Sequence[Extent], deadline: float | None = None) -> Sequence[float]:
        """Ask for the extents that are cold, once each, and keep copies that expire soon.

        Gives the longest time until each is there. NotThawedError when even the shortest is past `deadline`; nothing
        was asked for then.
        """
        states = self._states(extents)
        waiting = any(not isinstance(found, Restored | Warm) for found in states)
        if deadline is not None and waiting and self.prices.seconds_min > deadline:
            raise NotThawedError(
                f"{self.name} needs {self.prices.seconds_min:,.0f} to {self.prices.seconds_max:,.0f} s for a restore at"
                f" speed={self.prices.speed}; the deadline is {deadline:,.0f} s: nothing was asked for",
                self.prices.seconds_min,
            )
        keys = [extent.key for extent, found in zip(extents, states, strict=True) if self._wants_restore(found)]
        self._together(self._restore, [*dict.fromkeys(keys)])
        return [0.0 if isinstance(found, Restored | Warm) else self.prices.seconds_max for found in states]

    def price(self, extents: Sequence[Extent]) -> Cost:
        """Say what recalling and reading whole extents would cost now: what is asked for already is paid already."""
        states = self._states(extents)
        cold = {
            extent.key: extent.bytes for extent, found in zip(extents, states, strict=True) if isinstance(found, Cold)
        }
        waiting = any(isinstance(found, Cold | Restoring) for found in states)
        reading = self.estimate(ReadRequest(extent.key, ByteRange(0, extent.bytes)) for extent in extents)
        seconds = self.prices.seconds_max if waiting else 0.0
        money = self.prices.money(sum(cold.values()), len(cold), self.days)
        # Bytes are those that are read; a restore moves them within the store.
        return reading + Cost(0, len(cold), 0, seconds, money, {"restore": seconds} if waiting else {})

    def _headers(self) -> Mapping[str, str]:
        return {"StorageClass": self.storage_class}

    def _read_back(self, key: str, size_bytes: int) -> str:
        raise TierError(
            f"{self.name} keeps no checksum of {key!r}, and an archived object cannot be read back to compare it"
        )

    def _require_ready(self, key: str) -> None:
        until = self._leases.get(key)
        now = self.clock.wall_seconds()
        found = self.archive_state(key) if until is None or until < now + _RENEW_SECONDS else None
        if isinstance(found, Cold | Restoring):
            word = "was not restored" if isinstance(found, Cold) else "is being restored"
            raise NotThawedError(
                f"{key!r} of {self.name} is archived ({found.storage_class}) and {word}; "
                + ("ask for it first" if isinstance(found, Cold) else "come back when it is there"),
                None if isinstance(found, Cold) else self.prices.seconds_max,
            )
        if found is not None and self._wants_restore(found):
            self._restore(key)
            self.archive_state(key)

    def _wants_restore(self, found: ArchiveState) -> bool:
        """Whether to ask for an object: it is cold, or its copy is about to expire."""
        if isinstance(found, Restored):
            return found.until < self.clock.wall_seconds() + _RENEW_SECONDS
        return isinstance(found, Cold)

    def _restore(self, key: str) -> None:
        wanted = {"Days": self.days, "GlacierJobParameters": {"Tier": self.prices.speed.capitalize()}}

        def ask(boto: Any) -> None:
            from botocore.exceptions import ClientError

            try:
                boto.restore_object(
                    Bucket=self.place.bucket, Key=self.place.key(key), RestoreRequest=self._request_body(key, wanted)
                )
            except ClientError as error:
                # Somebody else was faster, or the answer to our own request was lost: it is on its way.
                if error.response.get("Error", {}).get("Code") != _IN_PROGRESS:
                    raise

        try:
            self._ask(f"restore {key!r}", ask)
        except MissingObject as error:
            raise TierError(f"{self.name} has no object {key!r}") from error
        self.restores += 1
        self.count(Cost(requests=1, money=self.prices.money(self.size(key), 1, self.days)))

    def _request_body(self, key: str, wanted: dict[str, Any]) -> dict[str, Any]:
        """A copy that is there is only kept longer: the store refuses a speed for that."""
        return {"Days": wanted["Days"]} if key in self._leases else wanted

    def _states(self, extents: Sequence[Extent]) -> Sequence[ArchiveState]:
        return self._together(self.archive_state, [extent.key for extent in extents])

    def _together(self, act: Any, keys: Sequence[str]) -> list[Any]:
        """Do the same for many objects, some at a time; far below the 1,000 restores a second that S3 takes."""
        if len(keys) <= 1:
            return [act(key) for key in keys]
        with ThreadPoolExecutor(min(self.device.concurrency, len(keys)), thread_name_prefix="esker-archive") as pool:
            return [*pool.map(act, keys)]
