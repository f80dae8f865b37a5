"""What the options of all collections have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from esker.errors import OptionError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Kind = TypeVar("Kind", bound=DataclassInstance)


def updated(options: Kind, changes: Mapping[str, Any]) -> Kind:
    """Give the options with some changed; None changes nothing, and OptionError names one that is not there.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Some:
    ...     threads: int = 1
    ...     seed: int = 0
    >>> updated(Some(), {"threads": 4, "seed": None})
    Some(threads=4, seed=0)
    """
    names = [field.name for field in fields(options)]
    for name in changes:
        if name not in names:
            raise OptionError(f"no option {name!r}; there is: {', '.join(names)}")
    return replace(options, **{name: value for name, value in changes.items() if value is not None})
