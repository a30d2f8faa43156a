"""Which parameters of the proposed model may suit a table, and on how many rows they are tried.

Pure: the table's size and the time limit decide beforehand, never a clock, so that the same table gives the
same proposal on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FEW_FOLDS", "FOLDS", "NOTES", "SPACES", "Candidate", "TrialPlan", "describe", "untried"]

FOLDS = 5
"""Parts of the rows; without event time each is predicted, with one the newest three are."""
FEW_FOLDS = 3
"""Parts that are predicted where trials take long."""
_MOST_ROWS = 20_000
_MOST_WIDTH = 2_000_000
"""Numbers that a linear model's table may hold: a category becomes a column for each of its values."""
_A_TREE = 1.2e-3
"""Seconds that a tree takes whatever its rows, and below, that a number of a row adds: measured, one core."""
_A_NUMBER = 1.5e-8
_A_STEP = 2e-9
"""Seconds per number and label that a step of a linear fit takes, and how many steps it may take."""
_STEPS = 150
_A_TEXT = 1e-4
"""Seconds that a text takes to become numbers."""
_TREES = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 320)
_LEAST_ROWS, _FEWEST_ROWS, _LEAST_TREES = 4000, 500, 40

LINEAR: Mapping[str, Sequence[float]] = {
    "C": (0.001, 0.01, 0.1, 1.0, 10.0),
    "alpha": (0.1, 1.0, 10.0, 100.0, 1000.0),
}

NOTES: Mapping[str, str] = {
    "algorithm": "or {other}: then replace the lines below, they are {this}'s",
    "C": "less is more regularisation",
    "alpha": "more is more regularisation",
    "learning_rate": "how much each tree adds",
    "max_iter": "so many trees",
    "max_leaf_nodes": "of a tree; fewer is a simpler one",
    "min_samples_leaf": "rows that a leaf needs",
    "early_stopping": "true needs two rows of each label in whatever it is fitted on",
}
"""What a parameter means, for the comment beside it."""

SPACES: Mapping[str, Sequence[str]] = {
    "boosting": (
        "learning_rate: {low: 0.01, high: 0.3, log: true}",
        "max_leaf_nodes: {low: 4, high: 64}",
        "max_iter: {low: 10, high: 400}",
    ),
    "linear": ("{regularisation}: {low: 0.001, high: 1000, log: true}",),
}
"""What a search of each algorithm varies."""


@dataclass(frozen=True)
class Candidate:
    """Parameters to fit.

    Parameters
    ----------
    trees
        Numbers of trees that one fit is measured with; the greatest is fitted. Empty where there are none.
    """

    params: Mapping[str, Any]
    trees: tuple[int, ...] = ()

    def with_trees(self, trees: int) -> dict[str, Any]:
        """Return the parameters of a model with so many trees."""
        return {**self.params, "max_iter": trees, "early_stopping": False}

    @property
    def fitted(self) -> dict[str, Any]:
        """The parameters that are fitted."""
        return self.with_trees(max(self.trees)) if self.trees else dict(self.params)


@dataclass(frozen=True)
class TrialPlan:
    """What is tried on how many rows."""

    candidates: Sequence[Candidate]
    rows: int
    folds: int = FOLDS

    @classmethod
    def of_size(
        cls, rows: int, *, numbers: int, width: int, outputs: int, seconds: float, texts: int = 0
    ) -> TrialPlan:
        """Plan for a table; of a large one fewer rows are tried, then smaller models, then fewer.

        Parameters
        ----------
        rows
            Labelled rows that there are.
        numbers, width
            Columns of the table that trees see, and of the one that a linear model sees.
        outputs
            Trees that are fitted at a time: one per label where there are more than two.
        seconds
            About how long the trials may take on one core.
        texts
            Columns of running text.
        """
        tried = min(rows, _MOST_ROWS, max(1, _MOST_WIDTH // width))
        trees = [count for count in _TREES if count <= max(_LEAST_TREES, rows // 10)]
        settings, folds = list(_BOOSTING if rows >= 300 else _BOOSTING[:2]), FOLDS

        def cost() -> float:
            boosting = len(settings) * trees[-1] * outputs * (_A_TREE + _A_NUMBER * tried * numbers)
            linear = len(LINEAR["C"]) * _STEPS * outputs * tried * width * _A_STEP
            return folds * (boosting + linear + (len(settings) + len(LINEAR["C"])) * tried * texts * _A_TEXT)

        while cost() > seconds:
            if tried > _LEAST_ROWS:
                tried //= 2
            elif folds > FEW_FOLDS:
                folds = FEW_FOLDS
            elif len(settings) > 2:
                settings.pop()
            elif trees[-1] > _LEAST_TREES:
                trees.pop()
            elif len(settings) > 1:
                settings.pop()
            elif tried > _FEWEST_ROWS:
                tried //= 2
            else:
                break
        boosting = [Candidate({"algorithm": "boosting", **each}, tuple(trees)) for each in settings]
        return cls(boosting, tried, folds)

    def and_linear(self, name: str) -> TrialPlan:
        """Return the plan with linear models, which are tried first: of equals the simpler is chosen.

        Parameters
        ----------
        name
            Of their regularisation, C or alpha.
        """
        linear = [Candidate({"algorithm": "linear", name: value}) for value in LINEAR[name]]
        return TrialPlan([*linear, *self.candidates], self.rows, self.folds)


_BOOSTING: Sequence[Mapping[str, Any]] = (
    {"learning_rate": 0.1, "max_leaf_nodes": 8, "min_samples_leaf": 10},
    {"learning_rate": 0.1, "max_leaf_nodes": 31, "min_samples_leaf": 20},
    {"learning_rate": 0.05, "max_leaf_nodes": 4, "min_samples_leaf": 20},
    {"learning_rate": 0.05, "max_leaf_nodes": 31, "min_samples_leaf": 60},
)


def untried(rows: int) -> dict[str, Any]:
    """Return what is proposed of a table that nothing was tried on: few trees where rows are few."""
    trees = next((count for most, count in ((1000, 40), (10_000, 100)) if rows < most), 200)
    return {"algorithm": "boosting", "learning_rate": 0.06, "max_iter": trees, "early_stopping": False}


def describe(params: Mapping[str, Any]) -> str:
    """Return parameters on a line, for people: early stopping is off in all that is proposed."""
    rest = {name: value for name, value in params.items() if name not in ("algorithm", "early_stopping")}
    return ", ".join([str(params["algorithm"]), *(f"{name} {value}" for name, value in rest.items())])
