"""A training within a replay: planned, backtested, refitted, and judged against the champion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlops.evaluation.fresh_rows import freshness, not_fresh
from mlops.monitoring.reference import reference_of
from mlops.replay.champion import Champion
from mlops.replay.timeline import PLACE
from mlops.training.judged_rows import JudgedRows, check_refit, judge_against, judge_first
from mlops.training.plan import Plan, plan

if TYPE_CHECKING:
    from mlops.config.params import Params
    from mlops.ledger.judgement import GateJudged, RefitCheck
    from mlops.replay.fits import Fits, Model
    from mlops.replay.timeline import Places
    from mlops.schema import Schema

__all__ = ["Trainer"]


@dataclass(frozen=True)
class Trainer:
    """Trains on the rows of a lake, as the stages do, and judges as the gate does."""

    schema: Schema
    params: Params
    fits: Fits

    def first(self, lake: pd.DataFrame) -> tuple[GateJudged, Champion]:
        """Train and judge the first model.

        Raises
        ------
        DataError
            The rows cannot be planned or fitted.
        """
        made = self._plan(lake)
        judged, model = self._trained(made)
        verdict = judge_first(judged, version="1", refit=_checked(judged, model))
        return verdict, self._candidate(made, judged, model, 1)

    def challenge(
        self, lake: pd.DataFrame, champion: Champion, *, version: int
    ) -> tuple[GateJudged, Champion]:
        """Train a challenger and judge it against the champion.

        Raises
        ------
        NotFreshError
            Too few of the rows that the folds would predict are new to the champion; nothing is fitted.
        DataError
            The rows cannot be planned or fitted.
        """
        made, gap, policy = self._plan(lake), self.params.train.gap, self.params.gate
        until = champion.fitted_until
        fresh = freshness(made.scored, self.schema, policy, fitted_until=until, gap=gap)
        if not fresh.enough:
            raise not_fresh(fresh, policy, version=str(champion.version), fitted_until=until, gap=gap)
        judged, model = self._trained(made)
        compared = judged.take(fresh.rows)
        predicted = champion.model.predict(_places(compared.rows))
        verdict = judge_against(
            compared,
            compared.losses_of(predicted, champion.model.classes),
            refit=_checked(judged, model),
            version=str(version),
            promotion=str(champion.version),
            champion=str(champion.version),
            fitted_until=until,
        )
        return verdict, self._candidate(made, judged, model, version)

    def refit(self, lake: pd.DataFrame, *, version: int) -> tuple[Champion, int]:
        """Fit the newest rows of the window without a backtest; return how many there were, too.

        Raises
        ------
        DataError
            The rows cannot be planned or fitted.
        """
        made = self._plan(lake)
        return Champion(self.fits.model(made), version, _end(made)), len(made.refit)

    def _plan(self, lake: pd.DataFrame) -> Plan:
        return plan(lake, self.schema, self.params.train)

    def _trained(self, made: Plan) -> tuple[JudgedRows, Model]:
        out_of_fold = self.fits.out_of_fold(made)
        return JudgedRows(self.schema, self.params.gate, made.scored, out_of_fold), self.fits.model(made)

    def _candidate(self, made: Plan, judged: JudgedRows, model: Model, version: int) -> Champion:
        reference = reference_of(made.train, judged.rows, judged.predicted, self.schema, self.params.train)
        return Champion(model, version, _end(made), reference)


def _checked(judged: JudgedRows, model: Model) -> RefitCheck:
    newest = judged.newest
    return check_refit(newest, model.predict(_places(newest.rows)), model.classes)


def _places(rows: pd.DataFrame) -> Places:
    return np.asarray(rows[PLACE], np.int64)


def _end(made: Plan) -> datetime:
    assert made.period.end is not None  # a timeline has a time
    return made.period.end
