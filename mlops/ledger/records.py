"""Every kind of row of the ledger: the register of the record classes, and one place to import them from."""

from __future__ import annotations

from mlops.ledger.data_records import (
    BadRows,
    BiasedQuarantine,
    DataRefused,
    DataVersioned,
    IngestedFile,
    ReturnedRows,
    SourcePosition,
)
from mlops.ledger.deployment_records import (
    AnyDeployment,
    DeploymentFailed,
    DeploymentRecovered,
    DeploymentServed,
    DeploymentStarted,
    ScoringStarted,
    TableScored,
)
from mlops.ledger.judgement import GateJudged
from mlops.ledger.model_records import (
    ModelMarked,
    ModelPromoted,
    ModelRegistered,
    ModelReproduced,
    ModelRolledBack,
)
from mlops.ledger.monitoring_records import (
    DriftChecked,
    DriftConfirmed,
    DriftReported,
    QualityChecked,
    RetrainFinished,
    RetrainRefused,
    RetrainRule,
    RetrainStarted,
)
from mlops.ledger.record import Record
from mlops.ledger.upkeep_records import (
    RunAbandoned,
    RunRequested,
    StorageCollected,
)

__all__ = [
    "RECORDS",
    "AnyDeployment",
    "BadRows",
    "BiasedQuarantine",
    "DataRefused",
    "DataVersioned",
    "DeploymentFailed",
    "DeploymentRecovered",
    "DeploymentServed",
    "DeploymentStarted",
    "DriftChecked",
    "DriftConfirmed",
    "DriftReported",
    "GateJudged",
    "IngestedFile",
    "ModelMarked",
    "ModelPromoted",
    "ModelRegistered",
    "ModelReproduced",
    "ModelRolledBack",
    "QualityChecked",
    "RetrainFinished",
    "RetrainRefused",
    "RetrainRule",
    "RetrainStarted",
    "ReturnedRows",
    "RunAbandoned",
    "RunRequested",
    "ScoringStarted",
    "SourcePosition",
    "StorageCollected",
    "TableScored",
]

RECORDS: tuple[type[Record], ...] = (
    DataVersioned,
    DataRefused,
    ModelRegistered,
    GateJudged,
    ModelPromoted,
    ModelMarked,
    ModelReproduced,
    ModelRolledBack,
    DeploymentStarted,
    DeploymentServed,
    DeploymentFailed,
    DeploymentRecovered,
    ScoringStarted,
    TableScored,
    DriftChecked,
    DriftConfirmed,
    DriftReported,
    QualityChecked,
    RetrainStarted,
    RetrainFinished,
    RetrainRefused,
    RunRequested,
    RunAbandoned,
    StorageCollected,
)
"""The register: every kind of row."""
