"""Certificates for tests, made by openssl: an authority, and what it signs."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Certificate(NamedTuple):
    """Files with a certificate and its key."""

    certificate: Path
    key: Path


def authority(folder: Path, name: str) -> Certificate:
    """Make an authority, or skip the test where there is no openssl."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", "-keyout", made.key, "-out", made.certificate)
    return made


def signed_by(signer: Certificate, folder: Path, name: str, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
    """Make a certificate for a server that is reached by `names`."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    request, extension = folder / f"{name}.csr", folder / f"{name}.ext"
    extension.write_text(f"subjectAltName={names}")
    _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    _openssl(
        "x509", "-req", "-in", request, "-CA", signer.certificate, "-CAkey", signer.key, "-CAcreateserial",
        "-days", "2", "-extfile", extension, "-out", made.certificate,
    )  # fmt: skip
    return made


def _openssl(*words: str | Path) -> None:
    try:
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
