"""Retraining: which served rows may be trained on, and whether a retraining may start."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import pandas as pd

from mlops.errors import TooFewRowsError

if TYPE_CHECKING:
    from mlops.config.params import RetrainParams
    from mlops.ledger.drift_report import DriftReport
    from mlops.ledger.judgement import GateJudged
    from mlops.schema import Schema

__all__ = [
    "Refusal",
    "TrainableRows",
    "check_enough",
    "count_new",
    "may_start",
    "rejected_until",
    "trainable_rows",
    "trained_until",
    "untrainable",
]


@dataclass(frozen=True)
class TrainableRows:
    """The served rows that may be trained on, and counts of those left out.

    Counts are of distinct keys. `known` already have their label in the lake, `labelled` are
    the rows to append, `new_rows`, which keep the index they had in the log; `unlabelled` are mature and
    never got a label, `immature` are too young to say. Of the mature ones `recent` are newer than what the
    champion was fitted on, and `recent_labelled` are those of them whose label is known.
    """

    new_rows: pd.DataFrame
    known: int
    labelled: int
    unlabelled: int
    immature: int
    recent: int
    recent_labelled: int

    @property
    def coverage(self) -> float | None:
        """The share of recent rows whose label is known; None where there is no recent row.

        Older ones say nothing of the sample: were they counted, the labels that came first would
        pass for all of a new month behind years whose labels are all in.
        """
        return self.recent_labelled / self.recent if self.recent else None


@dataclass(frozen=True)
class Refusal:
    """Why a retraining does not start: a word for machines, a sentence for people."""

    cause: Literal["invalid", "policy", "cooldown"]
    reason: str


def trainable_rows(
    lake: pd.DataFrame,
    log_with_labels: pd.DataFrame,
    schema: Schema,
    *,
    as_of: datetime,
    maturity: timedelta,
    since: datetime | None = None,
) -> TrainableRows:
    """Select the served rows that may be trained on.

    One row per key, as it was last served, with the label of any of its
    predictions, the last one's first; only those older than `maturity`, so that labels which
    come fast do not select the sample; none whose label the lake has already.

    Parameters
    ----------
    lake
        What was trained on so far, columns as in `schema`.
    log_with_labels
        The prediction log with the target beside it, null where no label came: ``id``, ``key``,
        ``time``, ``at``, the features and the target. A prediction without a key is a row of
        its own. Where `schema` has no key, rows cannot be recognised: pass the log since the
        last retraining only.
    as_of
        The present, in event time.
    since
        Rows from then on are recent: the end of what the champion was fitted on. None for all.
    """
    served = log_with_labels.sort_values("at", kind="stable")
    keys = served["key"].where(served["key"].fillna("") != "", served["id"]).astype(str)
    # A key served twice may have its label under the first prediction's id.
    latest_label = served[schema.target].groupby(keys).transform("last")
    served = served.assign(**{"key": keys, schema.target: latest_label}).drop_duplicates("key", keep="last")
    mature = served[served["time"] < pd.Timestamp(as_of) - maturity]
    known = mature["key"].isin(_labelled_keys(lake, schema))
    labelled = mature[schema.target].notna()
    recent = (mature["time"] >= pd.Timestamp(since)) if since else pd.Series(True, index=mature.index)
    return TrainableRows(
        new_rows=_as_lake(mature[labelled & ~known], schema),
        known=int(known.sum()),
        labelled=int((labelled & ~known).sum()),
        unlabelled=int((~labelled & ~known).sum()),
        immature=len(served) - len(mature),
        recent=int(recent.sum()),
        recent_labelled=int((recent & (labelled | known)).sum()),
    )


def check_enough(
    rows: TrainableRows, new: int, *, min_rows: int, min_coverage: float, rejected: bool = False
) -> None:
    """Check that there are enough new labelled rows, and that their labels are a fair sample.

    Parameters
    ----------
    new
        Labelled rows, of the lake too, that are newer than what the champion was fitted on, and than what the
        gate rejected a retraining on.
    rejected
        Whether it did.

    Raises
    ------
    TooFewRowsError
        Fewer than `min_rows`, or a smaller share of the recent rows than `min_coverage` has its
        label. Add labels, or lower the two settings.
    """
    few: dict[str, str] = {}
    since = "those of the retraining that the gate rejected" if rejected else "the champion's"
    if new < min_rows:
        few["retrain.min_rows"] = (
            f"{new:,} labelled rows are newer than {since}; retraining needs {min_rows:,}."
        )
    # Where nothing was served since, there is nothing to cover: the lake's own tables are trained on.
    if rows.coverage is not None and rows.coverage < min_coverage:
        few["monitor.min_coverage"] = (
            f"{rows.recent_labelled:,} of the {rows.recent:,} rows served since the champion's rows, "
            f"and old enough, have their label, {rows.coverage:.0%}; retraining needs {min_coverage:.0%}."
        )
    if few:
        remedy = f"Add labels with `mlops labels add FILE`, or lower {' and '.join(few)} in params.yaml."
        raise TooFewRowsError(" ".join(few.values()), remedy=remedy)


def rejected_until(verdicts: Iterable[GateJudged], promotion: str) -> datetime | None:
    """Return the end of the rows on which the gate rejected a challenger of this promotion; None without one.

    For a retraining that drift starts: the same rows would be rejected again. A person may insist.
    """
    ends = [
        judged.window.end
        for judged in verdicts
        if judged.promotion == promotion and not judged.promote and judged.window
    ]
    return max(ends, default=None)


def trained_until(
    verdicts: Iterable[GateJudged], promotion: str, *, fitted_until: datetime | None
) -> datetime | None:
    """Return the end of the rows that were trained on last since a promotion, whatever the gate said of it.

    Parameters
    ----------
    fitted_until
        The end of the rows that the champion was fitted on; None without a time column.
    """
    ends = (fitted_until, rejected_until(verdicts, promotion))
    return max((end for end in ends if end is not None), default=None)


def count_new(
    tables: Iterable[pd.DataFrame], schema: Schema, *, since: datetime, rejected: datetime | None = None
) -> int:
    """Count the labelled rows that are new to the champion, and to a challenger that the gate rejected.

    Parameters
    ----------
    tables
        Rows with a time column, of which those with a label count.
    since
        The end of the rows that the champion was fitted on.
    rejected
        See `rejected_until`.
    """
    end = pd.Timestamp(max(since, rejected or since))
    return sum(int((rows[schema.target].notna() & (rows[schema.time] >= end)).sum()) for rows in tables)


def untrainable(report: DriftReport, schema: Schema, *, accept: Collection[str] = ()) -> dict[str, str]:
    """Return the broken features of a window, and what is wrong with each; without those to `accept`.

    The prediction may be invalid too, but it is no feature: nothing is trained on it.
    """
    return {
        column.column: column.note
        for column in report.columns
        if column.verdict == "invalid" and column.column in schema.features and column.column not in accept
    }


def may_start(
    *,
    as_of: datetime,
    last_retrain_as_of: datetime | None,
    policy: RetrainParams,
    broken: Mapping[str, str] | None = None,
    requested: bool = False,
    follow_up: bool = False,
) -> Refusal | None:
    """Return why confirmed drift may not start a retraining now, or None where it may.

    Parameters
    ----------
    as_of, last_retrain_as_of
        Event times of this decision and of the last training that was promoted.
    broken
        Columns that are broken rather than drifted, and what is wrong with each: see `untrainable`.
    requested
        A person or a schedule started it: neither broken columns, the policy on drift nor the cooldown apply.
    follow_up
        It trains again on what has come since an earlier change: the cooldown does not apply.
    """
    if requested:
        return None
    if broken:
        return Refusal("invalid", _ways_out(broken))
    if policy.policy == "never":
        return Refusal("policy", "retrain.policy in params.yaml is never.")
    if follow_up or last_retrain_as_of is None:
        return None
    if as_of < (until := last_retrain_as_of + policy.cooldown):
        return Refusal(
            "cooldown",
            f"The champion was trained as of {last_retrain_as_of:%Y-%m-%d %H:%M}; "
            f"retrain.cooldown lasts until {until:%Y-%m-%d %H:%M}.",
        )
    return None


def _ways_out(broken: Mapping[str, str]) -> str:
    columns = "; ".join(f"{name} is broken: {note}" for name, note in broken.items())
    it, its = ("it", "its") if len(broken) == 1 else ("them", "their")
    return (
        f"{columns}. Fix {it} at {its} source; or set monitor.accept: [{', '.join(broken)}] in params.yaml "
        f"where that is the new normal; or leave {it} out of data.features; or run `mlops retrain`, which "
        f"trains on {it} as served."
    )


def _labelled_keys(lake: pd.DataFrame, schema: Schema) -> set[str]:
    """Keys whose label the lake has; a row that waits for its label may still get it."""
    if schema.key is None:
        return set()
    return set(lake.loc[lake[schema.target].notna(), schema.key].astype(str))


def _as_lake(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Name the columns as the lake does: the features as served, the roles as in the schema."""
    sources = {name: name for name in (*schema.features, schema.target) if name != schema.time}
    sources |= {name: role for name, role in ((schema.time, "time"), (schema.key, "key")) if name}
    return pd.DataFrame({name: rows[source].to_numpy() for name, source in sources.items()}, index=rows.index)
