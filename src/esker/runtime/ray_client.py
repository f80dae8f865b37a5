"""Ray, imported when it is first needed: which versions will do, and which of its errors mean that a worker is gone."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from esker.errors import MissingExtraError, ResourceError, WorkerLostError

# How long Ray's own thread may take to come to what it is asked to do.
_TURN_SECONDS = 10.0
# From here on a cluster that Ray starts asks for a token. No version after the next major one was tried.
RAY_VERSION_MIN = (2, 60)
RAY_VERSION_STOP = (3, 0)


def require_ray() -> Any:
    """Import Ray.

    Raises MissingExtraError when it is not installed, or is of a version that Esker was not made for.
    """
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError.of("ray", "ray") from error
    version = _numbers(ray.__version__)
    if not RAY_VERSION_MIN <= version < RAY_VERSION_STOP:
        least, stop = (".".join(map(str, numbers)) for numbers in (RAY_VERSION_MIN, RAY_VERSION_STOP))
        raise MissingExtraError(
            f"ray {ray.__version__} is installed, and Esker wants {least} or later, below {stop}:"
            " pip install 'esker[ray]'"
        )
    return ray


def use_token() -> None:
    """Show a client server the token that there is, unless `RAY_AUTH_MODE` says what to do.

    Ray does so by itself for other addresses, and not for these.
    """
    try:
        setup = importlib.import_module("ray._private.authentication.authentication_token_setup")
        enable = setup.maybe_enable_token_auth_if_token_available
    except (ImportError, AttributeError):  # a later Ray may have it elsewhere: then RAY_AUTH_MODE has to be set
        return
    enable(warn_if_disabled=False)


def running_ray() -> Any:
    """Ray, of a process that is connected to a cluster; ResourceError when it is not."""
    ray = require_ray()
    if not ray.is_initialized():
        raise ResourceError("no Ray cluster is connected: with esker.connect('ray'): ...")
    return ray


def cancel(references: Sequence[Any], *, force: bool) -> None:
    """Cancel tasks of this process, in the thread in which Ray takes their replies.

    Cancelled by any other thread, a task that ends in that very moment counts as failed before its reply is taken, and
    Ray aborts the whole process: "Tried to complete task that was not pending" (seen with 2.60; ray-project/ray#54798
    tells of the same race). In its own thread the one comes after the other.
    """
    ray = require_ray()
    if not references or not ray.is_initialized():
        return
    done = threading.Event()
    # Ray's thread calls back when a value is there, and this one always is. It has to be until then.
    there = [ray.put(b"")]

    def in_turn(_: Any) -> None:
        for reference in references:
            with suppress(Exception):  # it may have ended by itself
                ray.cancel(reference, force=force)
        there.clear()
        done.set()

    there[0]._on_completed(in_turn)
    done.wait(_TURN_SECONDS)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    >>> _numbers("2.60.0rc1"), _numbers("3.0.0.dev0")
    ((2, 60), (3, 0))
    """
    return tuple(int(part) for part in version.split(".")[:2])


def lost(error: BaseException) -> WorkerLostError | None:
    """What to tell of an error of Ray's own: a task whose worker, node or result is gone may be tried again."""
    exceptions = importlib.import_module("ray.exceptions")
    kinds: tuple[type[BaseException], ...] = (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.LocalRayletDiedError,
        exceptions.RayActorError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
        exceptions.TaskCancelledError,
        exceptions.TaskUnschedulableError,
    )
    if not isinstance(error, kinds):
        return None
    first_line = (str(error) or type(error).__name__).strip().splitlines()[0]
    return WorkerLostError(f"a worker of the Ray cluster is gone: {first_line}")


def is_of_a_node(error: BaseException) -> bool:
    """Whether a node is gone, and not only one of its workers."""
    exceptions = importlib.import_module("ray.exceptions")
    return isinstance(
        error, exceptions.NodeDiedError | exceptions.TaskUnschedulableError | exceptions.LocalRayletDiedError
    )
