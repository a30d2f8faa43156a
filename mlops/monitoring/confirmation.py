"""Confirmation: which windows together confirm drift, and since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops.config.params import MonitorParams
    from mlops.ledger.drift_report import DriftReport
    from mlops.ledger.quality_verdict import QualityVerdict

__all__ = ["Evidence", "apart", "confirmed_again", "confirmed_since"]


@dataclass(frozen=True)
class Evidence:
    """What is known of one window.

    Parameters
    ----------
    end
        Its end, event time.
    since
        The start of the rows that raised it; None where none did.
    """

    end: datetime
    since: datetime | None


def confirmed_since(reports: Iterable[DriftReport], *, policy: MonitorParams) -> datetime | None:
    """Return since when the windows of one champion show a change; None where they confirm no drift.

    Enough of the last windows were raised, by a column or by the loss; or enough of the last windows whose
    loss is known have a worse one. Labels that come later than several windows are no reason to forget what
    they say: the windows behind them, of which nothing is known yet, are no calm ones.

    The change began with the first window that showed it: of those that confirm it, and of the raised ones
    right before them, whose retrainings were not promoted.

    Parameters
    ----------
    reports
        Of the windows up to now, each with the newest verdict on its quality. A window of which nothing
        could be said is left out.
    """
    known = list(reports)
    windows = [Evidence(each.window.end, _since(each)) for each in known if not each.unknown]
    losses = [
        Evidence(quality.window.end, quality.window.start if quality.state == "worse" else None)
        for quality in (each.quality for each in known)
        if quality is not None and quality.known
    ]
    begun = [_began(apart(each, gap=policy.window / 2), policy) for each in (windows, losses)]
    return min((since for since in begun if since is not None), default=None)


def confirmed_again(
    reports: Sequence[DriftReport],
    again: Iterable[tuple[int, QualityVerdict]],
    *,
    starts_retraining: bool,
    policy: MonitorParams,
) -> Iterator[datetime | None]:
    """Yield for each new verdict on an earlier window since when it confirms drift; None where it does not.

    Only one whose loss was not worse before, and only the first: one time starts one retraining.

    Parameters
    ----------
    reports
        Of the windows up to now, the current one included, as they were judged before.
    again
        The place in `reports`, and the new verdict on the window's quality.
    starts_retraining
        Whether a retraining is called for as of now already.
    """
    known = list(reports)
    for place, verdict in again:
        before = known[place].quality
        known[place] = replace(known[place], quality=verdict)
        turned = verdict.state == "worse" and (before is None or before.state != "worse")
        since = confirmed_since(known, policy=policy) if turned and not starts_retraining else None
        starts_retraining = starts_retraining or since is not None
        yield since


def apart(windows: Iterable[Evidence], *, gap: timedelta) -> list[Evidence]:
    """Return the windows that count, oldest first: of those that end less than `gap` apart, the newest."""
    chosen: list[Evidence] = []
    before: datetime | None = None
    for each in sorted(windows, key=lambda each: each.end, reverse=True):
        if before is None or each.end <= before:
            chosen.append(each)
            before = each.end - gap
    return chosen[::-1]


def _since(report: DriftReport) -> datetime | None:
    """Return the start of the rows that raise a window: its own, or those whose loss is worse."""
    starts = [report.window.start] if report.drifted else []
    if report.quality is not None and report.quality.state == "worse":
        starts.append(report.quality.window.start)
    return min(starts, default=None)


def _began(windows: Sequence[Evidence], policy: MonitorParams) -> datetime | None:
    last = windows[-policy.of :]
    showed = [each.since for each in last if each.since is not None]
    if len(showed) < policy.confirm:
        return None
    if last[0].since is not None:
        earlier = takewhile(lambda each: each.since is not None, reversed(windows[: -len(last)]))
        showed += [each.since for each in earlier if each.since is not None]
    return min(showed)
