"""par: the verbs of plain sequences, worked on in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Generic, Literal, TypeVar, cast, overload

from esker.errors import InputError, OptionError
from esker.parallel import ends
from esker.parallel.chunks import Cartesian, Combinations, Source, source_of
from esker.parallel.ends import Found
from esker.parallel.run import ParOptions, Run, check_runtime, raised, worker_count
from esker.parallel.task import Program, Step

T = TypeVar("T")
U = TypeVar("U")


def par(
    items: Iterable[T],
    workers: int | None = None,
    *,
    runtime: str = "processes",
    ordered: bool = True,
    seed: int = 0,
    chunk: int | None = None,
) -> Par[T]:
    """Work on the items of any iterable in parallel, by the verbs of a sequence.

    `workers` is their number, by default that of the processors; `runtime` where they work: in `processes`, for Python
    functions; in `threads`, for functions that wait or release the interpreter's lock; `inline`, one after the other
    in this thread. `seed` is where the random numbers of `esker.rng()` come from: each item has its own, whatever the
    workers and chunks are. `chunk` is how many items go to a worker at a time. With `ordered=False` results come as
    they are done, and `find` takes any match.

    >>> from esker import par
    >>> par(range(6), runtime="threads").filter(lambda n: n % 2).map(lambda n: n * n).to_list()
    [1, 9, 25]
    """
    check_runtime(runtime)
    if chunk is not None and chunk < 1:
        raise OptionError(f"chunk={chunk} is too small; 1 is the least")
    return Par(source_of(items), (), ParOptions(worker_count(workers), runtime, ordered, seed, chunk), items)


class Par(Generic[T]):
    """Items and steps, lazy; made by `par`. Iterating over it, or a verb that gives a value, runs the steps.

    >>> import esker
    >>> esker.par(range(10)).filter(lambda n: n % 2).map(lambda n: n * n).to_list()
    [1, 9, 25, 49, 81]
    """

    def __init__(self, source: Source, steps: tuple[Step, ...], options: ParOptions, items: Any = None) -> None:
        self._source = source
        self._steps = steps
        self._options = options
        # The items themselves, where no step was added yet.
        self._items = items

    # ---- steps ----

    def map(self, function: Callable[[T], U]) -> Par[U]:
        """Give `function(item)` for each item."""
        return self._then("map", function)

    def filter(self, function: Callable[[T], object]) -> Par[T]:
        """Keep the items for which `function` says yes."""
        return self._then("filter", function)

    def flat_map(self, function: Callable[[T], Iterable[U]]) -> Par[U]:
        """Give all items of what `function` makes of each item."""
        return self._then("flat_map", function)

    def grouped(self, count: int) -> Par[list[T]]:
        """Give lists of `count` items that follow one another; the last one may be shorter.

        >>> par(range(5), runtime="inline").grouped(2).map(sum).to_list()
        [1, 5, 4]
        """
        if count < 1:
            raise OptionError(f"count={count} is too small; 1 is the least")
        return Par(source_of(_Grouped(self, count)), (), self._options)

    @overload
    def combinations(self, k: Literal[2]) -> Par[tuple[T, T]]: ...
    @overload
    def combinations(self, k: int) -> Par[tuple[T, ...]]: ...

    def combinations(self, k: int) -> Par[Any]:
        """Give all combinations of `k` items, in the order of itertools; they are made where they are worked on.

        The items go to each worker once, then only numbers do: a chunk is a span of the combinations.

        >>> par("abc", runtime="inline").combinations(2).map("".join).to_list()
        ['ab', 'ac', 'bc']
        """
        return Par(Combinations(self._whole(), k), (), self._options)

    def cartesian(self, others: Iterable[U]) -> Par[tuple[T, U]]:
        """Give all pairs of an item and one of the others, made where they are worked on."""
        right = others if isinstance(others, Sequence) else list(others)
        return Par(Cartesian(self._whole(), right), (), self._options)

    # ---- results ----

    def __iter__(self) -> Iterator[T]:
        """Give the results one after the other; at most some chunks are worked on ahead of whoever takes them."""
        with self._run(list) as run:
            if self._options.ordered:
                for results in run.in_order():
                    yield from results
                return
            for _, results in run.as_done():
                yield from raised(results)

    def to_list(self) -> list[T]:
        """Gather all results in a list."""
        return list(self)

    def foreach(self, function: Callable[[T], object]) -> int:
        """Call `function` with every item; gives their number."""
        return sum(self._ordered(partial(ends.foreach, step=Step("end", "foreach", function))))

    def fold(self, zero: U, function: Callable[[U, Any], U], merge: Callable[[U, U], U] | None = None) -> U:
        """Fold the items of each chunk into a copy of `zero`, and the results of the chunks by `merge`, in order.

        Without `merge` it is `function` itself: then that must be associative, and `zero` change nothing.

        >>> par(["a", "b", "c"], runtime="inline").fold("", lambda a, b: a + b)
        'abc'
        """
        step = Step("end", "fold", function)
        merging = merge or cast("Callable[[U, U], U]", function)
        return self._merged(partial(ends.fold, zero=zero, step=step), merging, "fold", zero)

    def aggregate(self, zero: U, add: Callable[[U, T], U], merge: Callable[[U, U], U]) -> U:
        """Add items to a copy of `zero` in each chunk, and merge what the chunks came to, in order.

        >>> def add(state, n): return (state[0] + n, state[1] + 1)
        >>> def merge(a, b): return (a[0] + b[0], a[1] + b[1])
        >>> par(range(5), runtime="inline").aggregate((0, 0), add, merge)
        (10, 5)
        """
        return self._merged(partial(ends.fold, zero=zero, step=Step("end", "aggregate", add)), merge, "aggregate", zero)

    def reduce(self, function: Callable[[T, T], T]) -> T:
        """Reduce all items by an associative function, in order; raises InputError when there are none."""
        parts = self._present(partial(ends.reduce, step=Step("end", "reduce", function)))
        return self._reduced(parts, function, "reduce")

    def find(self, function: Callable[[T], object]) -> T | None:
        """Find the first item for which `function` says yes (any one, with `ordered=False`), or None.

        As soon as it is known, what other workers are at is ended: processes are killed, threads stop at their next
        item.
        """
        found = self._search(partial(ends.find, step=Step("end", "find", function)), self._options.ordered)
        return None if found is None else cast("T", found.value)

    def exists(self, function: Callable[[T], object]) -> bool:
        """Say whether `function` says yes to any item; the first yes ends all work."""
        return self._search(partial(ends.find, step=Step("end", "exists", function)), ordered=False) is not None

    def forall(self, function: Callable[[T], object]) -> bool:
        """Say whether `function` says yes to every item; the first no ends all work."""
        end = partial(ends.find, step=Step("end", "forall", function), wanted=False)
        return self._search(end, ordered=False) is None

    def count(self) -> int:
        """Count the results."""
        return sum(self._ordered(ends.count))

    def sum(self, start: Any = 0) -> Any:
        """Add all results up, chunk by chunk: floating-point sums are the same whatever the workers are."""
        for part in self._ordered(sum):
            start = start + part
        return start

    def mean(self) -> float:
        """The mean of all results; raises InputError when there are none."""
        total, number = self.map(lambda item: (item, 1)).fold((0, 0), lambda a, b: (a[0] + b[0], a[1] + b[1]))
        if not number:
            raise InputError("mean of no items: there is none")
        return total / number

    def min(self, key: Callable[[T], Any] | None = None) -> T:
        """The least result, the first of equals; raises InputError when there are none."""
        return self._extreme(min, key)

    def max(self, key: Callable[[T], Any] | None = None) -> T:
        """The greatest result, the first of equals; raises InputError when there are none."""
        return self._extreme(max, key)

    def with_options(self, **options: Any) -> Par[T]:
        """The same with other `workers`, `runtime`, `ordered`, `seed` or `chunk`."""
        known = ("workers", "runtime", "ordered", "seed", "chunk")
        for name in options:
            if name not in known:
                raise OptionError(f"no option {name!r} of par; there is: {', '.join(known)}")
        if "workers" in options:
            options["workers"] = worker_count(options["workers"])
        check_runtime(options.get("runtime", self._options.runtime))
        return Par(self._source, self._steps, replace(self._options, **options), self._items)

    # ---- inside ----

    def _then(self, operator: str, function: Callable[..., Any]) -> Par[Any]:
        return Par(self._source, (*self._steps, Step(operator, operator, function)), self._options)

    def _whole(self) -> Sequence[T]:
        """The items as a sequence: those given, or the results so far."""
        if self._items is None or self._steps:
            return self.to_list()
        return self._items if isinstance(self._items, Sequence) else list(self._items)

    def _run(self, end: Callable[[Iterator[Any]], Any]) -> Run:
        return Run(Program(self._source, self._steps, end), self._options)

    def _ordered(self, end: Callable[[Iterator[Any]], Any]) -> Iterator[Any]:
        with self._run(end) as run:
            yield from run.in_order()

    def _present(self, end: Callable[[Iterator[Any]], Any]) -> Iterator[Any]:
        return (part.value for part in self._ordered(end) if part is not None)

    def _merged(self, end: Callable[[Iterator[Any]], Any], merge: Callable[[U, U], U], operator: str, zero: U) -> U:
        parts = self._ordered(end)
        merged = next(parts, ends.NOTHING)
        if merged is ends.NOTHING:
            return ends.copy_of(zero)
        for part in parts:
            merged = ends.merged(merge, operator, merged, part)
        return cast("U", merged)

    def _reduced(self, parts: Iterator[Any], function: Callable[[T, T], T], operator: str) -> T:
        merged = next(parts, ends.NOTHING)
        if merged is ends.NOTHING:
            raise InputError(f"{operator} of no items: there is nothing to begin with; use fold, which has a zero")
        for part in parts:
            merged = ends.merged(function, operator, merged, part)
        return cast("T", merged)

    def _extreme(self, choose: Callable[..., Any], key: Callable[[T], Any] | None) -> T:
        name = choose.__name__
        step = Step("end", name, key if key is not None else _itself)
        parts = list(self._present(partial(ends.extreme, choose=choose, step=step)))
        if not parts:
            raise InputError(f"{name} of no items: there is none")
        return cast("T", choose(parts, key=lambda part: part[0])[1])

    def _search(self, end: Callable[[Iterator[Any]], Found | None], ordered: bool) -> Found | None:
        """The first chunk, by number or by time, that found something or failed decides."""
        decided: tuple[int, Any] | None = None
        with self._run(end) as run:
            for number, outcome in run.as_done():
                decisive = outcome is not None and (decided is None or number < decided[0])
                if decisive:
                    decided = number, outcome
                    if not ordered:
                        break
                    run.narrow(number)
        if decided is None:
            return None
        return cast("Found", raised(decided[1]))


def _itself(item: Any) -> Any:
    return item


class _Grouped:
    """Results of a par in lists, each time it is iterated over."""

    def __init__(self, items: Par[Any], count: int) -> None:
        self._items = items
        self._count = count

    def __iter__(self) -> Iterator[list[Any]]:
        plain = self._items._items
        iterator = iter(self._items if plain is None or self._items._steps else plain)
        while group := list(islice(iterator, self._count)):
            yield group
