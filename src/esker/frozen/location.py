"""Where a frozen data set lies: its folder, the file system under it, and its tier's place, relative or not."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from esker.errors import CatalogCorruptError, InputFileError
from esker.frozen.records import CATALOG_FILE, INDEX_FOLDER, KEYS_FOLDER

# SQLite's shared memory and our locks do not work across machines (contracts, 4).
_NETWORK_TYPES = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"ocfs2", "orangefs", "panfs", "smb3", "smbfs"}
)
# User-space file systems are local unless named here: overlays and encrypted folders are common and safe.
_NETWORK_FUSE = frozenset(
    {"beegfs", "ceph", "curlftpfs", "davfs", "gcsfuse", "glusterfs", "goofys", "hdfs", "juicefs", "mount-s3"}
    | {"rclone", "s3fs", "smbnetfs", "sshfs"}
)
_MOUNTS = Path("/proc/self/mountinfo")

# Tiers whose place is a folder; of others it is a name, though it may begin with slashes.
_FOLDER_SCHEMES = frozenset({"", "disk:", "tape:", "ltfs:"})

# A stored tier URI that starts so is relative to the folder of the data set: the folder can be moved.
_RELATIVE = "./"


def network_type(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Name the network file system that `path` lies on; None when it is local or cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    best, found = -1, ""
    wanted = path.resolve()
    for line in lines:
        # 36 35 98:0 /root /mount/point options … - type source …
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest:
            continue
        point = PurePosixPath(_unescape(words[4]))
        # The last line of equal length wins: it was mounted over the others.
        if len(point.parts) >= best and wanted.is_relative_to(point):
            best, found = len(point.parts), rest.split(" ")[0]
    networked = found in _NETWORK_TYPES or (found.startswith("fuse.") and found[5:] in _NETWORK_FUSE)
    return found if networked else None


def require_local(folder: Path) -> None:
    """Refuse to write on a network file system."""
    kind = network_type(folder)
    if kind is not None:
        raise InputFileError(
            f"{folder} lies on a network file system ({kind}), where a crash or a second machine could damage the"
            " catalogue: freeze to a local disk; the payload may go to any tier"
        )


def check_name(name: str, what: str, place: str) -> str:
    """Give back a relative file name or key of the catalogue, or refuse one that could lead elsewhere."""
    parts = name.split("/")
    if not name or "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise CatalogCorruptError(f"{place} names the {what} {name!r}, which is not a plain relative path")
    return name


def store_tier_uri(uri: str, folder: Path) -> str:
    """Write a tier's URI relative to `folder` where it lies inside.

    >>> store_tier_uri("disk:/data/sales.esker/payload", Path("/data/sales.esker"))
    'disk:./payload'
    >>> store_tier_uri("tape:/library?device=lto10", Path("/data/sales.esker"))
    'tape:/library?device=lto10'
    """
    scheme, path, options = split_uri(uri)
    if scheme not in _FOLDER_SCHEMES or not path.startswith("/"):
        return uri
    place = Path(path).resolve()
    if place.is_relative_to(folder.resolve()) and place != folder.resolve():
        return f"{scheme}{_RELATIVE}{place.relative_to(folder.resolve()).as_posix()}{options}"
    return f"{scheme}{place.as_posix()}{options}"


def resolve_tier_uri(stored: str, folder: Path) -> str:
    """Give the URI to open, for a data set that lies in `folder` now.

    >>> resolve_tier_uri("disk:./payload", Path("/moved/sales.esker"))
    'disk:/moved/sales.esker/payload'
    """
    scheme, path, options = split_uri(stored)
    if not path.startswith(_RELATIVE):
        return stored
    inside = check_name(path.removeprefix(_RELATIVE), "tier folder", str(folder))
    return f"{scheme}{(folder.resolve() / inside).as_posix()}{options}"


def tier_folder(uri: str) -> Path | None:
    """Give the folder a tier URI names, for tiers that are folders."""
    scheme, path, _ = split_uri(uri)
    return Path(path) if scheme in _FOLDER_SCHEMES and path.startswith("/") else None


def split_uri(uri: str) -> tuple[str, str, str]:
    """Split into scheme with its colon, path, and options with their question mark.

    >>> split_uri("tape:/library?drives=2"), split_uri("/plain/path")
    (('tape:', '/library', '?drives=2'), ('', '/plain/path', ''))
    """
    head, colon, rest = uri.partition(":")
    if not colon or "/" in head:
        head, colon, rest = "", "", uri
    path, mark, options = rest.partition("?")
    return head + colon, path, mark + options


def looks_frozen(folder: Path) -> bool:
    """Tell a data set's folder from one of plain files, even without its catalogue: its rows would be read twice."""
    return (folder / CATALOG_FILE).exists() or all((folder / inner).is_dir() for inner in (KEYS_FOLDER, INDEX_FOLDER))


def require_data_set(folder: Path) -> None:
    """Say clearly what is wrong with a path that is no frozen data set."""
    catalog = folder / CATALOG_FILE
    if catalog.is_file():
        return
    if not folder.exists():
        raise InputFileError(f"no frozen data set {folder}: there is no such folder")
    if not folder.is_dir():
        raise InputFileError(f"{folder} is a file; a frozen data set is a folder with a catalog.db")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputFileError(f"the folder {folder} cannot be read: permission denied")
    raise InputFileError(f"{folder} is not a frozen data set: it has no catalog.db")


def _unescape(word: str) -> str:
    for code in ("040", "011", "012", "134"):
        word = word.replace("\\" + code, chr(int(code, 8)))
    return word
