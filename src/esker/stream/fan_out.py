"""One stream into several branches, which take elements at their own pace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Generic, TypeVar

from esker.errors import OptionError
from esker.stream.feed import END, Mailbox, Signal
from esker.stream.run import Elements, Stage

T = TypeVar("T")


class Branch(Mailbox[T]):
    """One way out: `wants` is True while it waits for an element."""

    def __init__(self, asked: Signal) -> None:
        super().__init__()
        self.wants = False
        self.closed = False
        self._asked = asked

    def put(self, element: T) -> None:
        self.wants = False
        super().put(element)

    async def read(self) -> Elements[T]:
        """Give the branch's elements; leaving early closes the branch, and the others go on."""
        try:
            while True:
                self.wants = True
                self._asked.set()
                element = await self.take()
                if element is END:
                    return
                yield element
        finally:
            self.closed = True
            self.wants = False
            self._asked.set()


class FanOut(Generic[T]):
    """Deals the elements of `source` out to branches."""

    def __init__(self, source: Elements[T], stage: Stage, count: int) -> None:
        if count < 1:
            raise OptionError(f"{stage.operator} needs at least one branch")
        self._source = source
        self._stage = stage
        self._asked = Signal()
        self.branches = [Branch[T](self._asked) for _ in range(count)]

    async def broadcast(self) -> None:
        """Give each element to every branch, once all of them want one: the slowest sets the pace."""

        async def deal(element: T) -> None:
            for branch in self._open():
                branch.put(element)

        await self._deal(deal, all_want=True)

    async def balance(self) -> None:
        """Give each element to one branch that wants one."""

        async def deal(element: T) -> None:
            branch = await self._wanting(self._open)
            if branch is not None:
                # The next time another one is asked first.
                self.branches.remove(branch)
                self.branches.append(branch)
                branch.put(element)

        await self._deal(deal, all_want=False)

    async def partition(self, choose: Callable[[T], int]) -> None:
        """Give each element to the branch that `choose` numbers; it waits for that one."""
        branches = list(self.branches)

        async def deal(element: T) -> None:
            try:
                number = choose(element)
                if not 0 <= number < len(branches):
                    raise OptionError(
                        f"{self._stage.operator}: the function chose branch {number!r} of {len(branches)}"
                    )
            except Exception as error:  # noqa: BLE001  # the supervisor decides, and raises by default
                self._stage.failed(error, choose, element)
                return
            branch = await self._wanting(lambda: [one for one in [branches[number]] if not one.closed])
            if branch is not None:
                branch.put(element)

        await self._deal(deal, all_want=False)

    def _open(self) -> list[Branch[T]]:
        return [branch for branch in self.branches if not branch.closed]

    async def _deal(self, deal: Callable[[T], Awaitable[None]], all_want: bool) -> None:
        failure: Exception | None = None
        try:
            async with aclosing(self._source) as source:
                while await self._asked_for(all_want):
                    try:
                        element = await anext(source)
                    except StopAsyncIteration:
                        break
                    await deal(element)
                    del element
        except Exception as error:  # noqa: BLE001  # raised in every branch
            failure = error
        for branch in self.branches:
            branch.end(failure)

    async def _asked_for(self, all_want: bool) -> bool:
        """Wait for demand; False when every branch has been closed."""
        quantify = all if all_want else any
        while branches := self._open():
            if quantify(branch.wants for branch in branches):
                return True
            await self._asked.wait()
        return False

    async def _wanting(self, candidates: Callable[[], Sequence[Branch[T]]]) -> Branch[T] | None:
        """Wait until one of the candidates wants an element; None when all of them are closed."""
        while branches := candidates():
            for branch in branches:
                if branch.wants:
                    return branch
            await self._asked.wait()
        return None

    def start(self, mode: str, choose: Callable[[T], int] | None = None) -> Callable[[], Awaitable[None]]:
        """Name the task that deals: "broadcast", "balance" or "partition"."""
        if mode == "partition":
            assert choose is not None, "a partition needs its function"
            chosen = choose
            return lambda: self.partition(chosen)
        return {"broadcast": self.broadcast, "balance": self.balance}[mode]
