"""What a function carries to another process: looked through when it is handed over, not when it fails there."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from esker.errors import NestedCollectionError
from esker.runtime.pickled import dump

_DEPTH_MAX = 6
_ITEMS_MAX = 50
_GLOBAL_READS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})


def require_no_collections(function: Any, operator: str) -> None:
    """Raise NestedCollectionError if `function` holds a collection or session.

    Looked through are its closure, the globals it reads, its defaults, and the objects and containers in them.

    >>> import esker
    >>> prices = esker.of([1, 2])
    >>> esker.of([3]).map(lambda n: n * prices.count())
    Traceback (most recent call last):
        ...
    esker.errors.NestedCollectionError: the function of map uses 'prices', which is a Bag: functions run on \
partitions, where no collection can be run; compute what is needed of it before, pass a large result with \
esker.broadcast(), or join the two [ESK-109]
    """
    for name, kind, kind_error in _collections(function, set(), 0):
        raise kind_error(
            f"the function of {operator} uses {name!r}, which is a {kind}: functions run on partitions, where no"
            " collection can be run; compute what is needed of it before, pass a large result with"
            " esker.broadcast(), or join the two"
        )


def find_unpicklable(function: Any) -> str:
    """Name what a function holds that cannot be pickled, and its type; an empty text if nothing is found."""
    for name, held in _held(function):
        if _is_picklable(held):
            continue
        deeper = find_unpicklable(held) if isinstance(held, FunctionType | MethodType | functools.partial) else ""
        return deeper or f"{name!r}, which is a {type(held).__name__}"
    return ""


def _is_picklable(value: Any) -> bool:
    try:
        dump(value)
    except Exception:  # noqa: BLE001  # whatever it raises, it cannot be pickled
        return False
    return True


def collection_kind(value: Any) -> str:
    """What kind of collection or session a value is, or an empty text."""
    if isinstance(value, type | ModuleType):
        return ""
    kind = getattr(type(value), "collection_kind", "")
    return kind if isinstance(kind, str) else ""


def _collections(value: Any, seen: set[int], depth: int) -> Iterator[tuple[str, str, type[NestedCollectionError]]]:
    if depth > _DEPTH_MAX or id(value) in seen:
        return
    seen.add(id(value))
    for name, held in _held(value):
        kind = collection_kind(held)
        if kind:
            yield name, kind, getattr(type(held), "nested_error", NestedCollectionError)
        else:
            yield from _collections(held, seen, depth + 1)


def _held(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function, a method, a partial or a container holds, by name."""
    if isinstance(value, FunctionType):
        yield from _of_function(value)
    elif isinstance(value, MethodType):
        yield f"{type(value.__self__).__name__} of {value.__name__}", value.__self__
        yield value.__name__, value.__func__
    elif isinstance(value, functools.partial):
        yield "the function of partial", value.func
        for number, argument in enumerate(value.args):
            yield f"argument {number} of partial", argument
        yield from value.keywords.items()
    elif isinstance(value, list | tuple | set | frozenset):
        for number, item in enumerate(value):
            if number == _ITEMS_MAX:
                return
            yield f"item {number}", item
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            if number == _ITEMS_MAX:
                return
            yield f"[{key!r}]", item
    elif not isinstance(value, type | ModuleType | str | bytes | int | float) and hasattr(value, "__dict__"):
        # An object: one that is called, or whose method is.
        yield from ((f"{type(value).__name__}.{name}", item) for name, item in list(vars(value).items())[:_ITEMS_MAX])


def _of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    for name in sorted(_globals_read(code)):
        if name in function.__globals__:
            yield name, function.__globals__[name]
    names = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(names[len(names) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


@functools.lru_cache(maxsize=1024)
def _globals_read(code: CodeType) -> frozenset[str]:
    """The global names that a function reads, and those that functions defined in it read."""
    names = {str(op.argval) for op in dis.get_instructions(code) if op.opname in _GLOBAL_READS}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _globals_read(constant)
    return frozenset(names)
