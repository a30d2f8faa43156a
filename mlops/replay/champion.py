"""The model in place, and what of it the loop's decisions rest on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops.ledger.drift_report import DriftReport
    from mlops.ledger.judgement import GateJudged
    from mlops.monitoring.reference import Reference
    from mlops.replay.fits import Model

__all__ = ["Champion"]


@dataclass
class Champion:
    """A promoted model.

    Parameters
    ----------
    version
        The number of its training, from 1 on.
    fitted_until
        The end of the rows it was fitted on.
    reference
        What its served rows are compared with; None where nothing is.
    reports
        The judged windows of what it served, oldest first.
    rejected
        The verdicts on challengers that did not replace it.
    """

    model: Model
    version: int
    fitted_until: datetime
    reference: Reference | None = None
    reports: list[DriftReport] = field(default_factory=list)
    rejected: list[GateJudged] = field(default_factory=list)
