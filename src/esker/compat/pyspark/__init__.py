"""Spark's RDD API over Esker's Bag: `from esker.compat.pyspark import SparkContext`, without Java.

Modules have PySpark's names, without `core`: `pyspark.statcounter` is `esker.compat.pyspark.statcounter`, and
`pyspark.core.rdd` is `esker.compat.pyspark.rdd`. What `py4j.protocol` has is in `esker.compat.pyspark.protocol`.

>>> from esker.compat.pyspark import SparkContext
>>> with SparkContext("local[2]", "pairs") as sc:
...     sc.parallelize([("a", 1), ("b", 1), ("a", 1)]).countByKey()["a"]
2
"""

from __future__ import annotations

from esker.compat.pyspark.accumulators import Accumulator, AccumulatorParam
from esker.compat.pyspark.approximate import BoundedFloat
from esker.compat.pyspark.barrier import BarrierTaskInfo
from esker.compat.pyspark.broadcast import Broadcast
from esker.compat.pyspark.conf import SparkConf
from esker.compat.pyspark.context import VERSION as __version__
from esker.compat.pyspark.context import SparkContext, UnsafePickleWarning
from esker.compat.pyspark.errors import PySparkException, PySparkRuntimeError
from esker.compat.pyspark.files import SparkFiles
from esker.compat.pyspark.jobs import InheritableThread, inheritable_thread_target
from esker.compat.pyspark.rdd import RDD, RDDBarrier
from esker.compat.pyspark.resultiterable import ResultIterable
from esker.compat.pyspark.serializers import CPickleSerializer, MarshalSerializer
from esker.compat.pyspark.statcounter import StatCounter
from esker.compat.pyspark.status import SparkExecutorInfo, SparkJobInfo, SparkStageInfo, StatusTracker
from esker.compat.pyspark.storagelevel import StorageLevel
from esker.compat.pyspark.taskcontext import BarrierTaskContext, TaskContext

__all__ = [
    "Accumulator",
    "AccumulatorParam",
    "BarrierTaskContext",
    "BarrierTaskInfo",
    "BoundedFloat",
    "Broadcast",
    "CPickleSerializer",
    "InheritableThread",
    "MarshalSerializer",
    "PySparkException",
    "PySparkRuntimeError",
    "RDD",
    "RDDBarrier",
    "ResultIterable",
    "SparkConf",
    "SparkContext",
    "SparkExecutorInfo",
    "SparkFiles",
    "SparkJobInfo",
    "SparkStageInfo",
    "StatCounter",
    "StatusTracker",
    "StorageLevel",
    "TaskContext",
    "UnsafePickleWarning",
    "__version__",
    "inheritable_thread_target",
]
