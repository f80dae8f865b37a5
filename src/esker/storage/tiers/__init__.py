"""The storage tiers, by the scheme of their URI."""

from __future__ import annotations

from esker.core.family import Family
from esker.errors import OptionError
from esker.storage.tier import Tier

TIERS: Family[type[Tier]] = Family(
    "tier",
    {
        "memory": "esker.storage.tiers.memory:MemoryTier",
        "disk": "esker.storage.tiers.disk:DiskTier",
        "glacier": "esker.storage.tiers.glacier:GlacierTier",
        "ltfs": "esker.storage.tiers.ltfs:LtfsTier",
        "s3": "esker.storage.tiers.s3:S3Tier",
        "tape": "esker.storage.tiers.tape:TapeTier",
    },
)


def open_tier(uri: str) -> Tier:
    """Open the tier that a URI or a plain path names.

    >>> open_tier("memory:doctest").uri
    'memory:doctest'
    >>> open_tier("cloud:bucket")
    Traceback (most recent call last):
        ...
    esker.errors.OptionError: no tier 'cloud'; there is: memory, disk, glacier, ltfs, s3, tape [ESK-106]

    `disk:/folder` or the path alone; `tape:/folder?device=lto9-hh&cartridge=4MiB&drives=2`, or `ltfs:`;
    `s3://bucket/prefix?region=eu-north-1`; `glacier://bucket/prefix?class=DEEP_ARCHIVE&speed=bulk`; `memory:name`
    (lives as long as the process). Folders are made when first written to. See docs/tiers.md.
    """
    scheme, place, options = split_uri(uri)
    return TIERS[scheme].open(place, options)


def split_uri(uri: str) -> tuple[str, str, dict[str, str]]:
    """Split into scheme, place and options.

    >>> split_uri("tape:/library?device=lto10&drives=2")
    ('tape', '/library', {'device': 'lto10', 'drives': '2'})
    >>> split_uri("payload")
    ('disk', 'payload', {})
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or "/" in scheme:
        scheme, rest = "disk", uri
    place, _, text = rest.partition("?")
    if not place:
        raise OptionError(
            f"tier={uri!r} names no place; write disk:/folder, tape:/folder, s3://bucket/prefix or memory:name"
        )
    options: dict[str, str] = {}
    for word in filter(None, text.split("&")):
        name, equals, value = word.partition("=")
        if not equals or not value or name in options:
            raise OptionError(f"tier={uri!r}: cannot read {word!r}; options are name=value, each once, between '&'")
        options[name] = value
    return scheme, place, options
