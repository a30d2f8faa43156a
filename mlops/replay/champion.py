"""The model in place, and what of it the loop's decisions rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.stats.chance import null_quantiles, shape_of

if TYPE_CHECKING:
    import pandas as pd

    from mlops.ledger.drift_report import DriftReport
    from mlops.ledger.judgement import GateJudged
    from mlops.ledger.quality_verdict import QualityVerdict
    from mlops.monitoring.reference import Reference
    from mlops.replay.fits import Model

__all__ = ["Champion", "RememberedNulls"]


class RememberedNulls:
    """`mlops.stats.chance.null_quantiles` of one reference: estimated once for all windows of one shape."""

    def __init__(self) -> None:
        self._estimates: dict[Any, dict[str, float]] = {}

    def __call__(
        self,
        reference: pd.DataFrame,
        columns: Mapping[str, str],
        blocks: NDArray[np.int64],
        *,
        window_blocks: int,
        window_rows: int,
        tails: Mapping[str, float],
        **how: Any,
    ) -> dict[str, float]:
        """Return what `null_quantiles` returns."""
        shape = shape_of(blocks, window_blocks=window_blocks, window_rows=window_rows)
        key = (tuple(tails[name] for name in columns), tuple(columns), shape, *sorted(how.items()))
        if key not in self._estimates:
            self._estimates[key] = null_quantiles(
                reference,
                columns,
                blocks,
                window_blocks=window_blocks,
                window_rows=window_rows,
                tails=tails,
                **how,
            )
        return self._estimates[key]


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
        The judged windows of what it served, oldest first, each with the newest verdict on its quality.
    looks
        Every verdict on the quality of what it served.
    rejected
        The verdicts on challengers that did not replace it.
    nulls
        What chance does to windows beside its reference.
    since
        When the change began that it was trained for; None for one that no drift asked for.
    """

    model: Model
    version: int
    fitted_until: datetime
    reference: Reference | None = None
    reports: list[DriftReport] = field(default_factory=list)
    looks: list[QualityVerdict] = field(default_factory=list)
    rejected: list[GateJudged] = field(default_factory=list)
    nulls: RememberedNulls = field(default_factory=RememberedNulls)
    since: datetime | None = None
