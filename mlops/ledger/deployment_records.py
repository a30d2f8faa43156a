"""Records of what predicts: deployments and scored tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mlops.ledger.record import Record

__all__ = [
    "AnyDeployment",
    "DeploymentFailed",
    "DeploymentRecovered",
    "DeploymentServed",
    "DeploymentStarted",
    "ScoringStarted",
    "TableScored",
]


@dataclass(frozen=True, kw_only=True)
class DeploymentStarted(Record):
    """A deployment that begins."""

    kind: ClassVar[str] = "deployment.started"

    deployment: str
    version: str
    digest: str

    @property
    def sentence(self) -> str:
        """The version."""
        return f"Deploying version {self.version}."


@dataclass(frozen=True, kw_only=True)
class DeploymentServed(Record):
    """A deployment that the gateway leads to.

    Parameters
    ----------
    target
        Where it runs: ``docker`` or ``process``.
    image
        Its container image; None for a process.
    """

    kind: ClassVar[str] = "deployment.served"

    deployment: str
    version: str
    digest: str
    target: str
    image: str | None = None

    @property
    def sentence(self) -> str:
        """The version."""
        return f"Version {self.version} serves."


@dataclass(frozen=True, kw_only=True)
class DeploymentFailed(Record):
    """A deployment that failed; what served before still does."""

    kind: ClassVar[str] = "deployment.failed"

    deployment: str
    version: str
    digest: str
    reason: str

    @property
    def sentence(self) -> str:
        """The version and the reason."""
        return f"Deploying version {self.version} failed: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class DeploymentRecovered(Record):
    """A deployment that failed or seemed to be gone, and serves again."""

    kind: ClassVar[str] = "deployment.recovered"

    deployment: str
    version: str
    digest: str

    @property
    def sentence(self) -> str:
        """The version."""
        return f"Version {self.version} serves again."


@dataclass(frozen=True, kw_only=True)
class ScoringStarted(Record):
    """A table whose predictions are about to enter the log.

    Parameters
    ----------
    scoring
        The digest of the table's content and the promotion: one scoring of one table.
    content
        The digest of the table's file.
    """

    kind: ClassVar[str] = "scoring.started"
    key_template: ClassVar[str | None] = "scoring:{scoring}"

    scoring: str
    deployment: str
    version: str
    digest: str
    source: str
    destination: str
    content: str
    rows: int

    @property
    def sentence(self) -> str:
        """The table and the version."""
        return f"Scoring {self.source} by version {self.version}."


@dataclass(frozen=True, kw_only=True)
class TableScored(Record):
    """A scored table, see `ScoringStarted`; `logged` where its predictions are in the log."""

    kind: ClassVar[str] = "table.scored"
    key_template: ClassVar[str | None] = "scored:{scoring}:{logged}"

    scoring: str
    deployment: str
    version: str
    digest: str
    source: str
    destination: str
    content: str
    rows: int
    logged: bool

    @property
    def sentence(self) -> str:
        """The table, its rows and the version."""
        return f"{self.rows:,} rows of {self.source} scored by version {self.version}."


AnyDeployment = (
    DeploymentStarted
    | DeploymentServed
    | DeploymentFailed
    | DeploymentRecovered
    | ScoringStarted
    | TableScored
)
"""What names a deployment: predictions in the log name it too."""
