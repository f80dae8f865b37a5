"""What programs import from `py4j.protocol`: the errors of Spark's JVM."""

from __future__ import annotations

from esker.errors import EskerError


class Py4JError(EskerError):
    """An error at the border to the JVM."""

    code = ""


class Py4JJavaError(Py4JError):
    """What a job that failed raises in PySpark.

    Here it is a second base of the error that says what happened: `except Py4JJavaError` catches it, and so does
    `except esker.errors.UserFunctionError`. It has no Java object; `java_exception` answers the calls that programs
    make to print it.
    """

    @property
    def java_exception(self) -> _Printed:
        """What stands for Java's exception: `getMessage()` and `toString()`."""
        return _Printed(str(self))


class _Printed:
    def __init__(self, message: str) -> None:
        self._message = message

    def getMessage(self) -> str:
        """Give the message."""
        return self._message

    def toString(self) -> str:
        """Give the message with the name of its class."""
        return f"org.apache.spark.SparkException: {self._message}"

    __str__ = toString
