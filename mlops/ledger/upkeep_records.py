"""Records of what the loop does to keep itself going: runs started again, storage freed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlops.errors import shown
from mlops.ledger.record import Record

__all__ = [
    "RunAbandoned",
    "RunRequested",
    "StorageCollected",
]


@dataclass(frozen=True, kw_only=True)
class RunRequested(Record):
    """A flow that the reconciler started."""

    kind: ClassVar[str] = "run.requested"

    flow: str

    @property
    def sentence(self) -> str:
        """The flow."""
        return f"Started {self.flow}."


@dataclass(frozen=True, kw_only=True)
class RunAbandoned(Record):
    """A flow that failed too often for the reconciler to start it again."""

    kind: ClassVar[str] = "run.abandoned"

    flow: str
    attempts: int

    @property
    def sentence(self) -> str:
        """The flow and its attempts."""
        return f"Gave up {self.flow} after {self.attempts} attempts: see its runs in Prefect."


@dataclass(frozen=True, kw_only=True)
class StorageCollected(Record):
    """What `mlops gc` removed: some names, and the bytes of all."""

    kind: ClassVar[str] = "storage.collected"

    removed: tuple[str, ...]
    bytes: int

    @property
    def sentence(self) -> str:
        """How much."""
        return f"Removed {shown(self.removed, 3)}: {self.bytes / 1e6:,.1f} MB."
