"""One model, answering: predicted, counted, logged, and only then told."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mlops.bundle import Bundle
from mlops.prediction_log import PredictionLog
from mlops.predictor import Predictor, check_golden
from mlops.serving.metrics import Metrics
from mlops.serving.requests import Rows

__all__ = ["Answered", "Service"]


@dataclass(frozen=True)
class Answered:
    """The answers to a request, each under the id that finds it again."""

    ids: Sequence[str]
    predictions: Sequence[Any]
    scores: Sequence[Any]


class Service:
    """A deployed model and its log.

    Parameters
    ----------
    deployment, version
        What the log and every answer name: the deployment's id and the model's version.
    clock
        Gives the recorded time, UTC.
    """

    def __init__(
        self,
        bundle: Bundle,
        predictor: Predictor,
        log: PredictionLog,
        metrics: Metrics,
        *,
        deployment: str,
        version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.bundle = bundle
        self.schema = bundle.schema
        self.metrics = metrics
        self.deployment = deployment
        self.version = version
        self._predictor = predictor
        self._log = log
        self._clock = clock
        self._golden_checked = False
        self._categories = {name: frozenset(values) for name, values in bundle.model.categories.items()}

    def answer(self, rows: Rows) -> Answered:
        """Answer rows. When this returns, they are in the log.

        Raises
        ------
        UnavailableError
            The log cannot be written; there are no answers without it.
        """
        answers = self._predictor.predict(rows.columns)
        at = self._clock()
        # Ids begin with their time, so that the log finds one without looking everywhere.
        stamp = f"{int(at.timestamp() * 1e6):016x}"
        ids = [stamp + secrets.token_hex(8) for _ in rows.served]
        answered = Answered(ids, answers.predictions, answers.scores or [None] * len(ids))
        self._log.write(self._records(rows, answered, at.isoformat()))
        self._count(rows)
        return answered

    def check(self) -> None:
        """Make sure that the model answers as it did in training and the log can be written.

        Raises
        ------
        BundleError
            A golden row is answered differently here.
        UnavailableError
            The log cannot be written.
        """
        if not self._golden_checked:
            check_golden(self._predictor, self.bundle)
            self._golden_checked = True  # the model in memory stays as it is
        self._log.check()

    def describe(self) -> dict[str, Any]:
        """Return what is served, as a JSON value."""
        return {
            "version": self.version,
            "digest": self.bundle.digest,
            "deployment": self.deployment,
            "compiled": self.bundle.model.compiled,
            "why_not_compiled": self.bundle.model.why_not_compiled,
            "lineage": self.bundle.lineage,
        }

    def close(self) -> None:
        """End the log's segment."""
        self._log.close()

    def _records(self, rows: Rows, answered: Answered, at: str) -> list[dict[str, Any]]:
        parts = zip(
            answered.ids,
            rows.keys,
            rows.times,
            rows.served,
            answered.predictions,
            answered.scores,
            strict=True,
        )
        return [
            {
                "id": id,
                "key": key,
                "time": time,
                "at": at,
                "deployment": self.deployment,
                "version": self.version,
                "features": features,
                "prediction": prediction,
                "score": score,
            }
            for id, key, time, features, prediction, score in parts
        ]

    def _count(self, rows: Rows) -> None:
        self.metrics.rows(len(rows.served))
        for name in self.schema.features:
            values = [features[name] for features in rows.served]
            if missing := values.count(None) + values.count(""):
                self.metrics.missing(name, missing)
            known = self._categories.get(name)
            if known is not None and (unseen := sum(1 for value in values if value and value not in known)):
                self.metrics.unseen(name, unseen)
