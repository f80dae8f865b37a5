"""The two clients of an object store: obstore reads and lists, boto3 finds credentials and writes.

Both are brought by the extra `esker[s3]` and imported when a tier first needs them.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from esker.errors import MissingExtraError, OptionError
from esker.storage.s3.failures import no_credentials
from esker.storage.s3.place import S3Place

if TYPE_CHECKING:
    from obstore.store import S3Store

_CONNECT_SECONDS = 5
_READ_SECONDS = 60


def shared_clients(place: S3Place, uri: str, connections: int) -> Clients:
    """Give the clients of a place; tiers of the same place share them, as long as the environment says the same."""
    environment = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    return _clients(replace(place, prefix="", retries=0), uri.rpartition("://")[0], connections, environment)


@lru_cache(maxsize=16)
def _clients(place: S3Place, scheme: str, connections: int, environment: tuple[tuple[str, str], ...]) -> Clients:
    return Clients(place, f"{scheme}://{place.bucket}", connections)


class Clients:
    """Clients of one bucket, made when first asked for; threads may share them."""

    def __init__(self, place: S3Place, uri: str, connections: int) -> None:
        self._place = place
        self._uri = uri
        self._connections = connections
        self._lock = threading.Lock()
        self._boto: Any = None
        self._store: S3Store | None = None
        self._session: Any = None

    @property
    def boto(self) -> Any:
        """The boto3 client."""
        with self._lock:
            if self._boto is None:
                self._boto = self._make_boto()
            return self._boto

    @property
    def store(self) -> S3Store:
        """The obstore store of the bucket, at the same endpoint and region as boto3's client."""
        boto = self.boto
        with self._lock:
            if self._store is None:
                self._store = self._make_store(boto)
            return self._store

    def _make_boto(self) -> Any:
        try:
            import boto3
            import botocore
            from botocore.config import Config
            from botocore.exceptions import ProfileNotFound
        except ImportError as error:
            raise MissingExtraError.of("boto3", "s3") from error
        place = self._place
        try:
            self._session = boto3.Session(profile_name=place.profile, region_name=place.region)
        except ProfileNotFound as error:
            raise OptionError(f"profile={place.profile!r}: the AWS configuration has no such profile") from error
        if not place.anonymous and self._session.get_credentials() is None:
            raise no_credentials(self._uri)
        config = Config(
            signature_version=botocore.UNSIGNED if place.anonymous else None,
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=self._connections,
            # Retries are ours: one policy, one clock, one error.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # So are checksums: they are sent where an object is written.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if place.endpoint is not None else "auto"},
        )
        return self._session.client("s3", endpoint_url=place.endpoint, config=config)

    def _make_store(self, boto: Any) -> S3Store:
        try:
            from obstore.store import S3Store
        except ImportError as error:
            raise MissingExtraError.of("obstore", "s3") from error
        place = self._place
        config: dict[str, Any] = {"region": _region(boto.meta.region_name)}
        endpoint = str(boto.meta.endpoint_url)
        if not endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn")):
            config["endpoint"] = endpoint
        if endpoint.startswith("http://") and not place.allow_http:
            raise OptionError(f"the endpoint {endpoint} is not encrypted; write allow_http=true to use it all the same")
        provider = None
        if place.anonymous:
            config["skip_signature"] = True
        else:
            from obstore.auth.boto3 import Boto3CredentialProvider

            provider = Boto3CredentialProvider(self._session)
        return S3Store(
            place.bucket,
            config=config,  # type: ignore[arg-type]  # a plain dictionary with its keys
            client_options={
                "allow_http": place.allow_http,
                "connect_timeout": f"{_CONNECT_SECONDS} seconds",
                "timeout": f"{_READ_SECONDS} seconds",
            },
            retry_config={"max_retries": 0},
            credential_provider=provider,
        )


def _region(found: str | None) -> str:
    """Name a region to sign for; what is not in one is signed as the oldest."""
    return found if found and found != "aws-global" else "us-east-1"
