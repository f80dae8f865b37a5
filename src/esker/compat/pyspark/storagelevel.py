"""Where a persisted RDD is kept, in Spark's words."""

from __future__ import annotations

from typing import ClassVar


class StorageLevel:
    """Flags of a storage level.

    On one machine there is one copy whatever `replication` says, nothing lies off a heap, and what does not fit in the
    memory that the context has is kept on disk at every level with memory in it.

    >>> print(StorageLevel.MEMORY_AND_DISK_2)
    Disk Memory Serialized 2x Replicated
    >>> StorageLevel.DISK_ONLY
    StorageLevel(True, False, False, False, 1)
    """

    NONE: ClassVar[StorageLevel]
    DISK_ONLY: ClassVar[StorageLevel]
    DISK_ONLY_2: ClassVar[StorageLevel]
    DISK_ONLY_3: ClassVar[StorageLevel]
    MEMORY_ONLY: ClassVar[StorageLevel]
    MEMORY_ONLY_2: ClassVar[StorageLevel]
    MEMORY_AND_DISK: ClassVar[StorageLevel]
    MEMORY_AND_DISK_2: ClassVar[StorageLevel]
    MEMORY_AND_DISK_DESER: ClassVar[StorageLevel]
    OFF_HEAP: ClassVar[StorageLevel]

    def __init__(
        self, useDisk: bool, useMemory: bool, useOffHeap: bool, deserialized: bool, replication: int = 1
    ) -> None:
        self.useDisk = useDisk
        self.useMemory = useMemory
        self.useOffHeap = useOffHeap
        self.deserialized = deserialized
        self.replication = replication

    def _flags(self) -> tuple[bool, bool, bool, bool, int]:
        return self.useDisk, self.useMemory, self.useOffHeap, self.deserialized, self.replication

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageLevel) and self._flags() == other._flags()

    def __hash__(self) -> int:
        return hash(self._flags())

    def __repr__(self) -> str:
        return f"StorageLevel{self._flags()}"

    def __str__(self) -> str:
        places = [
            word
            for word, used in (("Disk", self.useDisk), ("Memory", self.useMemory), ("OffHeap", self.useOffHeap))
            if used
        ]
        form = "Deserialized" if self.deserialized else "Serialized"
        return " ".join([*places, form, f"{self.replication}x Replicated"])


for _name, _level in {
    "NONE": StorageLevel(False, False, False, False),
    "DISK_ONLY": StorageLevel(True, False, False, False),
    "DISK_ONLY_2": StorageLevel(True, False, False, False, 2),
    "DISK_ONLY_3": StorageLevel(True, False, False, False, 3),
    "MEMORY_ONLY": StorageLevel(False, True, False, False),
    "MEMORY_ONLY_2": StorageLevel(False, True, False, False, 2),
    "MEMORY_AND_DISK": StorageLevel(True, True, False, False),
    "MEMORY_AND_DISK_2": StorageLevel(True, True, False, False, 2),
    "MEMORY_AND_DISK_DESER": StorageLevel(True, True, False, True),
    "OFF_HEAP": StorageLevel(True, True, True, False),
}.items():
    setattr(StorageLevel, _name, _level)
