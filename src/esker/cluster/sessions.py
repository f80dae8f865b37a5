"""What the coordinator remembers of clients' puts: enough that none is done twice, and not of everybody for ever."""

from __future__ import annotations

SESSIONS_MOST = 1 << 16
"""Sessions that are remembered; of more, those that have not put for the longest time are forgotten."""

NOBODY = -1
"""Younger than no session: numbers of sessions fall, from -2 down, in the order in which they are given."""


class Sessions(dict[int, int]):
    """The last put of each session that is remembered, by the session's number; the last to put stands last.

    `forgotten` is the youngest session that was forgotten. A session that is not here and not younger may have had
    puts done that nobody knows of: it is refused. One that is younger has had none.

    >>> sessions = Sessions(most=2)
    >>> for number in (-2, -3, -2, -4):
    ...     sessions.enter(number, 7)
    >>> dict(sessions), sessions.forgotten
    ({-2: 7, -4: 7}, -3)
    >>> [sessions.is_forgotten(number) for number in (-2, -3, -5)]
    [False, True, False]
    """

    def __init__(self, most: int = SESSIONS_MOST) -> None:
        super().__init__()
        self.most = most
        self.forgotten = NOBODY

    def enter(self, session: int, sequence: int) -> None:
        """Enter that a put of a session is done."""
        self[session] = max(sequence, self.pop(session, 0))
        while len(self) > self.most:
            oldest = next(iter(self))
            del self[oldest]
            self.forget(oldest)

    def forget(self, session: int) -> None:
        """Take a session, and all that are older and not remembered, for forgotten."""
        self.forgotten = min(self.forgotten, session)

    def is_forgotten(self, session: int) -> bool:
        """Say whether puts of a session may have been done that are not known any more."""
        return session not in self and session >= self.forgotten
