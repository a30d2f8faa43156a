"""Records of the data: its versions, and files that were refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mlops.ledger.record import Record

__all__ = [
    "BadRows",
    "BiasedQuarantine",
    "DataRefused",
    "DataVersioned",
    "IngestedFile",
    "ReturnedRows",
    "SourcePosition",
]


@dataclass(frozen=True)
class BadRows:
    """Rows of a file that break a rule of the contract: their column, the rule, how many."""

    column: str
    rule: str
    rows: int


@dataclass(frozen=True)
class BiasedQuarantine:
    """Rows that are quarantined more often than the others of their file, and what they have in common.

    Parameters
    ----------
    column
        None where it is their place in the file.
    rows, bad, other_rows, other_bad
        How many they are and how many of them are quarantined; the same of all others.
    """

    column: str | None
    condition: str
    rows: int
    bad: int
    other_rows: int
    other_bad: int

    @property
    def sentence(self) -> str:
        """What is lost."""
        return (
            f"ALARM: quarantine takes no random part of the rows, but {self.bad:,} of the {self.rows:,} "
            f"{self.condition}, and {self.other_bad:,} of the other {self.other_rows:,}"
        )


@dataclass(frozen=True)
class ReturnedRows:
    """Rows taken back from quarantine: its file, below the project's root, and their places in it."""

    quarantine: str
    rows: tuple[int, ...]


@dataclass(frozen=True)
class IngestedFile:
    """A file that was ingested; no row of it.

    Parameters
    ----------
    rows, quarantined
        How many were good, and how many the contract kept out.
    parts
        The files of the lake that hold its rows.
    quarantine
        Where the others are, below the project's root.
    biases
        What these have in common, where they are no random part of the file.
    returned
        The quarantined rows that it brings back, of files before.
    """

    name: str
    sha256: str
    rows: int
    parts: tuple[str, ...]
    quarantined: int
    quarantine: str | None
    reasons: tuple[BadRows, ...]
    biases: tuple[BiasedQuarantine, ...] = ()
    returned: tuple[ReturnedRows, ...] = ()


@dataclass(frozen=True)
class SourcePosition:
    """How far ``data.source`` was read: a JSON value that the source understands."""

    name: str
    position: Any


@dataclass(frozen=True, kw_only=True)
class DataVersioned(Record):
    """A version of the data.

    Parameters
    ----------
    rows
        How many were added.
    md5, raw
        DVC's names of the lake, and of the files as they came.
    left_out
        Rows that were not added, by the reason.
    contract
        The digest of the contract that held.
    """

    kind: ClassVar[str] = "data.versioned"

    rows: int
    md5: str
    commit: str
    raw: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    files: tuple[IngestedFile, ...] = ()
    contract: str | None = None
    source: SourcePosition | None = None

    @property
    def sentence(self) -> str:
        """How many rows were added, the version, and what its quarantined rows have in common."""
        alarms = [f" {file.name}: {bias.sentence}." for file in self.files for bias in file.biases[:1]]
        return f"{self.rows:,} rows added: data version {self.md5[:12]}.{''.join(alarms)}"


@dataclass(frozen=True, kw_only=True)
class DataRefused(Record):
    """A file that the contract refused as a whole."""

    kind: ClassVar[str] = "data.refused"
    key_template: ClassVar[str | None] = "refused:{sha256}:{contract}"

    file: str
    sha256: str
    contract: str | None
    reasons: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The file and the reasons."""
        return f"{self.file} was refused: {' '.join(self.reasons)}"
