"""What nodes, the coordinator and clients say to one another. Every message travels with its sender and a stamp.

The stamp of what the coordinator says, and of what nodes say to one another, is the epoch: whoever has seen a later
one does not listen. The stamp of what a node says to the coordinator is its incarnation, a number drawn anew at every
start: what a node said before it was restarted (perhaps with an empty disk) does not count any more.
"""

from __future__ import annotations

from typing import NamedTuple

COORDINATOR = -1
"""The coordinator's number; nodes have numbers from 0 up, clients from -2 down."""

EPOCH_SHIFT = 32
"""A version is (epoch << 32) + a count: no two puts have the same, whatever was forgotten in a crash."""

Range = tuple[int, int]
"""Vectors first to last, both included."""

Term = tuple[Range, ...]
"""Ranges whose vectors are ORed."""

Terms = tuple[Term, ...]
"""A query: terms that are ANDed."""

ROWS, COUNT, VALUES = 0, 1, 2
"""What is asked for: the rows, how many there are, or the values of the ranges themselves, vector by vector."""


FORGOTTEN = "forgotten"
"""Why a put fails of which nobody knows any more whether it was done."""

CHANGED = "changed"
"""Why a put fails whose guards are at other versions than it says: what it was made for was replaced or dropped."""


# ---- clients and coordinator ----


class Write(NamedTuple):
    """A vector's part for a unit. `whole` replaces all that the unit had (a unit that is one vector)."""

    unit: str
    vector: int
    value: bytes
    whole: bool


class Put(NamedTuple):
    """Store all writes or none. A client numbers its puts upwards and may repeat one until it is done.

    It is refused unless each of `guards` is at the version named. With its commit every unit whose name begins with one
    of the prefixes `drops` is gone: those of an index that is dropped, or of the one before it that it replaces.
    """

    sequence: int
    writes: tuple[Write, ...]
    guards: tuple[tuple[str, int], ...] = ()
    drops: tuple[str, ...] = ()


class Done(NamedTuple):
    """The put is durable on every node that should have it, and every later query sees it."""

    sequence: int


class Query(NamedTuple):
    """A batch of queries. Of `units` each is asked for all of them; without, vector k lies in the unit `prefix` + k.

    A unit may be a name of esker.cluster.blocks.every_block: then the blocks of that moment are asked.

    `planner` names a planner; empty for the coordinator's own. The answer names the versions of `guards`, too, which
    are not read: a client learns from them that what it knows of an index is old.
    """

    number: int
    queries: tuple[Terms, ...]
    kind: int = ROWS
    units: tuple[str, ...] = ()
    prefix: str = ""
    planner: str = ""
    guards: tuple[str, ...] = ()


class Answer(NamedTuple):
    """Results of a batch, as of the unit versions named: for each unit (or all: "") those of the queries, packed."""

    number: int
    versions: tuple[tuple[str, int], ...]
    results: tuple[tuple[str, bytes], ...]


class Failed(NamedTuple):
    """A put or query that cannot be: why, which units, and which nodes had them.

    When the reason is `moved`, the put was of blocks that became others: the units are those there are now. When it is
    `changed`, the units are the guards that are at other versions.
    """

    number: int
    reason: str
    units: tuple[str, ...]
    nodes: tuple[int, ...]


# ---- two-phase commit ----


class UnitWrite(NamedTuple):
    """What a put does to a unit: vectors and values over the version `base`, whose digest is `digest`."""

    unit: str
    base: int
    digest: int
    whole: bool
    entries: tuple[tuple[int, bytes], ...]


class Prepare(NamedTuple):
    """Make the writes durable, promise to commit them when told, and vote."""

    version: int
    peers: tuple[int, ...]
    writes: tuple[UnitWrite, ...]


class Reshape(NamedTuple):
    """Prepare, as above, that blocks become others of the same rows: one is divided, or two are joined.

    Both lists are (unit, version, digest) as they are now. Each node makes the contents from what it has.
    """

    version: int
    peers: tuple[int, ...]
    sources: tuple[tuple[str, int, int], ...]
    targets: tuple[tuple[str, int, int], ...]


class Vote(NamedTuple):
    """Yes, with the digest that each unit will have (None: this node lacks older parts of it); or no."""

    version: int
    yes: bool
    digests: tuple[tuple[str, int | None], ...]


class Outcome(NamedTuple):
    """The decision: commit or abort."""

    version: int
    commit: bool


class Acknowledged(NamedTuple):
    """The commit is durable here, need not be remembered for this node, and left its units so, in this epoch."""

    version: int
    epoch: int
    units: tuple[tuple[str, int, int], ...]


class Inquire(NamedTuple):
    """How did this transaction end? Asked of the coordinator, who goes by the units when it has forgotten."""

    version: int
    units: tuple[str, ...]


class InquirePeer(NamedTuple):
    """The same, asked of another participant when the coordinator stays away."""

    version: int


# ---- membership ----


class Ping(NamedTuple):
    """Are you there? Outcomes up to version `settled` are known to all that asked for them."""

    settled: int


class Pong(NamedTuple):
    """Here."""


class Hello(NamedTuple):
    """A node that started, or was not asked for long, wants in; `fresh` when its disk was empty."""

    fresh: bool


class Compare(NamedTuple):
    """Say what you hold, as sums over buckets of units. `fresh` names the incarnation that joins with an empty disk.

    Another incarnation with an empty disk does not answer this, but says hello: an epoch must begin with it, so that
    it is known of which transactions it can know nothing.
    """

    token: int
    fresh: int


class Sums(NamedTuple):
    """One checksum of (unit, version, digest) for each bucket."""

    token: int
    sums: tuple[int, ...]


class Enumerate(NamedTuple):
    """Say unit by unit what is in these buckets."""

    token: int
    buckets: tuple[int, ...]


class Held(NamedTuple):
    """Units with version and digest, prepared versions too."""

    token: int
    units: tuple[tuple[str, int, int], ...]


class Welcome(NamedTuple):
    """The coordinator knows what this incarnation holds."""

    incarnation: int


# ---- moving units ----


class Transfer(NamedTuple):
    """Send these units, at these versions, to `target`, in one message."""

    target: int
    units: tuple[tuple[str, int], ...]


class UnitCopy(NamedTuple):
    """A whole unit at a version: (vector, version of it, value)."""

    unit: str
    version: int
    digest: int
    entries: tuple[tuple[int, int, bytes], ...]


class Copies(NamedTuple):
    """Units for keeping."""

    units: tuple[UnitCopy, ...]


class Received(NamedTuple):
    """Copies are durable here: what each unit has now, in this epoch; their values have `size` bytes."""

    epoch: int
    units: tuple[tuple[str, int, int], ...]
    size: int = 0


class Discard(NamedTuple):
    """These units belong elsewhere and have all their copies there."""

    units: tuple[str, ...]


class Discarded(NamedTuple):
    """They are gone here."""

    units: tuple[str, ...]


class Clear(NamedTuple):
    """All units whose names begin with these prefixes were dropped, in an epoch before this one: let them go."""

    prefixes: tuple[str, ...]


class Cleared(NamedTuple):
    """None of them is here any more, nor any that waits for the end of a transaction."""

    prefixes: tuple[str, ...]


class Lacks(NamedTuple):
    """This node has nothing of these units: it let them go, or found that its values are not what was put.

    The epoch is the latest that it had heard of: in a later one it may have them again.
    """

    epoch: int
    units: tuple[str, ...]


# ---- weighing ----


class Weigh(NamedTuple):
    """Say how much your blocks have, and how much of them was read since you were asked last."""


class Weights(NamedTuple):
    """Blocks that may be divided or joined: (unit, bytes of values, bytes of values that were read)."""

    blocks: tuple[tuple[str, int, int], ...]


# ---- reading ----


class Read(NamedTuple):
    """Need (query, part, unit) at exactly this version of the unit."""

    query: int
    part: int
    unit: str
    version: int


class Ask(NamedTuple):
    """Read these; when there are further steps, ask the next node for them and put its results to one's own."""

    call: int
    kind: int
    queries: tuple[Terms, ...]
    reads: tuple[Read, ...]
    then: tuple[tuple[int, tuple[Read, ...]], ...]


class Reply(NamedTuple):
    """Results by (query, part, unit): parts are ORed already, and have no unit; those of whole queries are packed."""

    call: int
    results: tuple[tuple[int, int, str, bytes], ...]


class Refuse(NamedTuple):
    """This node, or one that it asked, cannot read some of it: too old, too new, or not whole here."""

    call: int
    node: int
