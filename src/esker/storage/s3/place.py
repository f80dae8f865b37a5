"""Where an object tier lies and how to reach it, as its URI says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from esker.core.byte_size import parse_bytes
from esker.core.device_profile import DeviceProfile
from esker.errors import OptionError
from esker.storage.devices import device_profile
from esker.storage.options import count_option, seconds_option, switch_option

# Options of every tier of this kind, in the order a URI has them.
PLACE_OPTIONS = (
    "endpoint",
    "region",
    "allow_http",
    "anonymous",
    "profile",
    "device",
    "bytes_per_second",
    "request_seconds",
    "concurrency",
    "retries",
)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
RETRIES = 8


@dataclass(frozen=True)
class S3Place:
    """A bucket and a prefix (empty, or ending in a slash), and how to reach them; holds no secrets."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None
    allow_http: bool = False
    anonymous: bool = False
    profile: str | None = None
    retries: int = RETRIES

    def key(self, key: str) -> str:
        """Give the name of an object in the bucket."""
        return self.prefix + key


def parse_place(scheme: str, place: str, options: Mapping[str, str]) -> S3Place:
    """Read `//bucket/prefix` and its options.

    >>> parse_place("s3", "//archive/sales/2024", {"region": "eu-north-1"}).prefix
    'sales/2024/'
    """
    bucket, _, prefix = place.removeprefix("//").partition("/")
    prefix = prefix.strip("/")
    if not place.startswith("//") or not _BUCKET.fullmatch(bucket):
        raise OptionError(f"the {scheme} tier needs a bucket: write {scheme}://bucket/prefix, not {scheme}:{place}")
    if any(part in ("", ".", "..") for part in prefix.split("/") if prefix) or "\\" in prefix:
        raise OptionError(f"{prefix!r} cannot be a prefix: a key has no empty part, '.' or '..'")
    endpoint = options.get("endpoint")
    allow_http = switch_option(options, "allow_http")
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise OptionError(f"endpoint={endpoint!r} is not a URL; write endpoint=https://host:port")
    if endpoint is not None and endpoint.startswith("http://") and not allow_http:
        raise OptionError(f"endpoint={endpoint!r} is not encrypted; write allow_http=true to use it all the same")
    return S3Place(
        bucket,
        prefix + "/" if prefix else "",
        endpoint,
        options.get("region"),
        allow_http,
        switch_option(options, "anonymous"),
        options.get("profile"),
        count_option(options, "retries", RETRIES),
    )


def place_device(options: Mapping[str, str], default: str) -> DeviceProfile:
    """Give the device profile, with what the URI says of rate, round trip and requests at a time."""
    device = device_profile(options.get("device", default))
    return replace(
        device,
        bytes_per_second=float(
            parse_bytes(options.get("bytes_per_second", int(device.bytes_per_second)), "bytes_per_second")
        ),
        request_seconds=seconds_option(options, "request_seconds", device.request_seconds),
        concurrency=count_option(options, "concurrency", device.concurrency),
    )


def place_uri(scheme: str, place: S3Place, options: Mapping[str, str], known: tuple[str, ...]) -> str:
    """Write the URI that opens the tier again."""
    words = "&".join(f"{name}={options[name]}" for name in known if name in options)
    return f"{scheme}://{place.bucket}/{place.prefix}".rstrip("/") + (f"?{words}" if words else "")
