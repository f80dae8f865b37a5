"""Configuration: words and values, as Spark keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from esker.compat.pyspark.errors import PySparkRuntimeError


class SparkConf:
    """Hold settings by name. Which of them count is told in `docs/pyspark.md`; the others are kept and ignored.

    >>> conf = SparkConf().setMaster("local[2]").setAppName("census")
    >>> conf.get("spark.master"), conf.get("spark.local.dir"), conf.get("spark.local.dir", "/tmp")
    ('local[2]', None, '/tmp')
    """

    def __init__(self, loadDefaults: bool = True, _jvm: Any = None, _jconf: Any = None) -> None:
        # There are no Java system properties to load: `loadDefaults` is taken so that calls stay as they are.
        self._conf: dict[str, str] = {}

    def set(self, key: str, value: Any) -> SparkConf:
        """Set a value; it is kept as text."""
        self._conf[key] = str(value)
        return self

    def setIfMissing(self, key: str, value: Any) -> SparkConf:
        """Set a value that is not set yet."""
        self._conf.setdefault(key, str(value))
        return self

    def setMaster(self, value: str) -> SparkConf:
        """Set where to run: local, local[4] or local[*]."""
        return self.set("spark.master", value)

    def setAppName(self, value: str) -> SparkConf:
        """Set the name of the program."""
        return self.set("spark.app.name", value)

    def setSparkHome(self, value: str) -> SparkConf:
        """Set where Spark would be installed; nothing is read from there."""
        return self.set("spark.home", value)

    def setExecutorEnv(
        self, key: str | None = None, value: str | None = None, pairs: Iterable[tuple[str, str]] | None = None
    ) -> SparkConf:
        """Set an environment variable of the tasks, or several. Raises PySparkRuntimeError for both or neither."""
        if (key is None) == (pairs is None):
            raise PySparkRuntimeError(
                "setExecutorEnv takes either a key and its value or a list of pairs.", "KEY_VALUE_PAIR_REQUIRED"
            )
        for name, content in pairs if pairs is not None else [(key, value)]:
            self.set(f"spark.executorEnv.{name}", content)
        return self

    def setAll(self, pairs: Iterable[tuple[str, Any]]) -> SparkConf:
        """Set several values."""
        for key, value in pairs:
            self.set(key, value)
        return self

    def get(self, key: str, defaultValue: str | None = None) -> str | None:
        """Give a value, or the default."""
        return self._conf.get(key, defaultValue)

    def getAll(self) -> list[tuple[str, str]]:
        """Give all names and values."""
        return list(self._conf.items())

    def contains(self, key: str) -> bool:
        """Tell whether a value is set."""
        return key in self._conf

    def toDebugString(self) -> str:
        """Give all settings, a line each, sorted."""
        return "\n".join(f"{key}={value}" for key, value in sorted(self._conf.items()))
