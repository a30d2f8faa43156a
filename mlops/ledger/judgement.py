"""What the gate decided, with every figure it decided on, and the sentence these figures make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from mlops.errors import shown
from mlops.ledger.record import Record

__all__ = ["Comparison", "GateJudged", "GateLimits", "GateOutcome", "Skill", "Window"]

GateOutcome = Literal[
    "first", "better", "too_few_rows", "not_significant", "no_skill", "rows_not_fresh", "rolled_back"
]
"""Why a model was promoted (``first``, ``better``) or rejected (the others)."""

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
        With the champion, on the same rows; None where none was made.
    baseline
        The comparison with a constant prediction on the same rows.
    window
        The event times of the rows; None without a time column.
    limits
        What ``gate`` in params.yaml asked for.
    chosen_until
        The end of the rows that the champion was selected on, where the gate required newer ones.
    held_out_before
        Without a time column: how many of the rows were held out for the champion, too.
    champion_columns, incomplete_rows
        Columns that only the champion uses, and in how many rows their values are missing.
    rolled_back_version, rolled_back_at
        The version under which this model was rolled back, and when.
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
    chosen_until: datetime | None = None
    held_out_before: int | None = None
    champion_columns: tuple[str, ...] = ()
    incomplete_rows: int = 0
    rolled_back_version: str | None = None
    rolled_back_at: datetime | None = None

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
        "rows_not_fresh": _rows_not_fresh,
        "rolled_back": _rolled_back,
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


def _too_few_rows(judged: GateJudged) -> str:
    limits = judged.limits
    return (
        f"Rejected: too few rows. {_extent(judged, judged.comparison)}; "
        f"gate.min_rows is {limits.min_rows:,}, gate.min_blocks {limits.min_blocks}."
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


def _rows_not_fresh(judged: GateJudged) -> str:
    window, until = judged.window, judged.chosen_until
    assert window is not None
    assert until is not None
    return (
        f"Rejected: rows not fresh. They begin on {window.start:%Y-%m-%d %H:%M}; the champion was selected "
        f"on rows up to {until:%Y-%m-%d %H:%M}. Train again when newer rows have their labels."
    )


def _rolled_back(judged: GateJudged) -> str:
    version, at = judged.rolled_back_version, judged.rolled_back_at
    return (
        f"Rejected: same model as version {version}, rolled back on {at:%Y-%m-%d %H:%M}. "
        f"Promote it by hand: `mlops rollback {version}`."
    )


def _remarks(judged: GateJudged) -> list[str]:
    remarks = []
    if judged.held_out_before is not None:
        remarks.append(
            f"No time column: {judged.held_out_before:,} of the rows were held out for the champion too."
        )
    if judged.champion_columns:
        names = shown(judged.champion_columns)
        remarks.append(f"The champion also uses {names}, missing in {judged.incomplete_rows:,} of the rows.")
    return remarks


def _figures(judged: GateJudged, comparison: Comparison | None, other: str) -> str:
    assert comparison is not None
    return (
        f"{judged.metric_title or judged.metric.replace('_', ' ')} {_figure(comparison.loss)} "
        f"vs {other} {_figure(comparison.other_loss)} "
        f"({_signed(comparison.difference)}, {judged.confidence:.0%} CI {_signed(comparison.low)} to "
        f"{_signed(comparison.high)}; {_extent(judged, comparison)})"
    )


def _extent(judged: GateJudged, comparison: Comparison | None) -> str:
    assert comparison is not None
    if comparison.blocks == comparison.rows:  # as without a time, where no rows belong together
        return _count(comparison.rows, "row")
    unit = "day" if judged.limits.block_seconds == _DAY else "block"
    return f"{_count(comparison.rows, 'row')}, {_count(comparison.blocks, unit)}"


def _figure(value: float, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.1f}"


def _signed(value: float, digits: int = 4) -> str:
    return _figure(value, digits).replace("-", "−")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
