"""Fits and backtests of one recipe, each done once: policies that train on the same rows share them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlops.files import hashing
from mlops.model.predictor import Predictor, decided, uncompiled
from mlops.replay.timeline import PLACE
from mlops.tables.conform import columns_of
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import Predictions
from mlops.training.fit import Fit, fit
from mlops.training.out_of_fold import OutOfFold, Recipe, backtest

if TYPE_CHECKING:
    from mlops.replay.fit_cache import FitCache
    from mlops.replay.timeline import Places, Timeline
    from mlops.training.fit import Builder
    from mlops.training.plan import Plan

__all__ = ["Fits", "Model"]


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model, which predicts each row of a timeline once."""

    classes: Sequence[Any] | None
    prior: Sequence[float] | float
    predictor: Predictor
    timeline: Timeline
    decision: Decision | None
    _values: NDArray[Any]
    _scores: NDArray[Any]
    _done: NDArray[np.bool_]

    @classmethod
    def of(cls, fitted: Fit, build: Builder, timeline: Timeline, decision: Decision | None = None) -> Model:
        """Wrap what was fitted."""
        n = len(timeline.rows)
        predictor = uncompiled(fitted.estimator, timeline.schema, fitted.classes, build)
        predictor = decided(predictor, decision, fitted.classes)
        blank = np.empty(n, object), np.empty(n, object), np.zeros(n, bool)
        return cls(fitted.classes, fitted.prior, predictor, timeline, decision, *blank)

    def predict(self, places: Places) -> Predictions:
        """Predict rows by their places."""
        if len(new := places[~self._done[places]]):
            made = self.predictor.predict(columns_of(self.timeline.rows.iloc[new], self.timeline.schema))
            self._values[new] = _objects(made.values)
            if made.scores is not None:
                self._scores[new] = _objects(made.scores)
            self._done[new] = True
        scores = self._scores[places].tolist() if self.timeline.schema.task_type.has_classes else None
        return Predictions(self._values[places].tolist(), scores)


class Fits:
    """The recipe's fits on rows of a timeline.

    Parameters
    ----------
    cache
        Where fits and backtests are kept for other policies, and for after a kill.
    """

    def __init__(self, timeline: Timeline, recipe: Recipe, cache: FitCache) -> None:
        self._timeline = timeline
        self._recipe = recipe
        self._cache = cache
        # A fit depends on these too, and some policies may have others.
        rule = recipe.decision and recipe.decision.to_json()
        source = hashing.of_bytes(recipe.source)
        self._about = [recipe.params, recipe.seed, source, timeline.schema.to_dict(), rule]

    def model(self, plan: Plan) -> Model:
        """Return the refit of a plan."""
        digest = self._digest("refit", plan.rows[PLACE].to_numpy()[plan.refit])
        build = self._recipe.build()
        fitted = self._cache.obtain(digest, lambda: self._fit(plan, build))
        return Model.of(fitted, build, self._timeline, self._recipe.decision)

    def out_of_fold(self, plan: Plan) -> OutOfFold:
        """Return the backtest of a plan."""
        places = plan.rows[PLACE].to_numpy()
        parts = [part for fold in plan.folds for part in (places[fold.fitted], places[fold.scored])]
        made: Callable[[], OutOfFold] = lambda: backtest(plan, self._timeline.schema, self._recipe)[0]  # noqa: E731
        return self._cache.obtain(self._digest("backtest", *parts), made)

    def _fit(self, plan: Plan, build: Builder) -> Fit:
        recipe = self._recipe
        return fit(plan.train, self._timeline.schema, build, recipe.params, seed=recipe.seed)

    def _digest(self, what: str, *places: Places) -> str:
        parts = [hashing.of_bytes(np.ascontiguousarray(part).tobytes()) for part in places]
        return hashing.of_value([what, *self._about, *parts])


def _objects(values: Sequence[Any]) -> NDArray[Any]:
    """Return an array of the values themselves: numpy would make a matrix of lists of one length."""
    array = np.empty(len(values), object)
    for position, value in enumerate(values):
        array[position] = value
    return array
