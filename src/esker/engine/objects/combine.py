"""How the values of a key become one: the three functions of a combination, and their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from esker.engine.objects.codec import dump_one, load_one


@dataclass(frozen=True)
class Combine:
    """Make a combiner of a key's first value, merge further values into it, and combiners with one another.

    `balanced`: values and combiners are of one kind and `merge_combiners` is associative, so that values are merged
    in pairs of like size, in order: concatenating n texts takes n log n, not n squared.
    """

    create: Callable[[Any], Any]
    merge_value: Callable[[Any, Any], Any]
    merge_combiners: Callable[[Any, Any], Any]
    balanced: bool = False
    #: The user's own functions among them, for messages.
    functions: tuple[Callable[..., Any], ...] = ()

    @classmethod
    def reducing(cls, function: Callable[[Any, Any], Any]) -> Combine:
        """Reduce the values of a key with `function`, which must be associative.

        >>> combine = Combine.reducing(lambda left, right: left + right)
        >>> combine.merge_combiners(combine.create("a"), "b")
        'ab'
        """
        return cls(itself, function, function, balanced=True, functions=(function,))

    @classmethod
    def folding(cls, zero: Any, function: Callable[[Any, Any], Any]) -> Combine:
        """Fold the values of a key into a copy of `zero`; `function` also merges what was folded apart.

        >>> Combine.folding([], lambda folded, value: folded + value).create([1])
        [1]
        """
        return cls(_FromZero(dump_one(zero), function), function, function, functions=(function,))

    @classmethod
    def aggregating(cls, zero: Any, sequence: Callable[[Any, Any], Any], combine: Callable[[Any, Any], Any]) -> Combine:
        """Merge values into a copy of `zero` with `sequence`, and what that gives with `combine`.

        >>> count = Combine.aggregating(0, lambda n, _: n + 1, lambda left, right: left + right)
        >>> count.merge_value(count.create("x"), "y")
        2
        """
        return cls(_FromZero(dump_one(zero), sequence), sequence, combine, functions=(sequence, combine))

    @classmethod
    def combining(
        cls,
        create: Callable[[Any], Any],
        merge_value: Callable[[Any, Any], Any],
        merge_combiners: Callable[[Any, Any], Any],
    ) -> Combine:
        """Combine with three functions of your own.

        >>> Combine.combining(str, str.__add__, str.__add__).create(1)
        '1'
        """
        return cls(create, merge_value, merge_combiners, functions=(create, merge_value, merge_combiners))


class _FromZero:
    """Starts from a fresh copy of the zero, so that what a function does to one key's does not show in another's."""

    def __init__(self, zero: bytes, sequence: Callable[[Any, Any], Any]) -> None:
        self._zero = zero
        self._sequence = sequence

    def __call__(self, value: Any) -> Any:
        return self._sequence(load_one(self._zero), value)


def itself(value: Any) -> Any:
    """Give the value back."""
    return value


def first(left: Any, right: Any) -> Any:
    """Keep the left of two: `Combine.reducing(first)` keeps each key's first value."""
    return left
