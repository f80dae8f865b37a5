"""What PySpark raises, under its names: `pyspark.errors` for what it checks itself, and JobError for what a job met.

All are Esker's errors too, so that `except EskerError` sees them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pickle import PicklingError  # noqa: TID251  # only the class that PySpark raises; nothing is pickled here
from typing import Any

from esker.compat.pyspark.protocol import Py4JJavaError
from esker.errors import EskerError, NestedCollectionError


class PySparkException(EskerError):
    """The base of what PySpark raises; `errorClass` names the condition as Spark does."""

    code = ""  # Spark's messages are as Spark writes them: they begin with the condition's name.

    def __init__(
        self,
        message: str | None = None,
        errorClass: str | None = None,
        messageParameters: Mapping[str, str] | None = None,
    ) -> None:
        self._message = message or ""
        self._errorClass = errorClass
        self._messageParameters = dict(messageParameters or {})
        super().__init__(f"[{errorClass}] {self._message}" if errorClass else self._message)

    def __reduce__(self) -> Any:
        return type(self), (self._message, self._errorClass, self._messageParameters)

    def getCondition(self) -> str | None:
        """Give the name of the condition, such as MASTER_URL_NOT_SET."""
        return self._errorClass

    getErrorClass = getCondition

    def getMessageParameters(self) -> dict[str, str]:
        """Give the values that the message speaks of."""
        return self._messageParameters

    def getMessage(self) -> str:
        """Give the message with its condition."""
        return str(self)

    def getSqlState(self) -> str | None:
        """Give the SQL state: none, as no error here comes from SQL."""
        return None


class PySparkRuntimeError(PySparkException, RuntimeError):
    """A call that is not possible where or when it was made."""


class PySparkValueError(PySparkException, ValueError):
    """An argument out of its range."""


class PySparkTypeError(PySparkException, TypeError):
    """An argument of the wrong type."""


class PySparkAttributeError(PySparkException, AttributeError):
    """An attribute that is not there."""


class PySparkPicklingError(PySparkException, PicklingError):
    """A function or value that cannot be sent to a worker."""


class PySparkNotImplementedError(PySparkException, NotImplementedError):
    """Something that needs Hadoop's classes, a JVM or a cluster; the message says which."""


class IllegalArgumentException(PySparkValueError, Py4JJavaError):
    """An argument that Spark's JVM would refuse."""


class NestedRDDError(NestedCollectionError, PySparkRuntimeError, PicklingError):
    """An RDD or a SparkContext used inside a function that runs on partitions (SPARK-5063).

    PySpark raises a PicklingError around a PySparkRuntimeError, at the action; this is both, raised where the function
    is handed over.
    """

    def __init__(self, message: str, *_: Any) -> None:
        PySparkRuntimeError.__init__(self, message, "CONTEXT_ONLY_VALID_ON_DRIVER")


@functools.cache
def _also_java(kind: Any) -> Any:
    bases = (Py4JJavaError,) if issubclass(Py4JJavaError, kind) else (kind, Py4JJavaError)
    return type("Py4JJavaError", bases, {"__module__": Py4JJavaError.__module__, "__doc__": kind.__doc__})


@contextmanager
def as_in_spark() -> Iterator[None]:
    """Let what a job raises be caught as Py4JJavaError too.

    The error stays the one it was, with its message, cause and traceback; only its class gains a base.
    """
    try:
        yield
    except Py4JJavaError:
        raise
    except EskerError as error:
        kind: Any = type(error)
        error.__class__ = _also_java(kind)
        raise
