"""Values that tasks read, sent to each worker once."""

from __future__ import annotations

import gc
import pickle  # noqa: TID251  # `dump` and `load` are Spark's own, for files of one's own program
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from esker.compat.pyspark.errors import PySparkRuntimeError
from esker.engine.bag.broadcast import Broadcast as _Broadcast
from esker.engine.bag.broadcast import broadcast as _broadcast

T = TypeVar("T")


class Broadcast(Generic[T]):
    """A value that lies once on the machine, for all tasks; `SparkContext.broadcast` makes it.

    >>> from esker.compat.pyspark import SparkContext
    >>> with SparkContext("local[2]", "names") as sc:
    ...     names = sc.broadcast({1: "one", 2: "two"})
    ...     sc.range(1, 3).map(lambda n: names.value[n]).collect()
    ['one', 'two']
    """

    def __init__(
        self, sc: Any = None, value: T | None = None, forget: Callable[[Broadcast[T]], None] | None = None
    ) -> None:
        self._shared: _Broadcast[Any] = _broadcast(value)
        self._forget = forget
        self._on_driver = True

    @property
    def value(self) -> T:
        """The value. Raises an error once it was destroyed."""
        value: T = self._shared.value
        return value

    def dump(self, value: T, f: BinaryIO) -> None:
        """Pickle a value into a file, and close it. Raises pickle.PicklingError for what cannot be pickled."""
        try:
            pickle.dump(value, f, protocol=5)
        except pickle.PickleError:
            raise
        except Exception as error:
            message = f"Could not serialize broadcast: {type(error).__name__}: {error}"
            raise pickle.PicklingError(message) from error
        f.close()

    def load(self, file: BinaryIO) -> Any:
        """Unpickle a value from a file that `dump` wrote. It runs whatever lies in it: only for files of one's own."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            return pickle.load(file)
        finally:
            if collecting:
                gc.enable()

    def load_from_path(self, path: str) -> Any:
        """Unpickle a value from a file by its path, as `load` does."""
        with Path(path).open("rb") as file:
            return self.load(file)

    def unpersist(self, blocking: bool = False) -> None:
        """Drop copies that workers hold: they hold none, as all read the one. The value can still be used."""
        self._require_driver("unpersisted")

    def destroy(self, blocking: bool = False) -> None:
        """Free the value; who uses it afterwards gets an error."""
        self._require_driver("destroyed")
        self._shared.release()
        if self._forget is not None:
            self._forget(self)
            self._forget = None

    def _require_driver(self, operation: str) -> None:
        if not self._on_driver:
            raise PySparkRuntimeError(
                f"Broadcast can only be {operation} in driver.", "INVALID_BROADCAST_OPERATION", {"operation": operation}
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return _in_task, (self._shared,)


def _in_task(shared: _Broadcast[Any]) -> Broadcast[Any]:
    made: Broadcast[Any] = Broadcast.__new__(Broadcast)
    made._shared, made._forget, made._on_driver = shared, None, False
    return made
