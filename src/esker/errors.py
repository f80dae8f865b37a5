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
    │   ├── UnknownIndexError (KeyError)     an index that a cluster has not, or that was dropped
    │   └── UnpicklableFunctionError (TypeError)  a function, or what it holds, cannot go to another process
    ├── CorruptError                         stored bytes are not what was written; names file and place
    │   ├── PageCorruptError
    │   ├── BitmapCorruptError
    │   ├── CatalogCorruptError
    │   ├── PayloadCorruptError
    │   ├── LogCorruptError                  a log of a cluster's node or coordinator
    │   └── DamagedValueError                a value of a cluster's node
    ├── ResourceError                        the machine or the limit, not the data
    │   ├── MemoryBudgetExceededError (MemoryError)
    │   ├── SpillError (OSError)             disk full or spill cap reached
    │   ├── LockedError                      temporary: another process writes there
    │   ├── OutputFileError (OSError)        a file that could not be written: no room, no permission, no folder
    │   ├── CostLimitError                   the plan is dearer than max_cost
    │   ├── MissingExtraError (ImportError)  an optional package is not installed; names the extra
    │   └── SessionLostError                 what did the work of a session is gone
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
    │   ├── MessageTooLargeError             more bytes than the limit
    │   └── TlsError                         the two sides do not agree on TLS: a certificate, or one of them has none
    ├── UnitsLostError                       all copies in a cluster are gone; names what, and who had it
    ├── WorkerLostError                      temporary: a worker process ended in the middle of a task
    ├── PagesLostError                       temporary: pages of a shuffle are gone with the node that kept them
    └── UserFunctionError                    the user's function raised; carries the original as __cause__

Two questions name a class: whose fault is it, and may one try again? `temporary` answers the second.

Each type has a `code`, which its message carries and `docs/errors.md` explains: ESK-1xx input, 2xx stored bytes, 3xx
limits and outputs, 4xx tiers, 5xx streams, 6xx running, 7xx other processes; x00 is the family itself. A code is never
given to another type, nor changed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

_CODE = re.compile(r" \[ESK-\d{3}\]")


class EskerError(Exception):
    """Any error of Esker: what was being done, what went wrong, what can be done, and its code.

    >>> issubclass(UnknownColumnError, (EskerError, KeyError))
    True
    """

    code = "ESK-000"
    temporary = False

    @property
    def message(self) -> str:
        """What was being done, what went wrong, what can be done; without the code."""
        # A message that quotes another error's says that one's code no more: an error has one, its own.
        return _CODE.sub("", str(self.args[0])) if self.args else ""

    def __str__(self) -> str:
        # Not as KeyError, which quotes its only argument: ours is a sentence. The code ends the first line, so that
        # what follows it (a predicate with its caret, the user's own line) stays as it is drawn.
        first, newline, rest = self.message.partition("\n")
        return f"{first} [{self.code}]{newline}{rest}" if self.code else self.message


class InputError(EskerError, ValueError):
    """The caller's data, names or options are at fault."""

    code = "ESK-100"


class UnknownColumnError(InputError, KeyError):
    """A column that is not there.

    >>> raise UnknownColumnError.of("tailnmu", ["tailnum", "origin"])
    Traceback (most recent call last):
        ...
    esker.errors.UnknownColumnError: no column 'tailnmu'; did you mean 'tailnum'? columns: tailnum, origin [ESK-101]
    """

    code = "ESK-101"

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

    code = "ESK-102"

    def __init__(self, message: str, text: str = "", position: int | None = None) -> None:
        self.text = text
        self.position = position
        if text and position is not None:
            message = f"{message}\n  {text}\n  {' ' * position}^"
        super().__init__(message)


class UnsupportedTypeError(InputError, TypeError):
    """An Arrow type that an operator does not take; the message names column, type and what to cast to."""

    code = "ESK-103"


class KeyTypeError(InputError, TypeError):
    """An object that cannot be the key of a pair: it can change, or its hash differs between processes."""

    code = "ESK-104"


class SchemaMismatchError(InputError):
    """Two inputs that should agree on columns or types do not."""

    code = "ESK-105"


class OptionError(InputError):
    """An option's value is out of its range or cannot be read."""

    code = "ESK-106"


class InputFileError(InputError, OSError):
    """A file or folder that is missing, unreadable, truncated or ragged; the message names it."""

    code = "ESK-107"


class EmptyBagError(InputError):
    """An element was asked of a Bag that has none."""

    code = "ESK-108"


class NestedCollectionError(InputError):
    """A function that runs on partitions uses a collection or session; the message names the variable, and the fix."""

    code = "ESK-109"


class UnpicklableFunctionError(InputError, TypeError):
    """A function, or something it holds, cannot go to another process; the message names what."""

    code = "ESK-110"


class UnknownIndexError(InputError, KeyError):
    """An index that a cluster has not, or no more.

    >>> raise UnknownIndexError.of("census", ["flights"], dropped=True)
    Traceback (most recent call last):
        ...
    esker.errors.UnknownIndexError: index 'census' of the cluster was dropped; there is: flights [ESK-111]
    """

    code = "ESK-111"

    index = ""
    dropped = False

    @classmethod
    def of(cls, index: str, there: Iterable[str], *, dropped: bool) -> UnknownIndexError:
        """Name the index, whether it was dropped, and those that there are."""
        said = f"index {index!r} of the cluster was dropped" if dropped else f"the cluster has no index {index!r}"
        error = cls(f"{said}; there is: {', '.join(there) or 'none'}")
        error.index, error.dropped = index, dropped
        return error


class CorruptError(EskerError):
    """Stored bytes are not what was written: a checksum, a magic or an offset is wrong."""

    code = "ESK-200"


class PageCorruptError(CorruptError):
    """A slotted page whose header, checksum or offsets are wrong."""

    code = "ESK-201"


class BitmapCorruptError(CorruptError):
    """A bitmap vector or an index segment whose bytes are wrong."""

    code = "ESK-202"


class CatalogCorruptError(CorruptError):
    """A frozen data set's catalogue that is damaged or does not match its files."""

    code = "ESK-203"


class PayloadCorruptError(CorruptError):
    """A payload extent or key file whose bytes do not match the catalogue."""

    code = "ESK-204"


class LogCorruptError(CorruptError):
    """A record of a cluster's log whose checksum is right and whose bytes are not, or damage before the log's end."""

    code = "ESK-205"


class DamagedValueError(CorruptError):
    """A value that a cluster's node keeps is not what was put; the node lets it go and gets it from another."""

    code = "ESK-206"


class ResourceError(EskerError):
    """A limit of the machine, or one the user set, was reached."""

    code = "ESK-300"


class MemoryBudgetExceededError(ResourceError, MemoryError):
    """An operator needs more than the budget has left.

    >>> error = MemoryBudgetExceededError.of("group_by", 500, 300, {"scan": 100}, largest_key="JFK")
    >>> print(error)  # doctest: +NORMALIZE_WHITESPACE
    group_by needs 500 bytes of memory, but only 200 of the budget of 300 are left (scan holds 100);
    the largest key is 'JFK'; raise memory= or use more partitions [ESK-301]
    """

    code = "ESK-301"

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
        left = max(budget_bytes - sum(holders.values()), 0)
        held = ", ".join(f"{name} holds {held_bytes:,}" for name, held_bytes in holders.items() if held_bytes)
        # An operator may be refused while that much is left: what the others will need is theirs.
        lacking = f"but only {left:,}" if left < bytes_wanted else f"more than its part: {left:,}"
        message = f"{operator} needs {bytes_wanted:,} bytes of memory, {lacking} of the budget of"
        message += f" {budget_bytes:,} are left ({held or 'nothing is held'});"
        if largest_key is not None:
            shown = repr(largest_key)
            message += f" the largest key is {shown if len(shown) <= 80 else shown[:79] + '…'};"
        message += f" {advice}"
        return cls(message, operator=operator, bytes_wanted=bytes_wanted, holders=holders, largest_key=largest_key)


class SpillError(ResourceError, OSError):
    """The spill folder is full, or its cap is reached; names the folder, the bytes and what to change."""

    code = "ESK-302"


class LockedError(ResourceError):
    """Another process holds the right to write; the message names the folder."""

    code = "ESK-303"
    temporary = True


class OutputFileError(ResourceError, OSError):
    """A file could not be written; the message names it, and nothing was left under that name."""

    code = "ESK-304"


class CostLimitError(ResourceError):
    """The plan costs more than `max_cost`; nothing was read."""

    code = "ESK-305"


class MissingExtraError(ResourceError, ImportError):
    """An optional package is missing.

    >>> print(MissingExtraError.of("duckdb", "duckdb"))
    duckdb is not installed: pip install 'esker[duckdb]' [ESK-306]
    """

    code = "ESK-306"

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtraError:
        """Name the package and the extra that brings it."""
        return cls(f"{package} is not installed: pip install 'esker[{extra}]'")


class OutputExistsError(EskerError, FileExistsError):
    """The target exists; nothing was written. Choose another name or pass overwrite=True where offered."""

    code = "ESK-307"


class SessionLostError(ResourceError):
    """What a session's work was done by is gone, and the work with it; the message names it. Open a new session."""

    code = "ESK-308"


class TierError(EskerError, OSError):
    """A storage tier failed to read or write; the message names the tier, key and range."""

    code = "ESK-400"


class TierUnavailableError(TierError):
    """A store did not answer, or answered that it cannot now, however often it was asked; names the object."""

    code = "ESK-401"
    temporary = True


class NotThawedError(TierError):
    """The extent is cold; `ready_seconds` from now it may be readable (None: ask for it first)."""

    code = "ESK-402"
    temporary = True

    def __init__(self, message: str, ready_seconds: float | None = None) -> None:
        super().__init__(message)
        self.ready_seconds = ready_seconds


class StreamError(EskerError):
    """Elements could not flow as the stream was told to let them; names the operator."""

    code = "ESK-500"


class BufferOverflowError(StreamError):
    """A buffer with `overflow="fail"` was full when an element came."""

    code = "ESK-501"


class RateExceededError(StreamError):
    """More came than a throttle with `mode="enforce"` lets through."""

    code = "ESK-502"


class StreamTimeoutError(StreamError, TimeoutError):
    """No element came in time; names the operator and the seconds."""

    code = "ESK-503"
    temporary = True


class CancelledError(EskerError):
    """The user asked to stop; outputs under their final names were not touched."""

    code = "ESK-601"


class PeerError(EskerError, ConnectionError):
    """Another process, perhaps on another machine, did not do what it was asked; the message names it."""

    code = "ESK-700"


class PeerUnreachableError(PeerError):
    """There is nobody at the address, or the connection broke."""

    code = "ESK-701"
    temporary = True


class DeadlineExceededError(PeerError, TimeoutError):
    """A call took longer than it may; what it was to do may have been done."""

    code = "ESK-702"
    temporary = True


class AuthenticationError(PeerError, PermissionError):
    """The peer does not take the token."""

    code = "ESK-703"


class MessageTooLargeError(PeerError):
    """A message is bigger than a limit; the message says which. Send less at once, or raise the limit on both sides."""

    code = "ESK-704"


class TlsError(PeerError):
    """Two processes do not agree on TLS: a certificate that is not trusted, or only one of them speaks it."""

    code = "ESK-706"


class UnitsLostError(EskerError):
    """All nodes of a cluster that had copies of something are gone; `units` says of what, `nodes` which had them."""

    code = "ESK-705"

    def __init__(self, message: str, units: tuple[str, ...] = (), nodes: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.units = units
        self.nodes = nodes


class WorkerLostError(EskerError):
    """A worker process ended in the middle of a task: it crashed, was killed, or left by itself.

    `exit_status` is its exit status, or the negative number of a signal; `mark` the element it was at (its position
    from 1, and what it looks like), where known; `stack` what Python printed of a fatal signal.
    """

    code = "ESK-602"
    temporary = True

    def __init__(
        self, message: str, *, exit_status: int | None = None, mark: tuple[int, str] | None = None, stack: str = ""
    ) -> None:
        super().__init__(message)
        self.exit_status = exit_status
        self.mark = mark
        self.stack = stack


class PagesLostError(EskerError):
    """Pages of a shuffle are gone, or damaged; they can be made again.

    `shuffle` is the shuffle's, `map_number` says which task made them, `node` and `name` where they were.
    """

    code = "ESK-604"
    temporary = True
    shuffle = ""
    map_number = 0
    node = ""
    name = ""

    @classmethod
    def of(cls, shuffle: str, map_number: int, node: str, name: str, why: BaseException) -> PagesLostError:
        """Name the pages, and what happened to them."""
        error = cls(f"pages that task {map_number} of a shuffle left at node {node[:12]} are gone: {why}")
        error.shuffle, error.map_number, error.node, error.name = shuffle, map_number, node, name
        return error


class UserFunctionError(EskerError):
    """The user's function raised; the message shows the user's own line first, `__cause__` is the original."""

    code = "ESK-603"
