"""One served model: rows are predicted, logged and counted, and only then returned."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops.errors import RowError, shown
from mlops.model.bundle import Bundle
from mlops.model.predictor import Predictor, check_golden
from mlops.prediction_log.segment import records
from mlops.prediction_log.writer import PredictionLog
from mlops.rows import Rows
from mlops.serving import openapi, requests
from mlops.serving.prometheus import Metrics

__all__ = ["Predicted", "Service"]

_AHEAD = timedelta(days=366)
"""How far ahead an event may lie: a time beyond is a mistake, and its row would have no label."""


@dataclass(frozen=True)
class Predicted:
    """The predictions for a request, each under the id that finds it again."""

    ids: Sequence[str]
    predictions: Sequence[Any]
    scores: Sequence[Any]


class Service:
    """A deployed model and its log.

    Parameters
    ----------
    deployment, version
        What the log and every response name: the deployment's id and the model's version.
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
        self.longest = {
            name: max(requests.MOST_CHARACTERS, *map(len, values))
            for name, values in bundle.model.categories.items()
            if values
        }
        """Most characters of a category, by feature."""
        self._categories = {name: frozenset(values) for name, values in bundle.model.categories.items()}

    def predict(self, rows: Rows) -> Predicted:
        """Predict rows. When this returns, they are in the log.

        Raises
        ------
        RowError
            An event lies more than a year ahead, or the model's prediction is not a finite number;
            row and field are named, and no row is predicted.
        UnavailableError
            The log cannot be written; there are no predictions without it.
        """
        at = self._clock()
        if any(rows.times):
            self._check_times(rows, (at + _AHEAD).isoformat())
        predictions = self._predictor.predict(rows.columns)
        finite = predictions.finite()
        if not finite.all():
            raise _not_finite(rows, int(finite.argmin()))
        # Ids begin with their time, so that the log finds one without looking everywhere.
        stamp = f"{int(at.timestamp() * 1e6):016x}"
        ids = [stamp + secrets.token_hex(8) for _ in rows.served]
        self._log.write(
            records(rows, predictions, ids=ids, at=at, deployment=self.deployment, version=self.version)
        )
        self._count(rows)
        return Predicted(ids, predictions.values, predictions.scores or [None] * len(ids))

    def check(self) -> None:
        """Check that the model predicts as it did in training and the log can be written.

        Raises
        ------
        BundleError
            A golden row is predicted differently here.
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

    def document(self, *, most_rows: int) -> dict[str, Any]:
        """Return its requests and responses as an OpenAPI document.

        Parameters
        ----------
        most_rows
            The limit of a request's rows.
        """
        row = self.bundle.golden["rows"][0]
        example = {name: row[name] for name in self.schema.features} | row  # in the schema's order
        classes = self.bundle.model.classes
        bounds = openapi.Bounds(most_rows, requests.MOST_CHARACTERS, requests.MOST_NUMBER, self.longest)
        return openapi.document(
            self.schema, version=self.version, classes=classes, example=example, bounds=bounds
        )

    def close(self) -> None:
        """End the log's segment."""
        self._log.close()

    def _check_times(self, rows: Rows, latest: str) -> None:
        for row, time in enumerate(rows.times):
            if time is not None and time > latest:  # both ISO 8601 and UTC
                field = str(self.schema.time)
                message = f"Row {row}: {field} is {time}, more than a year ahead. Correct it, or send null."
                raise RowError(message, row=row, field=field)

    def _count(self, rows: Rows) -> None:
        self.metrics.rows(len(rows.served))
        missing: dict[str, int] = {}
        unseen: dict[str, int] = {}
        for features in rows.served:
            for name, value in features.items():
                if value is None or value == "":
                    missing[name] = missing.get(name, 0) + 1
                elif name in self._categories and value not in self._categories[name]:
                    unseen[name] = unseen.get(name, 0) + 1
        for name, count in missing.items():
            self.metrics.missing(name, count)
        for name, count in unseen.items():
            self.metrics.unseen(name, count)


def _not_finite(rows: Rows, row: int) -> RowError:
    """Return the error for a prediction that is no number; the row's missing fields are suspect."""
    missing = [name for name, value in rows.served[row].items() if value is None]
    without = f" without {shown(missing)}" if missing else ""
    return RowError(
        f"Row {row}: the prediction is not a finite number{without}.",
        row=row,
        field=missing[0] if missing else None,
        remedy="Send values like those it was trained on.",
    )
