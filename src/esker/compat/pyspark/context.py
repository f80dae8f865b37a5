"""SparkContext: where RDDs come from, on one machine and without a JVM."""

from __future__ import annotations

import atexit
import getpass
import importlib
import itertools
import logging
import shutil
import sys
import tempfile
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

from esker.collection.bag.bag import Bag
from esker.collection.bag.files import read_binary, read_files, read_text
from esker.compat.pyspark import partition_work, paths, saving
from esker.compat.pyspark.accumulators import Accumulator, AccumulatorParam, default_param
from esker.compat.pyspark.barrier import ADDRESS, BarrierServer
from esker.compat.pyspark.broadcast import Broadcast
from esker.compat.pyspark.conf import SparkConf
from esker.compat.pyspark.errors import (
    IllegalArgumentException,
    NestedRDDError,
    PySparkNotImplementedError,
    PySparkRuntimeError,
    as_in_spark,
)
from esker.compat.pyspark.files import ROOT, Shipped, SparkFiles, local_path
from esker.compat.pyspark.jobs import DESCRIPTION, GROUP, JOB, PROPERTIES, STAGE, TAGS, Job, Jobs, tags_of
from esker.compat.pyspark.master import read_master
from esker.compat.pyspark.protocol import Py4JJavaError
from esker.compat.pyspark.rdd import RDD
from esker.compat.pyspark.slices import slices
from esker.compat.pyspark.status import StatusTracker
from esker.core.clock import SYSTEM_CLOCK
from esker.engine.bag.task_state import current_task

__all__ = ["SparkContext"]

T = TypeVar("T")
U = TypeVar("U")

# The version of the interface that is followed.
VERSION = "4.3.0"

_LOG_LEVELS = {
    "ALL": logging.NOTSET + 1,
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "OFF": logging.CRITICAL + 1,
}
_PACKAGES = (".zip", ".egg", ".jar")


class UnsafePickleWarning(UserWarning):
    """A pickle file is read, which runs whatever code lies in it."""


class SparkContext:
    """Make RDDs, and run their jobs in worker processes of this machine.

    >>> with SparkContext("local[2]", "squares") as sc:
    ...     sc.range(4).map(lambda n: n * n).sum()
    14

    There is one context at a time, as in Spark; `local[4]` runs four tasks at once, `local` one, `local[*]`, the
    default, as many as there are cores. `docs/pyspark.md` says which settings count.
    """

    collection_kind = "SparkContext"
    nested_error = NestedRDDError

    _active_spark_context: ClassVar[SparkContext | None] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()
    PACKAGE_EXTENSIONS: ClassVar[tuple[str, ...]] = _PACKAGES

    def __init__(
        self,
        master: str | None = None,
        appName: str | None = None,
        sparkHome: str | None = None,
        pyFiles: Sequence[str] | None = None,
        environment: dict[str, Any] | None = None,
        batchSize: int = 0,
        serializer: Any = None,
        conf: SparkConf | None = None,
        gateway: Any = None,
        jsc: Any = None,
        profiler_cls: Any = None,
        udf_profiler_cls: Any = None,
        memory_profiler_cls: Any = None,
    ) -> None:
        if current_task() is not None:
            raise NestedRDDError("a SparkContext can only be made on the driver, not in a function that runs in tasks")
        self._stopped = False
        self._made_at = _call_site()
        self._conf = _settings(conf, master, appName, sparkHome, environment)
        self.master = str(self._conf.get("spark.master"))
        self.appName = str(self._conf.get("spark.app.name"))
        self.sparkHome = self._conf.get("spark.home")
        self.environment = dict(environment or {})
        self._workers, failures = read_master(self.master)
        self._batchSize = batchSize
        self._options = _options(self._conf, self._workers, failures)
        self._start_time = int(SYSTEM_CLOCK.wall_seconds() * 1000)
        self._conf.setIfMissing("spark.app.id", f"local-{self._start_time}")
        self._conf.setIfMissing("spark.app.startTime", self._start_time)
        self._conf.setIfMissing("spark.executor.id", "driver")
        self._rdd_ids = itertools.count()
        self._accumulator_ids = itertools.count()
        self._jobs = Jobs()
        self._broadcasts: weakref.WeakSet[Broadcast[Any]] = weakref.WeakSet()
        self._checkpoint_dir: str | None = None
        self._deadlines = threading.local()
        self._become_active()
        self._temp_dir = Path(tempfile.mkdtemp(prefix="esker-spark-"))
        root = self._temp_dir / "userFiles"
        root.mkdir()
        self._shipped = Shipped(root)
        SparkFiles._root_directory = str(root)
        sys.path.insert(1, str(root))
        atexit.register(self.stop)
        for path in pyFiles or ():
            self.addPyFile(path)

    def _become_active(self) -> None:
        with SparkContext._lock:
            other = SparkContext._active_spark_context
            if other is not None:
                raise ValueError(
                    f"Cannot run multiple SparkContexts at once; existing SparkContext(app={other.appName}, "
                    f"master={other.master}) created by {other._made_at}"
                )
            SparkContext._active_spark_context = self

    @classmethod
    def getOrCreate(cls, conf: SparkConf | None = None) -> SparkContext:
        """Give the context that runs, or make one."""
        with SparkContext._lock:
            return SparkContext._active_spark_context or SparkContext(conf=conf)

    def stop(self) -> None:
        """Stop all jobs and free what the context holds; RDDs of it are of no more use."""
        if self._stopped:
            return
        self._stopped = True
        self._jobs.cancel(lambda job: True, "as the context was stopped")
        for broadcast in list(self._broadcasts):
            broadcast.destroy()
        root = str(self._temp_dir / "userFiles")
        sys.path[:] = [path for path in sys.path if not path.startswith(root)]
        if SparkFiles._root_directory == root:
            SparkFiles._root_directory = None
        shutil.rmtree(self._temp_dir, ignore_errors=True)
        atexit.unregister(self.stop)
        with SparkContext._lock:
            if SparkContext._active_spark_context is self:
                SparkContext._active_spark_context = None

    def __enter__(self) -> SparkContext:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<SparkContext master={self.master} appName={self.appName}>"

    def __reduce__(self) -> NoReturn:
        raise NestedRDDError(
            "a SparkContext cannot be sent to a task or saved: use it on the driver, and hand results to functions "
            "(SPARK-5063)"
        )

    # What it is

    @property
    def version(self) -> str:
        """The version of Spark whose interface this is."""
        return VERSION

    @property
    def applicationId(self) -> str:
        """A name that no other context has."""
        return str(self._conf.get("spark.app.id"))

    @property
    def startTime(self) -> int:
        """When it was made, in milliseconds since 1970."""
        return self._start_time

    @property
    def uiWebUrl(self) -> None:
        """The address of Spark's web page: None, as in Spark where the page is switched off."""
        return

    @property
    def defaultParallelism(self) -> int:
        """How many partitions things have when nobody says: as many as tasks run at once."""
        return int(self._conf.get("spark.default.parallelism") or self._workers)

    @property
    def defaultMinPartitions(self) -> int:
        """How many partitions files have at least when nobody says."""
        return min(self.defaultParallelism, 2)

    @property
    def resources(self) -> dict[str, Any]:
        """Accelerators of the driver: none."""
        return {}

    def getConf(self) -> SparkConf:
        """Give a copy of the settings."""
        return SparkConf().setAll(self._conf.getAll())

    def sparkUser(self) -> str:
        """Give the name of who runs it."""
        return getpass.getuser()

    def setLogLevel(self, logLevel: str) -> None:
        """Set how much Esker logs: ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL, OFF."""
        if logLevel.upper() not in _LOG_LEVELS:
            raise IllegalArgumentException(f"log level {logLevel!r} is none of {', '.join(_LOG_LEVELS)}")
        logging.getLogger("esker").setLevel(_LOG_LEVELS[logLevel.upper()])

    @classmethod
    def setSystemProperty(cls, key: str, value: str) -> NoReturn:
        """Raise NotImplementedError: there is no JVM whose property it could be."""
        raise PySparkNotImplementedError("setSystemProperty sets a property of a JVM, and there is none here")

    @classmethod
    def getSystemProperty(cls, key: str) -> NoReturn:
        """Raise NotImplementedError: there is no JVM whose property it could be."""
        raise PySparkNotImplementedError("getSystemProperty asks a JVM, and there is none here")

    # RDDs of values

    def _source(self, bag: Bag, operation: str, kind: str) -> RDD[Any]:
        self._require_running()
        return RDD(bag.with_options(**self._options), self, operation, kind=kind)

    def _next_rdd_id(self) -> int:
        return next(self._rdd_ids)

    def _require_running(self) -> None:
        if self._stopped:
            raise Py4JJavaError("Cannot call methods on a stopped SparkContext: make another one")

    def parallelize(self, c: Iterable[T], numSlices: int | None = None) -> RDD[T]:
        """Cut elements into partitions, as PySpark does: neighbours stay neighbours, the last ones may be longer."""
        count = self.defaultParallelism if numSlices is None else int(numSlices)
        if count < 1:
            raise IllegalArgumentException("Positive number of partitions required")
        parts = slices(c, count, self._batchSize or 1024)
        source = self._source(Bag.from_partitions(parts), "parallelize", "ParallelCollectionRDD")
        # Spark computes a range in the tasks: an RDD of its own.
        return source._derived(source._bag, "parallelize") if isinstance(c, range) else source

    def range(self, start: int, end: int | None = None, step: int = 1, numSlices: int | None = None) -> RDD[int]:
        """Count from `start` (or from 0, to it) to before `end`."""
        return self.parallelize(range(start, end, step) if end is not None else range(0, start, step), numSlices)

    def emptyRDD(self) -> RDD[Any]:
        """Make an RDD without partitions."""
        return self._source(Bag.from_partitions([]), "emptyRDD", "EmptyRDD")

    def union(self, rdds: Sequence[RDD[Any]]) -> RDD[Any]:
        """Put RDDs one behind the other; those of one partitioner partition by partition."""
        first, others = rdds[0], rdds[1:]
        aligned = first.partitioner is not None and all(rdd.partitioner == first.partitioner for rdd in others)
        bags = [rdd._bag for rdd in others]
        if aligned:
            bag = first._bag.union_partitions(*bags)
            return first._derived(bag, "union", others=others, partitioner=first.partitioner)
        return first._derived(first._bag.union(*bags), "union", others=others)

    # RDDs of files

    def textFile(self, name: str, minPartitions: int | None = None, use_unicode: bool = True) -> RDD[str]:
        """Read lines of text files: `name` is a file, a folder, a pattern, or several with commas between.

        The first partition begins with the first line. `.gz`, `.bz2`, `.zst` and `.xz` are read as what they hold.
        With `use_unicode=False` lines are bytes.
        """
        files = _inputs(name)
        least = minPartitions or self.defaultMinPartitions
        errors = "replace" if use_unicode else "surrogateescape"
        rdd = self._source(read_text(files, partitions=least, errors=errors), "textFile", "MapPartitionsRDD")
        return rdd if use_unicode else rdd._derived(rdd._bag.map(_to_bytes), "textFile")

    def wholeTextFiles(
        self, path: str, minPartitions: int | None = None, use_unicode: bool = True
    ) -> RDD[tuple[str, str]]:
        """Read each file whole: pairs of its name and its text (bytes, with `use_unicode=False`)."""
        rdd = self._files(path, minPartitions, "wholeTextFiles")
        return rdd._derived(rdd._bag.map_values(_to_text), "wholeTextFiles") if use_unicode else rdd

    def binaryFiles(self, path: str, minPartitions: int | None = None) -> RDD[tuple[str, bytes]]:
        """Read each file whole: pairs of its name and its bytes."""
        return self._files(path, minPartitions, "binaryFiles")

    def _files(self, path: str, minPartitions: int | None, operation: str) -> RDD[Any]:
        bag = read_files(_inputs(path), partitions=minPartitions or self.defaultMinPartitions)
        return self._source(bag.map(_named_as_uri), operation, "BinaryFileRDD")

    def binaryRecords(self, path: str, recordLength: int) -> RDD[bytes]:
        """Read files as records of a number of bytes."""
        bag = read_binary(_inputs(path), record_bytes=recordLength, partitions=self.defaultMinPartitions)
        return self._source(bag, "binaryRecords", "MapPartitionsRDD")

    def pickleFile(self, name: str, minPartitions: int | None = None) -> RDD[Any]:
        """Read what `RDD.saveAsPickleFile` wrote.

        **Reading a pickle runs whatever code lies in it.** Read only what you wrote yourself, where nobody else could
        change it; UnsafePickleWarning says so at every call. Text, JSON lines and Parquet carry no code.
        """
        _warn_of_pickle(name)
        return self._pickled(name, minPartitions or self.defaultMinPartitions, "pickleFile")

    def _pickled(self, name: str, minPartitions: int, operation: str) -> RDD[Any]:
        files = [Path(path) for path in _inputs(name)]
        parts = [[part] for part in saving.pickled_parts(files, minPartitions)]
        return self._source(Bag.from_partitions(parts).flat_map(iter), operation, "MapPartitionsRDD")

    def hadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's input formats."""
        _needs_hadoop("hadoopFile")

    def hadoopRDD(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's input formats."""
        _needs_hadoop("hadoopRDD")

    def newAPIHadoopFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's input formats."""
        _needs_hadoop("newAPIHadoopFile")

    def newAPIHadoopRDD(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's input formats."""
        _needs_hadoop("newAPIHadoopRDD")

    def sequenceFile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise NotImplementedError: it runs Hadoop's writables."""
        _needs_hadoop("sequenceFile")

    # What tasks share

    def broadcast(self, value: T) -> Broadcast[T]:
        """Lay a value where all tasks read it; it is sent once."""
        self._require_running()
        made = Broadcast(self, value, self._broadcasts.discard)
        self._broadcasts.add(made)
        return made

    def accumulator(self, value: T, accum_param: AccumulatorParam[T] | None = None) -> Accumulator[T]:
        """Make a variable that tasks add to. Raises TypeError for what is no number, without `accum_param`."""
        self._require_running()
        return Accumulator(next(self._accumulator_ids), value, accum_param or default_param(value))

    def addFile(self, path: str, recursive: bool = False) -> None:
        """Copy a file, or with `recursive` a folder, to where tasks find it by `SparkFiles.get`."""
        with as_in_spark():
            self._shipped.add_file(path, recursive)

    def addPyFile(self, path: str) -> None:
        """Copy a module, or a package in a zip, to where tasks import from."""
        with as_in_spark():
            target = self._shipped.add_file(path)
        if target.suffix.lower() in _PACKAGES and str(target) not in sys.path:
            sys.path.insert(1, str(target))
        importlib.invalidate_caches()

    def addArchive(self, path: str) -> None:
        """Unpack an archive where tasks find it by `SparkFiles.get`."""
        with as_in_spark():
            self._shipped.add_archive(path)

    @property
    def listFiles(self) -> list[str]:
        """The files that were added."""
        return self._shipped.files

    @property
    def listArchives(self) -> list[str]:
        """The archives that were added."""
        return self._shipped.archives

    def setCheckpointDir(self, dirName: str) -> None:
        """Set where `RDD.checkpoint` saves: a folder of this context's own is made there."""
        folder = Path(tempfile.mkdtemp(dir=_made_folder(dirName)))
        self._checkpoint_dir = f"file:{folder}"

    def getCheckpointDir(self) -> str | None:
        """Give where `RDD.checkpoint` saves, or None."""
        return self._checkpoint_dir

    # Jobs

    @contextmanager
    def _job(self, rdd: RDD[Any], name: str) -> Iterator[Bag]:
        """Run an action: gives the Bag to run it on. What fails can be caught as in PySpark."""
        self._require_running()
        with as_in_spark(), ExitStack() as stack:
            self._save_checkpoints(rdd)
            stages = 1 + sum(ancestor._wide for ancestor in rdd._ancestors())
            job = stack.enter_context(self._jobs.running(name, stages, rdd.getNumPartitions()))
            properties = {**job.properties, JOB: str(job.number), STAGE: str(job.stages[-1])}
            properties[ROOT] = str(SparkFiles._root_directory)
            barriers = self._barriers(rdd)
            if barriers:
                server = stack.enter_context(BarrierServer(self._temp_dir, barriers))
                properties[ADDRESS] = server.address
            self._stop_in_time(job, stack)
            yield rdd._bag.with_options(cancellation=job.cancellation, task_properties=properties)

    def _barriers(self, rdd: RDD[Any]) -> dict[str, int]:
        """The barrier stages of a job: by their RDDs, with the number of their tasks."""
        found = {
            str(ancestor._parents[0].id()): ancestor.getNumPartitions()
            for ancestor in rdd._ancestors()
            if ancestor._barrier and not ancestor._parents[0]._barrier
        }
        for count in found.values():
            if count > self._workers:
                raise Py4JJavaError(
                    f"a barrier stage of {count} tasks needs as many at once, and master {self.master} runs "
                    f"{self._workers}: use local[{count}], or coalesce to fewer partitions"
                )
        return found

    def _save_checkpoints(self, rdd: RDD[Any]) -> None:
        for ancestor in rdd._ancestors():
            if ancestor.is_checkpointed and ancestor._checkpoint_file is None:
                ancestor._checkpoint_file = target = f"{self._checkpoint_dir}/rdd-{ancestor.id()}"
                try:
                    ancestor.saveAsPickleFile(target)
                except BaseException:
                    ancestor._checkpoint_file = None
                    raise
                self._read_from_checkpoint(ancestor, target)

    def _read_from_checkpoint(self, rdd: RDD[Any], target: str) -> None:
        """Read it from its files from now on: a partition a file."""
        files = [Path(path) for path in _inputs(target)]
        parts = [[saving.PickledPart(str(path), 0, path.stat().st_size)] for path in files]
        rdd._bag = Bag.from_partitions(parts).flat_map(iter).with_options(**self._options)
        rdd._parents = ()

    def _stop_in_time(self, job: Job, stack: ExitStack) -> None:
        seconds = getattr(self._deadlines, "seconds", None)
        if seconds is None:
            return
        timer = threading.Timer(max(0.0, seconds), job.cancellation.cancel, ["its time is over"])
        timer.daemon = True
        timer.start()
        stack.callback(timer.cancel)

    @contextmanager
    def _stopping_after(self, seconds: float) -> Iterator[None]:
        """Stop jobs that this thread starts in the block when their time is over."""
        self._deadlines.seconds = seconds
        try:
            yield
        finally:
            self._deadlines.seconds = None

    def runJob(
        self,
        rdd: RDD[T],
        partitionFunc: Callable[[Iterable[T]], Iterable[U]],
        partitions: Sequence[int] | None = None,
        allowLocal: bool = False,
    ) -> list[U]:
        """Apply a function to the chosen partitions, and give all that it gives."""
        parts = rdd._each("runJob", partition_work.Listed(partitionFunc), partitions)
        return [element for part in parts for element in part]

    def setLocalProperty(self, key: str, value: str | None) -> None:
        """Set a property of the jobs that this thread starts, or with None remove it."""
        if value is None:
            PROPERTIES.values.pop(key, None)
        else:
            PROPERTIES.values[key] = str(value)

    def getLocalProperty(self, key: str) -> str | None:
        """Give a property of the jobs that this thread starts."""
        return PROPERTIES.values.get(key)

    def setJobGroup(self, groupId: str, description: str, interruptOnCancel: bool = False) -> None:
        """Put the jobs that this thread starts into a group. They are always stopped at once when cancelled."""
        self.setLocalProperty(GROUP, groupId)
        self.setLocalProperty(DESCRIPTION, description)

    @contextmanager
    def _in_group(self, groupId: str, description: str) -> Iterator[None]:
        before = dict(PROPERTIES.values)
        self.setJobGroup(groupId, description)
        try:
            yield
        finally:
            PROPERTIES.values = before

    def setJobDescription(self, value: str | None) -> None:
        """Describe the jobs that this thread starts."""
        self.setLocalProperty(DESCRIPTION, value)

    def setInterruptOnCancel(self, interruptOnCancel: bool) -> None:
        """Take whether tasks are interrupted when cancelled: they always are, their processes are ended."""
        self.setLocalProperty("spark.job.interruptOnCancel", str(interruptOnCancel).lower())

    def addJobTag(self, tag: str) -> None:
        """Tag the jobs that this thread starts. Raises ValueError for an empty tag or one with a comma."""
        _check_tag(tag)
        self._set_tags(self.getJobTags() | {tag})

    def removeJobTag(self, tag: str) -> None:
        """Remove a tag; one that is not there is fine."""
        _check_tag(tag)
        self._set_tags(self.getJobTags() - {tag})

    def getJobTags(self) -> set[str]:
        """Give the tags of the jobs that this thread starts."""
        return tags_of(PROPERTIES.values)

    def clearJobTags(self) -> None:
        """Remove all tags."""
        self._set_tags(set())

    def _set_tags(self, tags: set[str]) -> None:
        self.setLocalProperty(TAGS, ",".join(sorted(tags)) or None)

    def cancelJobGroup(self, groupId: str) -> None:
        """Stop the running jobs of a group; their actions raise."""
        self._jobs.cancel(lambda job: job.group == groupId, f"as part of group {groupId}")

    def cancelJobsWithTag(self, tag: str) -> None:
        """Stop the running jobs with a tag; their actions raise."""
        _check_tag(tag)
        self._jobs.cancel(lambda job: tag in job.tags, f"as one with tag {tag}")

    def cancelAllJobs(self) -> None:
        """Stop all running jobs; their actions raise."""
        self._jobs.cancel(lambda job: True, "with all others")

    def statusTracker(self) -> StatusTracker:
        """Give what tells of jobs."""
        return StatusTracker(self._jobs, lambda: self._workers)

    def show_profiles(self) -> NoReturn:
        """Raise PySparkRuntimeError: profiles of tasks are not taken."""
        raise _no_profile()

    def dump_profiles(self, path: str) -> NoReturn:
        """Raise PySparkRuntimeError: profiles of tasks are not taken."""
        raise _no_profile()


def _settings(
    conf: SparkConf | None,
    master: str | None,
    appName: str | None,
    sparkHome: str | None,
    environment: dict[str, Any] | None,
) -> SparkConf:
    """The settings of a context: its own copy, what the call says, and defaults."""
    settings = SparkConf().setAll(conf.getAll() if conf is not None else [])
    given = {"spark.master": master, "spark.app.name": appName, "spark.home": sparkHome}
    settings.setAll([(key, value) for key, value in given.items() if value])
    for name, value in (environment or {}).items():
        settings.setExecutorEnv(name, value)
    settings.setIfMissing("spark.master", "local[*]")
    settings.setIfMissing("spark.app.name", "pyspark-shell")
    settings.setIfMissing("spark.submit.deployMode", "client")
    return settings


def _options(conf: SparkConf, workers: int, failures: int) -> dict[str, Any]:
    """What a Bag is told: how many tasks at once, how often a lost one is tried again, memory, and where to spill."""
    options: dict[str, Any] = {"workers": workers, "retries": failures - 1}
    memory = conf.get("spark.python.worker.memory")
    if memory:
        options["memory"] = workers * _jvm_bytes(memory)
    folder = conf.get("spark.local.dir")
    if folder:
        options["spill_folder"] = folder.split(",")[0]
    return options


def _jvm_bytes(text: str) -> int:
    """Read a size as the JVM writes it: 512m, 2g; without a letter, bytes.

    >>> _jvm_bytes("512m"), _jvm_bytes("2g"), _jvm_bytes("1024")
    (536870912, 2147483648, 1024)
    """
    plain = text.strip().lower().removesuffix("b")
    shift = {"k": 10, "m": 20, "g": 30, "t": 40}.get(plain[-1:], 0)
    try:
        return int(plain[:-1] if shift else plain) << shift
    except ValueError as error:
        raise IllegalArgumentException(f"{text!r} is no size: write 512m or 2g") from error


def _call_site() -> str:
    for frame in reversed(traceback.extract_stack()):
        if frame.filename != __file__:
            return f"{frame.name} at {frame.filename}:{frame.lineno}"
    return "the driver"


def _inputs(name: str) -> list[str]:
    with as_in_spark():
        return paths.inputs(name)


def _made_folder(name: str) -> Path:
    folder = local_path(name)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _to_bytes(line: str) -> bytes:
    return line.encode("utf-8", "surrogateescape")


def _to_text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _named_as_uri(pair: tuple[str, bytes]) -> tuple[str, bytes]:
    name, data = pair
    return (name if "://" in name else f"file:{name}"), data


def _check_tag(tag: str) -> None:
    if not tag or "," in tag:
        raise IllegalArgumentException(f"a job tag has at least one letter and no comma, not {tag!r}")


def _warn_of_pickle(name: str) -> None:
    import warnings

    warnings.warn(
        f"pickleFile({name!r}) runs whatever code lies in the files: read only what you wrote yourself",
        UnsafePickleWarning,
        stacklevel=3,
    )


def _no_profile() -> PySparkRuntimeError:
    return PySparkRuntimeError("Profiles of tasks are not taken here.", "INCORRECT_CONF_FOR_PROFILE")


def _needs_hadoop(name: str) -> NoReturn:
    raise PySparkNotImplementedError(
        f"{name} runs Hadoop's Java classes, and there is no JVM here: "
        "use textFile, or read_parquet of Esker; files of other formats go through Spark once, to text or Parquet"
    )
