"""How good the served predictions of one window were, by the labels that came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mlops.ledger.served_window import ServedWindow

__all__ = ["Alarm", "QualityVerdict"]

Alarm = Literal["training", "baseline"]
"""What the loss is worse than: the loss at training, or that of a constant prediction on the same rows."""

_WORSE: dict[Alarm, str] = {
    "training": "worse than at training",
    "baseline": "worse than a constant prediction",
}


@dataclass(frozen=True, kw_only=True)
class QualityVerdict:
    """The mean loss of served rows that are old enough to have a label, against two others.

    Parameters
    ----------
    window
        Event times of the rows, and how many this version served.
    rows
        Those of them that were judged: with a label, and a prediction that is a number.
    coverage
        The share of the window's rows that have a label.
    invalid_predictions
        Rows with a label that are left out, because their logged prediction is no number.
    served_since
        When this version began to serve within the window; None where it served all of it.
    labels
        The digest of the labels: with others, the window is judged again.
    look
        How many times the labels of this stretch of time were judged, this time included; each look has its
        share of alpha. 0 where the state is unknown, which costs none.
    confidence
        Of the two-sided intervals: each alarm has half of the look's alpha.
    loss, low, high
        The mean loss and its bounds.
    reference_loss, reference_error
        The mean loss at training, out of fold, and its standard error.
    above_training
        The lower bound of the loss less that at training, of which both were estimated.
    baseline_loss, above_baseline
        The mean loss of the training's constant prediction on the same rows, and the lower bound of the
        loss less that one.
    worse_than
        The alarms.
    note
        Why the state is unknown.
    """

    window: ServedWindow
    state: Literal["ok", "worse", "unknown"]
    rows: int
    coverage: float
    reference_loss: float
    reference_error: float = 0.0
    labels: str = ""
    look: int = 0
    confidence: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    above_training: float | None = None
    baseline_loss: float | None = None
    above_baseline: float | None = None
    worse_than: tuple[Alarm, ...] = ()
    invalid_predictions: int = 0
    served_since: datetime | None = None
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether the labels allowed a verdict."""
        return self.state != "unknown"

    @property
    def text(self) -> str:
        """The verdict, the figures it rests on, and the rows, for a person."""
        verdict = " and ".join(_WORSE[alarm] for alarm in self.worse_than) or self.state
        figures = "" if self.loss is None else f" ({self._figures})"
        why = f": {self.note}" if self.note else ""
        lost = self.invalid_predictions
        missing = f", {lost:,} predictions were not a number" if lost else ""
        return f"quality {verdict}{figures}{why}{missing}"

    @property
    def _figures(self) -> str:
        others = [f"{_figure(self.reference_loss)} at training"]
        if self.baseline_loss is not None:
            others.append(f"{_figure(self.baseline_loss)} by a constant prediction")
        since = f", served since {self.served_since:%Y-%m-%d %H:%M}" if self.served_since else ""
        window = f"{self.window.start:%Y-%m-%d} to {self.window.end:%Y-%m-%d}{since}"
        return f"{_figure(self.loss)} vs {', '.join(others)}; {self.rows:,} labelled rows, {window}"


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"
