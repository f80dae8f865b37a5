"""Every error Esker raises, one tree.

    EskerError
    ├── InputError (ValueError)              the caller's data or words are at fault; trying again does not help
    │   ├── UnknownColumnError (KeyError)    a column that is not there, with the nearest name
    │   ├── PredicateError                   the predicate cannot be read or does not fit the types; has a position
    │   ├── UnsupportedTypeError (TypeError) an Arrow type this operator does not take
    │   ├── KeyTypeError (TypeError)         an object that cannot be the key of a pair; says what can
    │   ├── SchemaMismatchError              two inputs that should agree on columns or types do not
    │   ├── OptionError                      an option's value
    │   ├── InputFileError (OSError)         a file or folder that is missing, unreadable, truncated or ragged
    │   ├── EmptyBagError                    an element was asked for, and there is none
    │   ├── NestedCollectionError            a function that runs on partitions uses a collection
    │   └── UnpicklableFunctionError (TypeError)  a function, or what it holds, cannot go to another process
    ├── CorruptError                         stored bytes are not what was written; names file and place
    │   ├── PageCorruptError
    │   ├── BitmapCorruptError
    │   ├── CatalogCorruptError
    │   ├── PayloadCorruptError
    │   └── LogCorruptError                  a log of a cluster's node or coordinator
    ├── ResourceError                        the machine or the limit, not the data
    │   ├── MemoryBudgetExceededError (MemoryError)
    │   ├── SpillError (OSError)             disk full or spill cap reached
    │   ├── LockedError                      temporary: another process writes there
    │   ├── OutputFileError (OSError)        a file that could not be written: no room, no permission, no folder
    │   ├── CostLimitError                   the plan is dearer than max_cost
    │   └── MissingExtraError (ImportError)  an optional package is not installed; names the extra
    ├── OutputExistsError (FileExistsError)  the target is there already
    ├── TierError (OSError)                  a tier did not read or write; may be temporary
    │   ├── TierUnavailableError             temporary: tried again and again, and given up
    │   └── NotThawedError                   temporary: knows when the extent will be ready
    ├── StreamError                          elements could not flow on as they were told to
    │   ├── BufferOverflowError              a buffer with overflow="fail" was full
    │   ├── RateExceededError                more than a throttle that enforces allows
    │   └── StreamTimeoutError (TimeoutError)temporary: no element came in time
    ├── CancelledError                       the user asked to stop
    ├── PeerError (ConnectionError)          another process did not do what it was asked
    │   ├── PeerUnreachableError             temporary: nobody is there, or the connection broke
    │   ├── DeadlineExceededError (TimeoutError)  temporary: it took longer than it may
    │   ├── AuthenticationError (PermissionError)  the token is not the peer's
    │   └── MessageTooLargeError             more bytes than the limit
    ├── WorkerLostError                      temporary: a worker process ended in the middle of a task
    └── UserFunctionError                    the user's function raised; carries the original as __cause__

Two questions name a class: whose fault is it, and may one try again? `temporary` answers the second.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class EskerError(Exception):
    """Any error of Esker: what was being done, what went wrong, what can be done.

    >>> issubclass(UnknownColumnError, (EskerError, KeyError))
    True
    """

    temporary = False

    def __str__(self) -> str:
        # KeyError would quote its only argument; ours is a sentence.
        return str(self.args[0]) if self.args else ""


class InputError(EskerError, ValueError):
    """The caller's data, names or options are at fault."""


class UnknownColumnError(InputError, KeyError):
    """A column that is not there.

    >>> raise UnknownColumnError.of("tailnmu", ["tailnum", "origin"])
    Traceback (most recent call last):
        ...
    esker.errors.UnknownColumnError: no column 'tailnmu'; did you mean 'tailnum'? columns: tailnum, origin
    """

    @classmethod
    def of(cls, name: str, columns: Iterable[str], where: str = "") -> UnknownColumnError:
        """Name the column, the nearest match and what there is."""
        names = list(columns)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        shown = ", ".join(names[:20]) + (f", and {len(names) - 20} more" if len(names) > 20 else "")
        place = f" in {where}" if where else ""
        return cls(f"no column {name!r}{place}{hint} columns: {shown or '(none)'}")


class PredicateError(InputError):
    """A predicate that cannot be read, or does not fit the column types.

    `text` is the predicate, `position` the character it failed at (0-based), or None.
    """

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        self.text = text
        self.position = position
        if text and position is not None:
            message = f"{message}\n  {text}\n  {' ' * position}^"
        super().__init__(message)


class UnsupportedTypeError(InputError, TypeError):
    """An Arrow type that an operator does not take; the message names column, type and what to cast to."""


class KeyTypeError(InputError, TypeError):
    """An object that cannot be the key of a pair: it can change, or its hash differs between processes."""


class SchemaMismatchError(InputError):
    """Two inputs that should agree on columns or types do not."""


class OptionError(InputError):
    """An option's value is out of its range or cannot be read."""


class InputFileError(InputError, OSError):
    """A file or folder that is missing, unreadable, truncated or ragged; the message names it."""


class EmptyBagError(InputError):
    """An element was asked of a Bag that has none."""


class NestedCollectionError(InputError):
    """A function that runs on partitions uses a collection or session; the message names the variable, and the fix."""


class UnpicklableFunctionError(InputError, TypeError):
    """A function, or something it holds, cannot go to another process; the message names what."""


class CorruptError(EskerError):
    """Stored bytes are not what was written: a checksum, a magic or an offset is wrong."""


class PageCorruptError(CorruptError):
    """A slotted page whose header, checksum or offsets are wrong."""


class BitmapCorruptError(CorruptError):
    """A bitmap vector or an index segment whose bytes are wrong."""


class CatalogCorruptError(CorruptError):
    """A frozen data set's catalogue that is damaged or does not match its files."""


class PayloadCorruptError(CorruptError):
    """A payload extent or key file whose bytes do not match the catalogue."""


class LogCorruptError(CorruptError):
    """A record of a cluster's log whose checksum is right and whose bytes are not, or damage before the log's end."""


class ResourceError(EskerError):
    """A limit of the machine, or one the user set, was reached."""


class MemoryBudgetExceededError(ResourceError, MemoryError):
    """An operator needs more than the budget has left.

    >>> error = MemoryBudgetExceededError.of("group_by", 500, 300, {"scan": 100}, largest_key="JFK")
    >>> print(error)  # doctest: +NORMALIZE_WHITESPACE
    group_by needs 500 bytes of memory, but only 200 of the budget of 300 are left (scan holds 100);
    the largest key is 'JFK'; raise memory= or use more partitions
    """

    def __init__(
        self,
        message: str,
        *,
        operator: str = "",
        bytes_wanted: int = 0,
        holders: Mapping[str, int] | None = None,
        largest_key: object = None,
    ) -> None:
        super().__init__(message)
        self.operator = operator
        self.bytes_wanted = bytes_wanted
        self.holders = dict(holders or {})
        self.largest_key = largest_key

    @classmethod
    def of(
        cls,
        operator: str,
        bytes_wanted: int,
        budget_bytes: int,
        holders: Mapping[str, int],
        *,
        largest_key: object = None,
        advice: str = "raise memory= or use more partitions",
    ) -> MemoryBudgetExceededError:
        """Say who wants how much, who holds what, and what to change."""
        left = budget_bytes - sum(holders.values())
        held = ", ".join(f"{name} holds {held_bytes:,}" for name, held_bytes in holders.items() if held_bytes)
        message = f"{operator} needs {bytes_wanted:,} bytes of memory, but only {max(left, 0):,} of the budget of"
        message += f" {budget_bytes:,} are left ({held or 'nothing is held'});"
        if largest_key is not None:
            shown = repr(largest_key)
            message += f" the largest key is {shown if len(shown) <= 80 else shown[:79] + '…'};"
        message += f" {advice}"
        return cls(message, operator=operator, bytes_wanted=bytes_wanted, holders=holders, largest_key=largest_key)


class SpillError(ResourceError, OSError):
    """The spill folder is full, or its cap is reached; names the folder, the bytes and what to change."""


class LockedError(ResourceError):
    """Another process holds the right to write; the message names the folder."""

    temporary = True


class OutputFileError(ResourceError, OSError):
    """A file could not be written; the message names it, and nothing was left under that name."""


class CostLimitError(ResourceError):
    """The plan costs more than `max_cost`; nothing was read."""


class MissingExtraError(ResourceError, ImportError):
    """An optional package is missing.

    >>> print(MissingExtraError.of("duckdb", "duckdb"))
    duckdb is not installed: pip install 'esker[duckdb]'
    """

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtraError:
        """Name the package and the extra that brings it."""
        return cls(f"{package} is not installed: pip install 'esker[{extra}]'")


class OutputExistsError(EskerError, FileExistsError):
    """The target exists; nothing was written. Choose another name or pass overwrite=True where offered."""


class TierError(EskerError, OSError):
    """A storage tier failed to read or write; the message names the tier, key and range."""


class TierUnavailableError(TierError):
    """A store did not answer, or answered that it cannot now, however often it was asked; names the object."""

    temporary = True


class NotThawedError(TierError):
    """The extent is cold; `ready_seconds` from now it may be readable (None: ask for it first)."""

    temporary = True

    def __init__(self, message: str, ready_seconds: float | None = None) -> None:
        super().__init__(message)
        self.ready_seconds = ready_seconds


class StreamError(EskerError):
    """Elements could not flow as the stream was told to let them; names the operator."""


class BufferOverflowError(StreamError):
    """A buffer with `overflow="fail"` was full when an element came."""


class RateExceededError(StreamError):
    """More came than a throttle with `mode="enforce"` lets through."""


class StreamTimeoutError(StreamError, TimeoutError):
    """No element came in time; names the operator and the seconds."""

    temporary = True


class CancelledError(EskerError):
    """The user asked to stop; outputs under their final names were not touched."""


class PeerError(EskerError, ConnectionError):
    """Another process, perhaps on another machine, did not do what it was asked; the message names it."""


class PeerUnreachableError(PeerError):
    """There is nobody at the address, or the connection broke."""

    temporary = True


class DeadlineExceededError(PeerError, TimeoutError):
    """A call took longer than it may; what it was to do may have been done."""

    temporary = True


class AuthenticationError(PeerError, PermissionError):
    """The peer does not take the token."""


class MessageTooLargeError(PeerError):
    """A message is bigger than a limit; the message says which. Send less at once, or raise the limit on both sides."""


class WorkerLostError(EskerError):
    """A worker process ended in the middle of a task: it crashed, was killed, or left by itself.

    `exit_status` is its exit status, or the negative number of a signal; `mark` the element it was at (its position
    from 1, and what it looks like), where known; `stack` what Python printed of a fatal signal.
    """

    temporary = True

    def __init__(
        self, message: str, *, exit_status: int | None = None, mark: tuple[int, str] | None = None, stack: str = ""
    ) -> None:
        super().__init__(message)
        self.exit_status = exit_status
        self.mark = mark
        self.stack = stack


class UserFunctionError(EskerError):
    """The user's function raised; the message shows the user's own line first, `__cause__` is the original."""
