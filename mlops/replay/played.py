"""What came of a policy: its steps, its decisions, and its figures beside those of the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal, cast

from mlops.moments import from_text

__all__ = ["Decision", "Played", "Replayed", "Step"]

DecisionKind = Literal["first", "window", "labels", "refused", "promoted", "rejected", "refitted"]


@dataclass(frozen=True)
class Decision:
    """What was decided at the end of a step, and the sentence that says so."""

    as_of: datetime
    kind: DecisionKind
    sentence: str


@dataclass(frozen=True)
class Step:
    """The rows that were served in one step of event time, half-open.

    Parameters
    ----------
    version
        Of the model that served: each training counts, from 1 on.
    rows, labelled
        How many were served, and of how many the loss is known.
    loss
        Their mean loss; None where no label ever came.
    """

    start: datetime
    end: datetime
    version: int
    rows: int
    labelled: int
    loss: float | None


@dataclass(frozen=True)
class Played:
    """A policy played over the history.

    Parameters
    ----------
    policy
        As a person wrote it.
    settings
        The settings of params.yaml that were changed for it, by path.
    trainings, promotions, rejections
        After the first model: how many were trained, put in place, and rejected by the gate.
    seconds
        What it took; what it shared with another policy may be counted there.
    """

    policy: str
    steps: tuple[Step, ...]
    decisions: tuple[Decision, ...]
    trainings: int
    promotions: int
    rejections: int
    seconds: float
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The policy and the settings that were changed."""
        return " ".join([self.policy, *(f"{key}={value}" for key, value in self.settings)])

    @property
    def loss(self) -> float | None:
        """The mean loss of all rows that were served and whose label came."""
        rows = sum(step.labelled for step in self.steps)
        return (
            sum(step.loss * step.labelled for step in self.steps if step.loss is not None) / rows
            if rows
            else None
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; times as text."""
        return {
            **{field.name: getattr(self, field.name) for field in fields(self)},
            "settings": dict(self.settings),
            "steps": [_dated(asdict(step)) for step in self.steps],
            "decisions": [_dated(asdict(decision)) for decision in self.decisions],
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Played:
        """Read what `to_dict` gave."""
        return cls(
            **{
                **value,
                "settings": tuple(value["settings"].items()),
                "steps": tuple(Step(**_undated(step)) for step in value["steps"]),
                "decisions": tuple(Decision(**_undated(one)) for one in value["decisions"]),
            }
        )


@dataclass(frozen=True)
class Replayed:
    """All policies over the same history.

    Parameters
    ----------
    metric
        The loss, as ``gate.metric`` names it.
    """

    metric: str
    policies: tuple[Played, ...]

    def find(self, name: str) -> Played | None:
        """Return the policy of this name without changed settings."""
        return next((one for one in self.policies if one.policy == name and not one.settings), None)

    def gap_closed(self, played: Played) -> float | None:
        """Return which share of the gap between ``never`` and ``always`` a policy closed.

        None where one of the two was not played, or where retraining at each step gained nothing.
        """
        never, always = self._loss_of("never"), self._loss_of("always")
        if never is None or always is None or played.loss is None or always >= never:
            return None
        return (never - played.loss) / (never - always)

    def _loss_of(self, name: str) -> float | None:
        played = self.find(name)
        return None if played is None else played.loss

    @property
    def best(self) -> Played | None:
        """The policy of the lowest loss, of several the one with the fewest trainings."""
        known = [one for one in self.policies if one.loss is not None]
        return min(known, key=lambda one: (cast(float, one.loss), one.trainings), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        policies = [
            {**one.to_dict(), "title": one.title, "loss": one.loss, "gap_closed": self.gap_closed(one)}
            for one in self.policies
        ]
        best = self.best
        return {"metric": self.metric, "best": best and best.title, "policies": policies}


def _dated(value: dict[str, Any]) -> dict[str, Any]:
    return {name: one.isoformat() if isinstance(one, datetime) else one for name, one in value.items()}


def _undated(value: dict[str, Any]) -> dict[str, Any]:
    times = ("start", "end", "as_of")
    return {name: from_text(one) if name in times else one for name, one in value.items()}
