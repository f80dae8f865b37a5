"""Objects in a bucket of S3, or of a store that speaks its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from esker.core.clock import SYSTEM_CLOCK, Clock
from esker.storage.options import check_options
from esker.storage.s3.object_tier import ObjectTier
from esker.storage.s3.place import PLACE_OPTIONS, parse_place, place_device, place_uri
from esker.storage.tier import Capability


class S3Tier(ObjectTier):
    """Keep objects in a bucket: `s3://bucket/prefix`, with options behind a question mark.

    Credentials, region and endpoint come by the usual chain (environment, profile, role). Options: `endpoint` with
    `allow_http=true` for one without encryption, `region`, `profile`, `anonymous=true`, `retries` (tries of a
    request), and what the device is like: `device`, `bytes_per_second`, `request_seconds`, `concurrency`.
    Needs the extra `esker[s3]`.
    """

    capability = Capability(random_read=True, needs_thaw=False, append_only=False)

    @classmethod
    def open(cls, place: str, options: Mapping[str, str], *, clock: Clock = SYSTEM_CLOCK) -> Self:
        check_options("s3", options, PLACE_OPTIONS)
        where = parse_place("s3", place, options)
        device = place_device(options, "s3-standard")
        return cls(place_uri("s3", where, options, PLACE_OPTIONS), where, device, clock=clock)
