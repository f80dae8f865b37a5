"""The types of a Bag's elements, as a type checker follows them from step to step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

K = TypeVar("K")
U = TypeVar("U")
V = TypeVar("V")
W = TypeVar("W")

# What a Bag holds. A Bag never changes, so a Bag[bool] is a Bag[int]; a plain `Bag` holds anything, which Python itself
# can only say from 3.13 on.
if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    T = TypeVarWithDefault("T", covariant=True, default=Any)
else:
    T = TypeVar("T", covariant=True)
