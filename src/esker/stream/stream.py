"""The Stream: where elements come from and what is done with each; every verb is a line into a themed module."""

from __future__ import annotations

import math
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import anyio

from esker.core.byte_size import parse_bytes
from esker.errors import OptionError
from esker.stream import buffers, concurrent, consumer, failure, fan_in, sources, steps, timing
from esker.stream.consumer import Consumer, Record
from esker.stream.failure import Backoff, Kinds
from esker.stream.fan_out import FanOut
from esker.stream.kill_switch import KillSwitch, kill_switch
from esker.stream.reading import Reader, opened, read_blocking, run_blocking
from esker.stream.run import Elements, Run, Stage, Step, Tasks, open_run
from esker.stream.sink import Sink
from esker.stream.supervisor import Decide, Decision, Supervisor, decision

if TYPE_CHECKING:
    from esker.collection.dataset import Dataset

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")
R = TypeVar("R")

CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 16 << 20


class Stream(Generic[T]):
    """Elements that flow when they are asked for: a source and steps, lazy, as often run as its source can be.

    >>> from esker import Stream
    >>> Stream(range(10)).filter(lambda n: n % 2).map(lambda n: n * n).collect()
    [1, 9, 25, 49, 81]

    A list or a range can be run many times, a generator once. `blocking` iterables are read by a thread. Run a
    stream by `run(sink)`, or `await run_async(sink)` where an event loop runs; or iterate over it, by `for`, by
    `async for`, or within `async with stream.open() as elements`.
    """

    def __init__(self, source: Iterable[T] | AsyncIterable[T], *, blocking: bool = False) -> None:
        self._steps: tuple[Step, ...] = ()
        if isinstance(source, Stream):
            self._source: Callable[[Run], Elements[Any]] = source._source
            self._steps = source._steps
        elif isinstance(source, AsyncIterable):
            self._source = lambda run: sources.iterate_async(source)
        elif isinstance(source, Iterable):
            iterate = sources.iterate_in_thread if blocking else sources.iterate
            self._source = lambda run: iterate(source)
        else:
            raise OptionError(f"a stream is made of an iterable, not of {type(source).__name__}")

    # ---- sources ----

    @classmethod
    def file(cls, path: str | Path, *, chunk_bytes: int | str = CHUNK_BYTES) -> Stream[bytes]:
        """Read a file in chunks of bytes; a chunk is read when it is asked for, and not before.

        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "seven.bin"
        >>> path.write_bytes(b"1234567")
        7
        >>> Stream.file(path, chunk_bytes=3).collect()
        [b'123', b'456', b'7']

        Raises InputFileError, naming the file, when it cannot be read.
        """
        size = parse_bytes(chunk_bytes, "chunk_bytes")
        return _of(lambda run: sources.read_file(Path(path), size))

    @classmethod
    def lines(
        cls, path: str | Path, *, encoding: str = "utf-8", line_bytes_max: int | str = LINE_BYTES_MAX
    ) -> Stream[str]:
        """Read the lines of a text file, without their ends; at most a chunk and a line are held."""
        return cls.file(path, chunk_bytes=256 << 10).split_lines(encoding, line_bytes_max=line_bytes_max)

    @classmethod
    def tail(
        cls,
        path: str | Path,
        *,
        from_start: bool = False,
        encoding: str = "utf-8",
        poll_seconds: float = 0.25,
        line_bytes_max: int | str = LINE_BYTES_MAX,
    ) -> Stream[str]:
        """Follow a growing text file for ever, line by line; one that was rotated or cut is read from its beginning.

        End it with `take`, `take_within` or a kill switch.
        """
        _positive(poll_seconds, "poll_seconds")
        chunks: Stream[bytes] = _of(lambda run: sources.tail_file(Path(path), CHUNK_BYTES, poll_seconds, from_start))
        return chunks.split_lines(encoding, line_bytes_max=line_bytes_max)

    @classmethod
    def socket(cls, host: str, port: int | None = None) -> Stream[bytes]:
        """Connect to `host` and `port`, or to the Unix socket at the path `host`, and give what arrives.

        What is not asked for stays with the sender, as TCP does it. Raises InputError when the connection fails.
        """
        if port is None:
            return _of(lambda run: sources.read_socket(partial(anyio.connect_unix, host), host, sources.SOCKET_BYTES))
        connect = partial(anyio.connect_tcp, host, port)
        return _of(lambda run: sources.read_socket(connect, f"{host}:{port}", sources.SOCKET_BYTES))

    @classmethod
    def queue(cls, queue: Any, *, end: object = None) -> Stream[Any]:
        """Take from a queue (of asyncio, threads or processes) until `end` (that very object) comes out of it.

        >>> import queue
        >>> waiting = queue.Queue()
        >>> for element in (1, 2, None):
        ...     waiting.put(element)
        >>> Stream.queue(waiting).collect()
        [1, 2]
        """
        return _of(lambda run: sources.read_queue(queue, end))

    @classmethod
    def ticks(cls, seconds: float, *, count: int | None = None) -> Stream[int]:
        """Count 0, 1, 2, ... every so many seconds, the first at once; those nobody asks for in time are left out."""
        _positive(seconds, "seconds")
        return _of(lambda run: sources.ticks(seconds, count))

    @classmethod
    def consumer(
        cls, make: Callable[[], Consumer[U]], *, records_max: int = 500, poll_seconds: float = 0.5
    ) -> Stream[Record[U]]:
        """Read a log with positions by an adapter (see `Consumer`); put `commit` after what deals with the records."""
        _at_least_one(records_max, "records_max")
        return _of(lambda run: consumer.consume(make(), records_max, poll_seconds))

    @classmethod
    def dataset(cls, dataset: Dataset) -> Stream[Any]:
        """Read the record batches of a Dataset, each when it is asked for.

        >>> import esker
        >>> Stream.dataset(esker.from_arrow({"n": [1, 2]})).map(lambda batch: batch.num_rows).collect()
        [2]
        """
        return Stream(dataset, blocking=True)

    @classmethod
    def opened(cls, elements: Elements[U]) -> Stream[U]:
        """Take an asynchronous generator that a running stream gave; for flows and sinks of your own."""
        return _of(lambda run: elements)

    # ---- an element at a time ----

    def map(self, function: Callable[[T], U]) -> Stream[U]:
        """Give `function(element)`; what blocks or awaits belongs into `map_async`."""
        return self._then("map", partial(steps.map_elements, function=function))

    def filter(self, function: Callable[[T], object]) -> Stream[T]:
        """Keep the elements for which `function` says yes."""
        return self._then("filter", partial(steps.filter_elements, function=function))

    def flat_map(self, function: Callable[[T], Iterable[U] | AsyncIterable[U]]) -> Stream[U]:
        """Give every element of the iterable or stream that `function` makes of each element.

        >>> Stream([1, 3]).flat_map(range).collect()
        [0, 0, 1, 2]
        """
        return self._then("flat_map", partial(steps.flat_map, function=function))

    def scan(self, zero: U, function: Callable[[U, T], U]) -> Stream[U]:
        """Give the fold so far after each element.

        >>> Stream([1, 2, 3]).scan(0, lambda total, n: total + n).collect()
        [1, 3, 6]
        """
        return self._then("scan", partial(steps.scan, zero=zero, function=function))

    def foreach(self, function: Callable[[T], object]) -> Stream[T]:
        """Call `function` with each element that passes."""
        return self._then("foreach", partial(steps.foreach, function=function))

    def take(self, count: int) -> Stream[T]:
        """Give the first `count` elements; no more are asked for."""
        _not_negative(count, "count")
        return self._then("take", partial(steps.take, count=count))

    def take_while(self, function: Callable[[T], object], *, inclusive: bool = False) -> Stream[T]:
        """Give elements until `function` says no, the one it says no to as well if `inclusive`."""
        return self._then("take_while", partial(steps.take_while, function=function, inclusive=inclusive))

    def drop(self, count: int) -> Stream[T]:
        """Leave out the first `count` elements."""
        _not_negative(count, "count")
        return self._then("drop", partial(steps.drop, count=count))

    def drop_while(self, function: Callable[[T], object]) -> Stream[T]:
        """Leave out elements until `function` says no."""
        return self._then("drop_while", partial(steps.drop_while, function=function))

    def enumerate(self, start: int = 0) -> Stream[tuple[int, T]]:
        """Give pairs of a number and the element."""
        return self._then("enumerate", partial(steps.enumerate_elements, start=start))

    def distinct_until_changed(self, key: Callable[[T], Any] | None = None) -> Stream[T]:
        """Leave out elements that are equal to the one before, or whose key is.

        >>> Stream([1, 1, 2, 1]).distinct_until_changed().collect()
        [1, 2, 1]
        """
        return self._then("distinct_until_changed", partial(steps.distinct_until_changed, key=key))

    def split_lines(
        self: Stream[bytes], encoding: str = "utf-8", *, line_bytes_max: int | str = LINE_BYTES_MAX
    ) -> Stream[str]:
        """Cut bytes, however they come, into lines of text.

        >>> Stream([b"one\\ntw", b"o\\n"]).split_lines().collect()
        ['one', 'two']

        Raises InputError for a line that is longer than `line_bytes_max` or cannot be decoded.
        """
        limit = parse_bytes(line_bytes_max, "line_bytes_max")
        return self._then("split_lines", partial(steps.split_lines, encoding=encoding, line_bytes_max=limit))

    def via(self, flow: Callable[[Stream[T]], Stream[U]]) -> Stream[U]:
        """Apply a flow: any function from a stream to a stream.

        >>> def squares(stream): return stream.map(lambda n: n * n)
        >>> Stream([1, 2]).via(squares).via(squares).collect()
        [1, 16]
        """
        return flow(self)

    # ---- several elements ----

    def group(self, count: int) -> Stream[list[T]]:
        """Give lists of `count` elements; the last one may be shorter."""
        _at_least_one(count, "count")
        return self._then("group", partial(steps.group, count=count))

    def group_within(self, count: int, seconds: float) -> Stream[list[T]]:
        """Give lists of up to `count` elements, each at most `seconds` after its first element came."""
        _at_least_one(count, "count")
        _positive(seconds, "seconds")
        return self._then("group_within", partial(timing.group_within, count=count, seconds=seconds))

    def sliding(self, count: int, step: int = 1) -> Stream[tuple[T, ...]]:
        """Give windows of `count` elements, each `step` after the one before.

        >>> Stream(range(5)).sliding(3, 2).collect()
        [(0, 1, 2), (2, 3, 4)]
        >>> Stream(range(6)).sliding(3, 2).collect()
        [(0, 1, 2), (2, 3, 4), (4, 5)]
        """
        _at_least_one(count, "count")
        _at_least_one(step, "step")
        return self._then("sliding", partial(steps.sliding, count=count, step=step))

    # ---- at the same time ----

    def map_async(
        self,
        function: Callable[[T], Awaitable[U]] | Callable[[T], U],
        *,
        workers: int = 4,
        ordered: bool = True,
        retry: Backoff | None = None,
    ) -> Stream[U]:
        """Give the results of up to `workers` calls at a time, in the order of the elements, or as they are done.

        Asynchronous functions run in the event loop, others in threads. At most `workers` elements are held, from
        the one being read to the one whose result was not taken yet. `retry` tries a failing call again.

        >>> Stream(["a", "b"]).map_async(str.upper, workers=2).collect()
        ['A', 'B']
        """
        _at_least_one(workers, "workers")
        return self._then(
            "map_async",
            partial(concurrent.map_async, function=function, workers=workers, ordered=ordered, retry=retry),
        )

    # ---- between quick and slow ----

    def buffer(
        self,
        size: int | str,
        overflow: str = "back_pressure",
        *,
        weigh: Callable[[T], float] | None = None,
        on_drop: Callable[[T], object] | None = None,
    ) -> Stream[T]:
        """Ask ahead for up to `size` elements; `"16MiB"` counts their bytes, `weigh` what you like.

        `overflow` says what happens when more comes: `back_pressure` asks for no more; the others ask on and
        `drop_head` the oldest, `drop_tail` the youngest of those held, `drop_new` the one that came, `drop_buffer`
        all that are held; or `fail` with a BufferOverflowError. `on_drop` is told of what was dropped.

        >>> Stream(range(100)).buffer(2, "drop_head").collect()
        [98, 99]
        """
        buffers.check_overflow(overflow)
        if isinstance(size, str):
            size, weigh = parse_bytes(size, "size"), weigh or buffers.byte_count
        _at_least_one(size, "size")
        return self._then("buffer", partial(buffers.buffer, size=size, overflow=overflow, weigh=weigh, on_drop=on_drop))

    def batch(
        self,
        count: int,
        first: Callable[[T], U],
        add: Callable[[U, T], U],
        *,
        weigh: Callable[[T], float] | None = None,
    ) -> Stream[U]:
        """Merge what comes while nobody asks into one element: `first(element)`, then `add(merged, element)`.

        When `count` elements are merged (or their weight is reached) no more are asked for.
        """
        _at_least_one(count, "count")
        return self._then("batch", partial(buffers.batch, size=count, first=first, add=add, weigh=weigh))

    def conflate(self, merge: Callable[[T, T], T]) -> Stream[T]:
        """Merge what comes while nobody asks into one element, however much it is.

        >>> Stream([3, 1, 2]).conflate(max).run(Sink.fold(0, max))
        3
        """
        return self._then(
            "conflate", partial(buffers.batch, size=math.inf, first=lambda element: element, add=merge, weigh=None)
        )

    def throttle(
        self,
        count: float,
        seconds: float = 1.0,
        *,
        burst: float | None = None,
        cost: Callable[[T], float] | None = None,
        mode: str = "shape",
    ) -> Stream[T]:
        """Let `count` elements pass in `seconds`, up to `burst` (1 by default) at once after a pause.

        With `cost` an element counts as much as that says. `mode="shape"` makes elements wait, `"enforce"` fails with
        a RateExceededError.
        """
        _positive(count, "count")
        _positive(seconds, "seconds")
        if mode not in ("shape", "enforce"):
            raise OptionError(f"mode={mode!r} is neither 'shape' nor 'enforce'")
        bucket = 1.0 if burst is None else burst
        _positive(bucket, "burst")
        flow = partial(
            timing.throttle, cost_max=count, seconds=seconds, burst=bucket, cost=cost, enforce=mode == "enforce"
        )
        return self._then("throttle", flow)

    def timeout(self, seconds: float, *, whole: bool = False) -> Stream[T]:
        """Fail with a StreamTimeoutError when an element takes longer than `seconds`, or the `whole` stream does."""
        _positive(seconds, "seconds")
        return self._then("timeout", partial(timing.timeout, seconds=seconds, whole=whole))

    def take_within(self, seconds: float) -> Stream[T]:
        """Give what comes within `seconds`, then end."""
        _positive(seconds, "seconds")
        return self._then("take_within", partial(timing.take_within, seconds=seconds))

    def kill_switch(self, switch: KillSwitch) -> Stream[T]:
        """End, or fail, when the switch is thrown; several streams may share one."""
        return self._then("kill_switch", partial(kill_switch, switch=switch))

    # ---- several streams ----

    def merge(self, *others: Stream[T]) -> Stream[T]:
        """Give the elements of all streams as they come; who has some at the same time takes turns."""
        streams = (self, *others)
        return _of(lambda run: fan_in.merge(run, [stream._open(run) for stream in streams]))

    def concat(self, *others: Stream[T]) -> Stream[T]:
        """Give all elements of this stream, then those of the next.

        >>> Stream([1]).concat(Stream([2]), Stream([3])).collect()
        [1, 2, 3]
        """
        streams = (self, *others)
        return _of(lambda run: fan_in.concat([stream._open(run) for stream in streams]))

    def zip(self, *others: Stream[Any], strict: bool = False) -> Stream[tuple[Any, ...]]:
        """Give tuples of one element of each stream, until one ends; `strict` wants all to end together.

        >>> Stream("ab").zip(Stream([1, 2, 3])).collect()
        [('a', 1), ('b', 2)]
        """
        streams = (self, *others)
        return _of(lambda run: fan_in.zip_elements(run, [stream._open(run) for stream in streams], strict, "zip"))

    def broadcast(self, *flows: Callable[[Stream[T]], Stream[U]]) -> Stream[U]:
        """Send each element through every flow, and give what comes out, as it comes; the slowest sets the pace.

        >>> sorted(Stream([1, 2]).broadcast(lambda s: s.map(lambda n: n * 10), lambda s: s).collect())
        [1, 2, 10, 20]
        """
        return self._fan_out("broadcast", flows, None)

    def balance(self, *flows: Callable[[Stream[T]], Stream[U]]) -> Stream[U]:
        """Send each element through one flow, one that asks for it, and give what comes out, as it comes."""
        return self._fan_out("balance", flows, None)

    def partition(self, function: Callable[[T], int], *flows: Callable[[Stream[T]], Stream[U]]) -> Stream[U]:
        """Send each element through the flow that `function` numbers, and give what comes out, as it comes."""
        return self._fan_out("partition", flows, function)

    # ---- failures ----

    def recover(self, function: Callable[[Exception], T | AsyncIterable[T]], *, on: Kinds = Exception) -> Stream[T]:
        """End with what `function` makes of a failure, an element or a stream, instead of failing.

        >>> Stream([4, 0]).map(lambda n: 4 / n).recover(lambda error: -1.0, on=ZeroDivisionError).collect()
        [1.0, -1.0]
        """
        return self._then("recover", partial(failure.recover, function=function, on=on))

    def retry(self, backoff: Backoff | None = None) -> Stream[T]:
        """Run all before this anew, from the beginning, when it fails, after a wait that grows.

        For sources that can be opened again (a connection, a followed file). Single calls are tried again by
        `map_async(..., retry=...)`.
        """
        operator, chosen = "retry", backoff or Backoff()
        return _of(lambda run: failure.retry(lambda stage: self._open(stage.run), Stage(run, operator), chosen))

    def supervise(
        self, decide: str | Decision | Decide, *, on_failure: Callable[[Exception, Any], object] | None = None
    ) -> Stream[T]:
        """Decide what becomes of the steps before this one when a function of theirs fails on an element.

        `"resume"` leaves the element out, `"restart"` also forgets what the step has gathered (of `scan`, say),
        `"stop"` fails; or a function of the error tells one of these. `on_failure(error, element)` is told of each
        that did not stop the stream.

        >>> Stream(["1", "x", "3"]).map(int).supervise("resume").collect()
        [1, 3]
        """
        supervisor = Supervisor(decision(decide) if isinstance(decide, str) else decide, on_failure)
        supervised = _of(self._source)
        supervised._steps = tuple(
            step if step.supervisor is not None else replace(step, supervisor=supervisor) for step in self._steps
        )
        return supervised

    def commit(self: Stream[Record[U]], consumer_: Consumer[U], *, count: int = 100) -> Stream[Record[U]]:
        """Tell the log, every `count` records and at the end, how far records were dealt with (see `Consumer`)."""
        return self._then("commit", partial(consumer.commit, consumer=consumer_, count=count))

    # ---- running ----

    def run(self, sink: Sink[T, R]) -> R:
        """Run the stream into a sink and give the sink's result; Ctrl-C closes all files.

        Raises what the stream or the sink raised, and StreamError where an event loop runs: there `run_async` is due.
        """
        return cast("R", run_blocking(partial(self.run_async, sink)))

    async def run_async(self, sink: Sink[T, R]) -> R:
        """Run the stream into a sink, in the event loop that runs here; cancelling it closes all files."""
        async with open_run() as run, aclosing(self._open(run)) as elements:
            return await sink.consume(elements, run)
        raise AssertionError("a run gives its result or raises")

    def collect(self) -> list[T]:
        """Run, and gather all elements in a list."""
        return self.run(Sink.collect())

    def open(self) -> AbstractAsyncContextManager[Elements[T]]:
        """Open the stream for a block: `async with stream.open() as elements: async for element in elements: ...`"""
        return opened(self._open)

    def __aiter__(self) -> AsyncIterator[T]:
        return Reader(self._open)

    def __iter__(self) -> Iterator[T]:
        return read_blocking(self._open)

    # ---- inside ----

    def _open(self, run: Run) -> Elements[T]:
        elements = self._source(run)
        for step in self._steps:
            elements = step.open(elements, Stage(run, step.operator, step.supervisor))
        return elements

    def _then(self, operator: str, step: Callable[[Elements[Any], Stage], Elements[U]]) -> Stream[U]:
        extended: Stream[U] = _of(self._source)
        extended._steps = (*self._steps, Step(operator, step))
        return extended

    def _fan_out(
        self,
        mode: str,
        flows: tuple[Callable[[Stream[T]], Stream[U]], ...],
        choose: Callable[[T], int] | None,
    ) -> Stream[U]:
        async def deal(source: Elements[T], stage: Stage) -> Elements[U]:
            fan_out = FanOut(source, stage, len(flows))
            branches = [
                flow(Stream.opened(branch.read()))._open(stage.run)
                for flow, branch in zip(flows, fan_out.branches, strict=True)
            ]
            async with Tasks(stage.run) as tasks:
                tasks.start(fan_out.start(mode, choose))
                async with aclosing(fan_in.merge(stage.run, branches)) as merged:
                    async for element in merged:
                        yield element

        return self._then(mode, deal)


def _of(source: Callable[[Run], Elements[Any]]) -> Stream[Any]:
    stream: Stream[Any] = Stream(())
    stream._source = source
    return stream


def _at_least_one(number: float, option: str) -> None:
    if number < 1:
        raise OptionError(f"{option}={number!r} is too small; 1 is the least")


def _not_negative(number: float, option: str) -> None:
    if number < 0:
        raise OptionError(f"{option}={number!r} is below 0")


def _positive(number: float, option: str) -> None:
    if not number > 0:
        raise OptionError(f"{option}={number!r} must be above 0")
