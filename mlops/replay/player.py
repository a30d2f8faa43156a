"""A policy played over a timeline: serve a step, judge, retrain, put in place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from mlops.errors import DataError, StageError
from mlops.ledger.monitoring_records import RetrainRefused
from mlops.monitoring.retraining import may_start, untrainable
from mlops.replay.challenger import Trainer
from mlops.replay.champion import Champion
from mlops.replay.played import Decision, DecisionKind, Played, Step
from mlops.replay.served import ServedRows
from mlops.replay.training_set import TrainingSet
from mlops.replay.window_judgement import JudgedStep, judge_window, sentence

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.ledger.monitoring_records import DriftChecked, RetrainRule
    from mlops.replay.fits import Fits
    from mlops.replay.policies import Policy
    from mlops.replay.timeline import Timeline

__all__ = ["Progress", "play"]

Progress = Callable[[str], None]


def _silent(line: str) -> None:
    pass


def play(
    policy: Policy,
    timeline: Timeline,
    params: Params,
    fits: Fits,
    *,
    edges: Sequence[datetime],
    settings: Sequence[tuple[str, str]] = (),
    on_progress: Progress = _silent,
) -> Played:
    """Play a policy from the first edge to the last.

    Parameters
    ----------
    edges
        The ends of the steps, in order; at the first one the first model is trained.
    settings
        What was changed in `params` for this policy.
    on_progress
        Is passed a line at the end of each step.

    Raises
    ------
    DataError
        The first model cannot be trained, or is rejected.
    """
    from threadpoolctl import threadpool_limits

    began = time.perf_counter()
    # Small batches are predicted faster by one thread, and far faster where other policies are played beside.
    with threadpool_limits(limits=1):
        player = _Player(policy, timeline, policy.applied(params), fits, edges[0])
        for number, end in enumerate(edges[1:], 1):
            player.step(end)
            trained = f"{player.trainings} training{'' if player.trainings == 1 else 's'}"
            on_progress(f"{policy.name}: step {number} of {len(edges) - 1}, to {end:%Y-%m-%d}; {trained}")
    return Played(
        policy.name,
        tuple(player.steps),
        tuple(player.decisions),
        player.trainings,
        player.promotions,
        player.rejections,
        time.perf_counter() - began,
        tuple(settings),
    )


class _Player:
    """A policy's state between two steps."""

    def __init__(
        self, policy: Policy, timeline: Timeline, params: Params, fits: Fits, start: datetime
    ) -> None:
        self._policy = policy
        self._schema = timeline.schema
        self._params = params
        self._trainer = Trainer(timeline.schema, params, fits)
        self._served = ServedRows(timeline, params.gate.metric)
        self._training_set = TrainingSet(timeline, params, start)
        self.steps: list[Step] = []
        self.decisions: list[Decision] = []
        self.trainings = self.promotions = self.rejections = 0
        self.as_of = self.last_training = start
        self._last_promoted = start
        self._champion = self._first()
        self._trained_until = self._champion.fitted_until

    def step(self, end: datetime) -> None:
        """Serve the rows up to `end`, and decide there."""
        champion = self._champion
        self.steps.append(self._served.serve(self.as_of, end, champion.model, champion.version))
        self.as_of = end
        judged = self._judge()
        if self._policy.is_due(self):
            self.last_training = end
            self._retrain(None)
        elif judged is not None and judged.starting is not None:
            self._retrain(judged.starting)

    def new_rows(self) -> int:
        """Count the mature labelled rows later than those of the last training."""
        return self._training_set.count_mature(self.as_of, self._trained_until)

    def _first(self) -> Champion:
        try:
            verdict, champion = self._trainer.first(self._training_set.rows)
        except (DataError, StageError) as exc:
            raise type(exc)(
                f"The first model cannot be trained on what was known at {self.as_of:%Y-%m-%d %H:%M}: "
                f"{exc.message}",
                remedy="Start the replay later: --start TIME.",
            ) from exc
        if not verdict.promote:
            raise DataError(
                f"The first model: {verdict.sentence}", remedy="Start the replay later: --start TIME."
            )
        self._decide("first", verdict.sentence)
        return champion

    def _judge(self) -> JudgedStep | None:
        if self._policy.watched == "nothing":
            return None
        judged = judge_window(
            self._champion,
            self._served,
            self._schema,
            self._params,
            as_of=self.as_of,
            watched=self._policy.watched,
        )
        if judged is not None:
            self._decide("window", sentence(judged.checked, self._policy.watched))
            for again in judged.again:
                self._decide("labels", again.sentence)
        return judged

    def _retrain(self, drift: DriftChecked | None) -> None:
        """Retrain because of confirmed drift, or because it was requested; a refusal is a decision."""
        refusal = may_start(
            as_of=self.as_of,
            last_retrain_as_of=self._last_promoted,
            follow_up=drift is not None and drift.follow_up,
            policy=self._params.retrain,
            broken=untrainable(drift.report, self._schema) if drift else None,
            requested=drift is None,
        )
        if refusal is not None:
            self._refuse(refusal.cause, refusal.reason)
            return
        try:
            if self._policy.gated:
                self._training_set.add(self.as_of, self._champion, caused_by_drift=drift is not None)
                self._challenge(drift)
            else:
                self._training_set.add_all(self.as_of)
                self._refit()
        except (DataError, StageError) as exc:
            self._refuse("too_few_rows", str(exc))

    def _challenge(self, drift: DriftChecked | None) -> None:
        number = self.trainings + 2  # the first model is version 1
        verdict, candidate = self._trainer.challenge(self._training_set.rows, self._champion, version=number)
        self.trainings += 1
        self._trained_until = candidate.fitted_until
        if not verdict.promote:
            self.rejections += 1
            self._champion.rejected.append(verdict)
            self._decide("rejected", verdict.sentence)
            return
        self._last_promoted = self.as_of
        candidate.since = drift.since if drift else None
        self._put_in_place(candidate)
        self._decide("promoted", verdict.sentence)

    def _refit(self) -> None:
        candidate, rows = self._trainer.refit(self._training_set.rows, version=self.trainings + 2)
        self.trainings += 1
        self._trained_until = candidate.fitted_until
        self._put_in_place(candidate)
        until = f"{candidate.fitted_until:%Y-%m-%d %H:%M}"
        self._decide("refitted", f"Put in place without a gate: fitted on {rows:,} rows up to {until}.")

    def _put_in_place(self, candidate: Champion) -> None:
        self.promotions += 1
        self._champion = candidate

    def _refuse(self, rule: RetrainRule, reason: str) -> None:
        self._decide("refused", RetrainRefused(rule=rule, reason=reason).sentence)

    def _decide(self, kind: DecisionKind, reason: str) -> None:
        self.decisions.append(Decision(self.as_of, kind, reason))
