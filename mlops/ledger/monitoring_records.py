"""Records of judged windows and of the retrainings they start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from mlops.errors import shown
from mlops.ledger.drift_report import DriftReport
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.record import Record

__all__ = [
    "DriftChecked",
    "DriftConfirmed",
    "DriftReported",
    "QualityChecked",
    "RetrainFinished",
    "RetrainRefused",
    "RetrainRule",
    "RetrainStarted",
]


@dataclass(frozen=True, kw_only=True)
class DriftChecked(Record):
    """A window of served rows that was judged, once per promotion.

    Parameters
    ----------
    raised
        Whether this window counts as drifted.
    confirmed
        Whether enough windows did.
    since
        When the change began that is confirmed or followed up; None without one.
    follow_up
        Whether the recipe is due to be trained again on what has come since an earlier change.
    """

    kind: ClassVar[str] = "drift.checked"
    key_template: ClassVar[str | None] = "drift:{cause}:{as_of}"

    version: str
    raised: bool
    confirmed: bool
    report: DriftReport
    since: datetime | None = None
    follow_up: bool = False

    @property
    def starts_retraining(self) -> bool:
        """Whether a retraining is called for."""
        return self.confirmed or self.follow_up

    @property
    def sentence(self) -> str:
        """What the window showed."""
        shown = self.report.sentence(confirmed=self.confirmed)
        return f"{shown} {self.follow_up_sentence}" if self.follow_up else shown

    @property
    def follow_up_sentence(self) -> str:
        """Why it is trained again, though nothing new drifted."""
        return _follow_up(self.since)


@dataclass(frozen=True, kw_only=True)
class QualityChecked(Record):
    """A window whose quality was judged again, because labels came or were corrected.

    Its cause is the window's `DriftChecked`, which has the first verdict; its `as_of` is when it was judged.

    Parameters
    ----------
    confirmed
        Whether this verdict, with those on other windows, confirms drift.
    since
        When the change began that is confirmed; None without one.
    """

    kind: ClassVar[str] = "quality.checked"
    key_template: ClassVar[str | None] = "quality:{cause}:{look}:{labels}"

    version: str
    confirmed: bool
    quality: QualityVerdict
    since: datetime | None = None

    @property
    def starts_retraining(self) -> bool:
        """Whether a retraining is called for."""
        return self.confirmed

    @property
    def look(self) -> int:
        """How many times the labels of this stretch of time were judged."""
        return self.quality.look

    @property
    def labels(self) -> str:
        """The digest of the labels."""
        return self.quality.labels

    @property
    def sentence(self) -> str:
        """What the labels show."""
        verdict = "Drift is confirmed by newer labels" if self.confirmed else "Judged again by newer labels"
        return f"{verdict}: {self.quality.text}."


@dataclass(frozen=True, kw_only=True)
class DriftConfirmed(Record):
    """Drift that starts a retraining; caused by a `DriftChecked` or a `QualityChecked`.

    Parameters
    ----------
    columns
        Those that drifted in the last window; none where its quality alone was worse.
    since
        When the change began.
    follow_up
        Whether it was confirmed earlier, and the recipe is trained again on what has come since.
    """

    kind: ClassVar[str] = "drift.confirmed"
    key_template: ClassVar[str | None] = "confirmed:{cause}"

    version: str
    columns: tuple[str, ...]
    since: datetime | None = None
    follow_up: bool = False

    @property
    def sentence(self) -> str:
        """The version and the columns, or what is followed up."""
        if self.follow_up:
            return _follow_up(self.since)
        what = shown(self.columns) if self.columns else "quality"
        return f"Drift of version {self.version} is confirmed: {what}."


@dataclass(frozen=True, kw_only=True)
class DriftReported(Record):
    """A judged window's report, drawn by Evidently."""

    kind: ClassVar[str] = "drift.reported"
    key_template: ClassVar[str | None] = "reported:{cause}"

    path: str

    @property
    def sentence(self) -> str:
        """The file."""
        return f"Report written to {self.path}."


def _follow_up(since: datetime | None) -> str:
    assert since is not None
    return f"A follow-up is due: the rows from after the change of {since:%Y-%m-%d %H:%M} have doubled."


RetrainRule = Literal["invalid", "policy", "cooldown", "too_few_rows", "attempts"]
"""What refuses a retraining."""


@dataclass(frozen=True, kw_only=True)
class RetrainStarted(Record):
    """A retraining that begins; `explicit_as_of` where a person set its `as_of`."""

    kind: ClassVar[str] = "retrain.started"

    explicit_as_of: bool

    @property
    def sentence(self) -> str:
        """That it begins."""
        return "Retraining started."


@dataclass(frozen=True, kw_only=True)
class RetrainFinished(Record):
    """A retraining that got the gate's verdict.

    Parameters
    ----------
    started, judged
        The ids of its beginning and of its verdict.
    verdict
        The verdict's sentence.
    """

    kind: ClassVar[str] = "retrain.finished"

    started: str
    judged: str
    version: str
    promoted: bool
    verdict: str

    @property
    def sentence(self) -> str:
        """The verdict."""
        return self.verdict


@dataclass(frozen=True, kw_only=True)
class RetrainRefused(Record):
    """A retraining that the policy, the data or too many failures rule out."""

    kind: ClassVar[str] = "retrain.refused"

    rule: RetrainRule
    reason: str

    @property
    def sentence(self) -> str:
        """The reason."""
        return f"Refused: {self.reason}"
