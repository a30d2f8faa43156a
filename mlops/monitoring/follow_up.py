"""Following a change up: the recipe is trained again on what has come since, until nothing older is left.

What is promoted first after a change is fitted on few rows from after it, among many from before. Nothing
drifts any more beside its reference, so nothing would ask for the next training.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlops.ledger.monitoring_records import DriftChecked
from mlops.monitoring.confirmation import confirmed_since

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.ledger.drift_report import DriftReport

__all__ = ["check", "is_due"]


def check(
    report: DriftReport,
    before: Sequence[DriftReport],
    params: Params,
    *,
    version: str,
    as_of: datetime,
    since: datetime | None,
    trained_until: datetime | None,
) -> DriftChecked:
    """Decide whether a judged window calls for a retraining: it confirms drift, or a follow-up is due.

    Parameters
    ----------
    report, before
        The window, and the earlier ones of the same champion, each with the newest verdict on its quality.
    version
        The champion's.
    as_of
        The end of the window.
    since
        When the change began that the champion was trained for; None for one that no drift asked for.
    trained_until
        See `is_due`; None without a time column, where nothing is followed up.
    """
    begun = confirmed_since([*before, report], policy=params.monitor) if report.raised else None
    confirmed, due = begun is not None, False
    if begun is not None:
        since = begun
    elif since is not None and trained_until is not None and params.retrain.policy == "on_drift":
        due = is_due(
            as_of=as_of,
            since=since,
            trained_until=trained_until,
            maturity=params.monitor.label_maturity,
            window=params.train.window,
        )
    return DriftChecked(
        version=version,
        raised=report.raised,
        confirmed=confirmed,
        report=report,
        since=since if confirmed or due else None,
        follow_up=due,
    )


def is_due(
    *, as_of: datetime, since: datetime, trained_until: datetime, maturity: timedelta, window: timedelta
) -> bool:
    """Return whether as much time has come since the last training as lay between the change and it.

    So the rows from after a change double from one training to the next: it costs as many trainings as the
    logarithm of `window`, not one in each judged window, and what serves has always been fitted on half of
    what could be known of it.

    Parameters
    ----------
    as_of
        The present, in event time; labels are known of rows that are `maturity` older.
    since
        When the change began, see `mlops.monitoring.confirmation.confirmed_since`.
    trained_until
        The end of the rows that were trained on last since then, whether or not the gate promoted that.
    window
        How far back fitted rows reach. Once none of them is from before the change, all is learnt.
    """
    known = as_of - maturity
    is_learnt = trained_until - window >= since
    return not is_learnt and known - since >= 2 * (trained_until - since)
