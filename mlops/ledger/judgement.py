"""What the gate decided, with every figure it decided on, and the sentence these figures make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from mlops.errors import shown
from mlops.ledger.drawn_holdout import DrawnHoldout
from mlops.ledger.record import Record

__all__ = [
    "Comparison",
    "GateJudged",
    "GateLimits",
    "GateOutcome",
    "RefitCheck",
    "ScopeComparison",
    "ScopeName",
    "Skill",
    "Window",
]

GateOutcome = Literal[
    "first",
    "better",
    "too_few_rows",
    "not_significant",
    "no_skill",
    "refit_worse",
    "rolled_back",
    "worse_than_baseline",
    "decision_changed",
]
"""Why a model was promoted (``first``, ``better``, ``decision_changed``) or rejected (the others)."""

ScopeName = Literal["pool", "newest_fold"]
"""On which rows a comparison rests: all folds', or the newest fold's alone."""

_DAY = 86400.0


@dataclass(frozen=True)
class Window:
    """Event times in [start, end)."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Comparison:
    """Two models' mean losses on the same rows.

    Parameters
    ----------
    loss, other_loss
        The challenger's, and that of what it is compared with.
    difference
        The first less the second: below 0, the challenger is better.
    low, high
        The bounds of the difference, by blocks of rows.
    """

    rows: int
    blocks: int
    loss: float
    other_loss: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class ScopeComparison:
    """Two models' losses on the rows of one scope.

    Parameters
    ----------
    confidence
        Of the comparison's two-sided interval.
    autocorrelation
        Between neighbouring blocks, by which the interval is widened.
    """

    scope: ScopeName
    confidence: float
    autocorrelation: float
    comparison: Comparison


@dataclass(frozen=True)
class RefitCheck:
    """The model that ships beside the newest fold's, on the rows of that fold, which it was fitted on.

    Parameters
    ----------
    loss
        Its mean loss; None where it predicted no finite number for some rows.
    limit
        The upper bound of the fold's out-of-fold loss.
    unpredicted
        Rows for which it predicted no finite number.
    """

    rows: int
    loss: float | None
    limit: float
    unpredicted: int = 0

    @property
    def passed(self) -> bool:
        """Whether the refit may ship."""
        return self.loss is not None and self.loss <= self.limit


@dataclass(frozen=True)
class Skill:
    """The covariance of predictions and labels, and its bounds by blocks: above 0, the model has skill."""

    covariance: float
    low: float
    high: float


@dataclass(frozen=True)
class GateLimits:
    """What params.yaml asked of the comparison.

    Parameters
    ----------
    block_seconds
        The length of a block of time, whose rows rise and fall together.
    """

    min_rows: int
    min_blocks: int
    min_improvement: float
    block_seconds: float


@dataclass(frozen=True, kw_only=True)
class GateJudged(Record):
    """The gate's verdict on a registered version.

    Parameters
    ----------
    version, promote, outcome
        The challenger, whether it becomes the champion, and by which rule.
    promotion
        The id of the champion's promotion; None where there was no champion.
    champion
        The champion's version.
    metric, confidence
        The loss compared, and the confidence of every interval in the record.
    metric_title
        The loss in words: who reads the record need not have the project's module, which may bring it.
    comparison
        With the champion, on the same rows: the one that decided, else that of the pool; None where none was
        made.
    scope, scopes
        On which rows it rests, and the comparison of each scope.
    baseline
        The comparison with a constant prediction on the same rows.
    window
        The event times of the rows; None without a time column.
    limits
        What ``gate`` in params.yaml asked for.
    refit
        The check of the model that ships; None where it was rejected without one.
    fitted_until
        The end of the rows that the champion was fitted on; only later ones, less the gap, are compared on.
    fresh_rows, fresh_blocks
        How many those are, where they were too few to compare; where only the decision differs, all held-out
        rows.
    is_fresh
        False where no row was new to the champion, and the stored out-of-fold losses of both were compared.
    champion_columns, incomplete_rows
        Columns that only the champion uses, and in how many rows their values are missing.
    rolled_back_version, rolled_back_at
        The version under which this model was rolled back, and when.
    decision, champion_decision, changed_rows
        Where only the rule that makes labels differs from the champion's: both in words, None for the
        likeliest label, and how many of the held-out rows get another label.
    drawn
        How the rows were held out; None where time cuts them off.
    """

    kind: ClassVar[str] = "gate.judged"
    key_template: ClassVar[str | None] = "judged:{cause}:{promotion}"

    version: str
    promote: bool
    outcome: GateOutcome
    metric: str
    confidence: float
    limits: GateLimits
    metric_title: str = ""
    promotion: str | None = None
    champion: str | None = None
    comparison: Comparison | None = None
    baseline: Comparison | None = None
    skill: Skill | None = None
    window: Window | None = None
    scope: ScopeName | None = None
    scopes: tuple[ScopeComparison, ...] = ()
    refit: RefitCheck | None = None
    fitted_until: datetime | None = None
    fresh_rows: int | None = None
    fresh_blocks: int | None = None
    is_fresh: bool = True
    champion_columns: tuple[str, ...] = ()
    incomplete_rows: int = 0
    rolled_back_version: str | None = None
    rolled_back_at: datetime | None = None
    decision: str | None = None
    champion_decision: str | None = None
    changed_rows: int | None = None
    drawn: DrawnHoldout | None = None

    @property
    def sentence(self) -> str:
        """The verdict for a person."""
        return _sentence(self)


def _sentence(judged: GateJudged) -> str:
    """Return the verdict and the figures it rests on; what else is to be known of the rows follows."""
    sentences = {
        "first": _first,
        "better": lambda judged: f"Promoted: {_figures(judged, judged.comparison, 'champion')}.",
        "too_few_rows": _too_few_rows,
        "not_significant": _not_significant,
        "no_skill": _no_skill,
        "refit_worse": _refit_worse,
        "rolled_back": _rolled_back,
        "worse_than_baseline": _worse_than_baseline,
        "decision_changed": _decision_changed,
    }
    return " ".join([sentences[judged.outcome](judged), *_remarks(judged)])


def _first(judged: GateJudged) -> str:
    baseline = judged.baseline
    assert baseline is not None
    worth = "" if baseline.high < 0 else ", not significantly better than the baseline"
    limits = judged.limits
    scarce = baseline.rows < limits.min_rows or baseline.blocks < limits.min_blocks
    few = ", on too few rows to trust the figures" if scarce else ""
    figures = _figures(judged, baseline, "baseline (constant prediction)")
    return f"Promoted as the first model{worth}{few}: {figures}."


def _worse_than_baseline(judged: GateJudged) -> str:
    figures = _figures(judged, judged.baseline, "baseline (constant prediction)")
    return (
        f"Rejected: significantly worse than the baseline. {figures}. Change model.params in params.yaml "
        "(the other algorithm, fewer trees or more regularisation) or add rows, and train again."
    )


def _decision_changed(judged: GateJudged) -> str:
    new, old = (rule or "the likeliest label" for rule in (judged.decision, judged.champion_decision))
    return (
        f"Promoted: the champion's model with another decision rule, {new} instead of {old}. "
        f"{_count(judged.changed_rows or 0, 'held-out row')} of {judged.fresh_rows or 0:,} get another "
        "label; scores are the same."
    )


def _too_few_rows(judged: GateJudged) -> str:
    limits, comparison = judged.limits, judged.comparison
    if comparison is not None:
        extent, new = _extent(judged, comparison), ""
    else:
        extent = f"{_count(judged.fresh_rows or 0, 'row')}, {_count(judged.fresh_blocks or 0, _unit(judged))}"
        until = f" ({judged.fitted_until:%Y-%m-%d %H:%M})" if judged.fitted_until else ""
        new = f" later than those that the champion was fitted on{until}, less the gap"
    return (
        f"Rejected: too few rows{' to compare on' if new else ''}. {extent}{new}; "
        f"gate.min_rows is {limits.min_rows:,}, gate.min_blocks {limits.min_blocks}."
        + (" Train again when newer rows have their labels." if new else "")
    )


def _not_significant(judged: GateJudged) -> str:
    margin = judged.limits.min_improvement
    shortfall = f"not significantly above {_figure(margin)}" if margin else "not significant"
    return f"Rejected: improvement {shortfall}. {_figures(judged, judged.comparison, 'champion')}."


def _no_skill(judged: GateJudged) -> str:
    skill = judged.skill
    assert skill is not None
    figures = (
        f"{_signed(skill.covariance, 5)} ({judged.confidence:.0%} CI {_signed(skill.low, 5)} to "
        f"{_signed(skill.high, 5)}; {_extent(judged, judged.comparison)})"
    )
    return f"Rejected: no significant skill. Covariance of predictions and labels {figures}."


def _refit_worse(judged: GateJudged) -> str:
    refit = judged.refit
    assert refit is not None
    if refit.loss is None:
        what = f"predicts no finite number for {_count(refit.unpredicted, 'row')} of {refit.rows:,}"
    else:
        what = (
            f"has {_title(judged)} {_figure(refit.loss)} on the newest fold's {_count(refit.rows, 'row')}, "
            f"above {_figure(refit.limit)}, the upper bound of what the backtest found there"
        )
    return f"Rejected: the refit failed its check. It {what}."


def _rolled_back(judged: GateJudged) -> str:
    version, at = judged.rolled_back_version, judged.rolled_back_at
    return (
        f"Rejected: same model as version {version}, rolled back on {at:%Y-%m-%d %H:%M}. "
        f"Promote it by hand: `mlops rollback {version}`."
    )


def _remarks(judged: GateJudged) -> list[str]:
    remarks = [judged.drawn.sentence] if judged.drawn else []
    if not judged.is_fresh:
        remarks.append(
            "Not fresh: too few rows are new to the champion, so the backtests of both were compared."
        )
    if judged.champion_columns:
        names = shown(judged.champion_columns)
        remarks.append(f"The champion also uses {names}, missing in {judged.incomplete_rows:,} of the rows.")
    return remarks


def _figures(judged: GateJudged, comparison: Comparison | None, other: str) -> str:
    assert comparison is not None
    decisive = next((one for one in judged.scopes if one.comparison == comparison), None)
    confidence = decisive.confidence if decisive else judged.confidence
    newest = " of the newest fold" if decisive and decisive.scope == "newest_fold" else ""
    return (
        f"{_title(judged)} {_figure(comparison.loss)} "
        f"vs {other} {_figure(comparison.other_loss)} "
        f"({_signed(comparison.difference)}, {_percent(confidence)} CI {_signed(comparison.low)} to "
        f"{_signed(comparison.high)}; {_extent(judged, comparison)}{newest})"
    )


def _title(judged: GateJudged) -> str:
    return judged.metric_title or judged.metric.replace("_", " ")


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def _extent(judged: GateJudged, comparison: Comparison | None) -> str:
    assert comparison is not None
    if comparison.blocks == comparison.rows:  # as without a time, where no rows belong together
        return _count(comparison.rows, "row")
    return f"{_count(comparison.rows, 'row')}, {_count(comparison.blocks, _unit(judged))}"


def _unit(judged: GateJudged) -> str:
    return "day" if judged.limits.block_seconds == _DAY else "block"


def _figure(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.1f}"


def _signed(value: float, digits: int = 4) -> str:
    return _figure(value, digits).replace("-", "−")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
