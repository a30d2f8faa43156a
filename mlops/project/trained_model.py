"""A registered version of a project's model, for people: its predictions, and what is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mlops.errors import NothingPromotedError
from mlops.project.html_table import html_table
from mlops.project.version_facts import VersionFacts, find_version

if TYPE_CHECKING:
    import pandas as pd

    from mlops.model.bundle import Bundle
    from mlops.model.predictor import Predictor
    from mlops.project.context import Project
    from mlops.schema import Schema

__all__ = ["TrainedModel", "champion", "version"]


@dataclass(frozen=True, repr=False)
class TrainedModel:
    """A registered version of a project's model: ``project.champion``, or ``project.version("5")``.

    Parameters
    ----------
    project
        Where it was trained.
    facts
        What is known of it: the rows and dates it was trained on, its losses, the gate's figures, when
        it served, its commit and data version. See `mlops.project.version_facts.VersionFacts`.

    Examples
    --------
    >>> project = mlops.open(".")
    >>> predicted = project.champion.predict(rows)
    """

    project: Project
    facts: VersionFacts

    @property
    def version(self) -> str:
        """Its number in MLflow's registry, as text."""
        return self.facts.version

    @cached_property
    def bundle(self) -> Bundle:
        """The folder of its files, the digests checked: from this machine, or else from MLflow.

        Raises
        ------
        mlops.errors.UnavailableError
            It is not on this machine, and MLflow does not respond. Start it with `mlops up`.
        mlops.errors.BundleError
            A file is not what the manifest says.
        """
        return self.project.bundle(self.facts.digest, self.version)

    @property
    def schema(self) -> Schema:
        """The columns that it sees."""
        return self.bundle.schema

    @property
    def classes(self) -> Sequence[Any] | None:
        """The labels, in the order of the probabilities; None for a regression."""
        return self.bundle.model.classes

    @cached_property
    def _predictor(self) -> Predictor:
        from mlops.model.predictor import check_golden, load

        predictor = load(self.bundle)
        check_golden(predictor, self.bundle)
        return predictor

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Predict every row of a table, as the service would. Nothing is logged.

        Values are read as ingestion reads them: a date may be written as 2013/07/04, a code be a
        number. Columns that are no feature are left alone.

        Parameters
        ----------
        frame
            Shape (n_rows, n_columns): the features of `schema` at least; nulls allowed.

        Returns
        -------
        DataFrame
            Shape (n_rows, 2), with the index of `frame`. ``prediction``: the likeliest label, or the
            value of a regression, in the target's unit. ``score``: the probability of the second of
            `classes` (binary), a list with the probability of each (multiclass), NaN (regression).

        Raises
        ------
        mlops.errors.MissingColumnError
            The table lacks a feature. Add the column; its values may be null.
        mlops.errors.DataError
            A value cannot be used; its column and row are named.
        mlops.errors.BundleError
            The model cannot be loaded here, or predicts its golden rows otherwise than in training.
        """
        from mlops.model.predict_frame import predict_frame

        return predict_frame(self._predictor, frame, self.schema)

    def __repr__(self) -> str:
        facts = "; ".join(f"{name} {value}" for name, value in self._shown())
        return f"<{self._title()}: {facts}>"

    def _repr_html_(self) -> str:
        return html_table(self._title(), self._shown())

    def _title(self) -> str:
        return f"{self.project.params.data.name} version {self.version}"

    def _shown(self) -> list[tuple[str, str]]:
        facts = self.facts
        trained = "" if facts.trained_rows is None else f"{facts.trained_rows:,} rows"
        span = _span(facts.trained_from, facts.trained_until)
        lines = {
            "trained on": ", ".join(filter(None, [trained, span])),
            "holdout": _loss(facts),
            "gate": facts.gate_sentence or "",
            "served": "" if facts.served_from is None else _span(facts.served_from, facts.served_to),
            "commit": facts.commit[:12],
            "data version": facts.data_version[:12],
        }
        return [(name, value) for name, value in lines.items() if value]


def _loss(facts: VersionFacts) -> str:
    if facts.holdout_loss is None:
        return ""
    baseline = "" if facts.baseline_loss is None else f", baseline {facts.baseline_loss:.4f}"
    return f"{facts.metric.replace('_', ' ')} {facts.holdout_loss:.4f}{baseline}"


def _span(start: datetime | None, end: datetime | None) -> str:
    if start is None:
        return ""
    return f"from {start:%Y-%m-%d %H:%M}" + (f" to {end:%Y-%m-%d %H:%M}" if end else " on")


def champion(project: Project) -> TrainedModel:
    """Return the version that was promoted last.

    Raises
    ------
    NothingPromotedError
        There is none yet.
    """
    from mlops.ledger.records import ModelPromoted

    promotions = project.recorded(ModelPromoted)
    if not promotions:
        raise NothingPromotedError
    return version(project, promotions[-1].record.version)


def version(project: Project, version: str | int) -> TrainedModel:
    """Return a registered version of the model, by its number.

    Raises
    ------
    mlops.errors.UsageError
        There is no such version; `versions` lists those there are.

    Examples
    --------
    >>> predicted = project.version("1").predict(rows)
    """
    return TrainedModel(project, find_version(project, version))
