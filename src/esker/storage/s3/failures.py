"""What the two clients raise, told apart: try again, not there, not allowed, archived."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from esker.errors import EskerError, NotThawedError, TierError
from esker.storage.s3.retry import TemporaryFailure

# Answers of S3 that do not mean what their status says of others.
_TEMPORARY_CODES = frozenset(
    {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "ThrottlingException", "Throttling"}
    | {"ConditionalRequestConflict", "OperationAborted", "RequestTimeTooSkewed", "503", "500"}
)
ARCHIVED = "InvalidObjectState"


class MissingObject(Exception):
    """There is no such object."""


class TakenKey(Exception):
    """There is such an object already."""


class RangeRefused(Exception):
    """The range is not inside the object."""


@contextmanager
def obstore_failures(uri: str, what: str) -> Iterator[None]:
    """Turn what obstore raises into our words: its errors carry a status in their text only."""
    from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise MissingObject from error
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
        raise _refused(uri, what, str(error)) from error
    except (BaseError, OSError, ValueError) as error:
        if isinstance(error, EskerError):
            raise
        text = str(error)
        status = _status(text)
        if status == 416:
            raise RangeRefused from error
        if status is not None and 400 <= status < 500 and status not in (408, 425, 429):
            raise TierError(f"{uri} could not {what}: {_first_line(text)}") from error
        raise TemporaryFailure(_first_line(text)) from error


@contextmanager
def boto_failures(uri: str, what: str) -> Iterator[None]:
    """Turn what boto3 raises into our words."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
    from botocore.exceptions import ConnectionError as BotoConnectionError

    try:
        yield
    except ClientError as error:
        answer = error.response
        code = str(answer.get("Error", {}).get("Code", ""))
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        text = f"{status} {code}: {answer.get('Error', {}).get('Message', '')}"
        if code in ("NoSuchKey", "404", "NotFound") or (status == 404 and code not in ("NoSuchBucket", "NoSuchUpload")):
            raise MissingObject from error
        if code in ("PreconditionFailed", "412"):
            raise TakenKey from error
        if code in _TEMPORARY_CODES or status >= 500 or status == 429:
            if code == "NotImplemented":
                raise TierError(f"{uri} could not {what}: the store does not know this call ({text})") from error
            raise TemporaryFailure(text) from error
        if status == 403:
            raise _refused(uri, what, text) from error
        raise TierError(f"{uri} could not {what}: {text}") from error
    except NoCredentialsError as error:
        raise no_credentials(uri) from error
    except (BotoConnectionError, HTTPClientError) as error:
        raise TemporaryFailure(_first_line(str(error))) from error
    except BotoCoreError as error:
        raise TierError(f"{uri} could not {what}: {_first_line(str(error))}") from error


def no_credentials(uri: str) -> TierError:
    """Say where credentials are looked for."""
    return TierError(
        f"no credentials for {uri}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile with profile=, run"
        " where a role is given, or write anonymous=true for a public bucket"
    )


def _refused(uri: str, what: str, text: str) -> TierError:
    if ARCHIVED in text:
        return NotThawedError(
            f"{uri} could not {what}: the object is archived and was not restored; open it as glacier:// to ask for it"
        )
    return TierError(f"{uri} could not {what}: permission denied ({_first_line(text)})")


def _status(text: str) -> int | None:
    found = re.search(r"status(?: code)?:? (\d{3})|\b(\d{3}) (?:Range Not Satisfiable|Bad Request)", text)
    return int(found.group(1) or found.group(2)) if found else None


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    line = lines[0] if lines else "no reason given"
    return line if len(line) <= 300 else line[:299] + "…"
