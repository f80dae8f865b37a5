"""URLs of indexes in clusters: `esker://host:port/INDEX?token_file=FILE&ca=FILE`."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from esker.errors import OptionError

_SCHEMES = ("esker://", "grpc://", "grpc+tls://")


class ClusterUrl(NamedTuple):
    """What a URL says."""

    location: str
    name: str
    token_file: str | None
    authority: str | None


def is_cluster_url(source: object) -> bool:
    """Tell a cluster's URL from a path.

    >>> is_cluster_url("esker://localhost:7070/census"), is_cluster_url("census.index")
    (True, False)
    """
    return isinstance(source, str) and source.startswith(_SCHEMES)


def read_url(url: str) -> ClusterUrl:
    """Read a URL; `grpc+tls://` is with TLS, and so is `esker://` with `ca`. OptionError when it is none.

    >>> read_url("esker://localhost:7070/census?token_file=/etc/esker/token")
    ClusterUrl(location='esker://localhost:7070', name='census', token_file='/etc/esker/token', authority=None)
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    index = unquote(parts.path.removeprefix("/"))
    unknown = options.keys() - {"token_file", "ca"}
    if not parts.netloc or not index or "/" in index or unknown:
        what = f"; there is no option {', '.join(sorted(unknown))}" if unknown else ""
        raise OptionError(f"{url!r} names no index of a cluster: esker://host:port/INDEX?token_file=FILE{what}")
    return ClusterUrl(f"{parts.scheme}://{parts.netloc}", index, options.get("token_file"), options.get("ca"))
