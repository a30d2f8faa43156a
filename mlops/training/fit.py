"""Fitting: the project's own module, the labelled rows, a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import ConfigError, MlopsError, StageError, TooFewRowsError, shown
from mlops.model import user_module
from mlops.model.custom import FUNCTIONS, OwnFunctions, functions, lacking
from mlops.schema import Schema
from mlops.tables.conform import columns_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Builder", "Fit", "fit", "load_builder"]

Builder = Callable[[dict[str, Any], Schema], Any] | OwnFunctions
"""A function that returns an estimator to fit, or the functions of a model outside scikit-learn."""


@dataclass(frozen=True)
class Fit:
    """A fitted model and what its rows told.

    Parameters
    ----------
    estimator
        Of scikit-learn's kind, or whatever the module's own `fit` returned.
    classes
        The labels, in the order of the probabilities; None where the task is regression.
    prior
        The classes' shares among the fitted rows, or their mean: the constant baseline.
    rows
        How many were fitted: those with a label.
    """

    estimator: Any
    classes: Sequence[Any] | None
    prior: Sequence[float] | float
    rows: int


def load_builder(source: bytes, path: str) -> Builder:
    """Run the project's model module and return its `build`, or the functions it brings instead.

    Raises
    ------
    ConfigError
        The module cannot be run, or has neither.
    """
    try:
        found = user_module.load(source, path)
    except Exception as exc:
        raise ConfigError(
            "model.builder", given=path, allowed=f"a module that runs; this says: {exc}"
        ) from exc
    own, build = functions(found), getattr(found, "build", None)
    if own is not None and build is None:
        return own
    if callable(build) and own is None:
        return build  # type: ignore[no-any-return]
    missing = lacking(found)
    has = "has both" if own else f"lacks {shown(missing)}" if len(missing) < len(FUNCTIONS) else "has neither"
    raise ConfigError(
        "model.builder",
        given=path,
        allowed="a module with a function build(params, schema) that returns an estimator of scikit-learn, "
        f"or with the functions {', '.join(FUNCTIONS)} of another model (see the page "
        f"'Your own parts and models' of the documentation); this {has}",
    )


def fit(frame: pd.DataFrame, schema: Schema, build: Builder, params: Mapping[str, Any], *, seed: int) -> Fit:
    """Build an estimator and fit it on the rows that have a label.

    Parameters
    ----------
    frame
        As `dataset.conform` leaves it.
    params
        Handed to `build`.

    Raises
    ------
    TooFewRowsError
        No row has a label, or all have the same.
    StageError
        The builder or the estimator failed; what it said is told.
    """
    import pandas as pd

    rows = frame[frame[schema.target].notna()]
    classes, target = _target(rows[schema.target], schema)
    features = pd.DataFrame(dict(columns_of(rows, schema)), index=rows.index)
    # Nothing is learnt of a number that no row has yet, nor of a constant; and not every estimator fits
    # a column without a value.
    features.loc[:, features.isna().all()] = 0.0
    try:
        with _reproducible(seed):
            estimator = _fitted(build, dict(params), schema, features, classes, target, seed)
    except MlopsError:
        raise
    except Exception as exc:
        raise StageError(
            f"The model could not be fitted: {type(exc).__name__}: {exc}{_single(target, classes)}",
            remedy="Correct the module model.builder or model.params in params.yaml.",
        ) from exc
    if classes is None:
        return Fit(estimator, None, float(target.mean()), len(rows))
    if not isinstance(build, OwnFunctions) and not hasattr(estimator, "predict_proba"):
        raise StageError(
            f"{type(estimator).__name__} gives no probabilities.",
            remedy="Build a classifier with predict_proba, or wrap it in CalibratedClassifierCV.",
        )
    prior = [float((target == label).mean()) for label in classes]
    return Fit(estimator, classes, prior, len(rows))


def _fitted(
    build: Builder,
    params: dict[str, Any],
    schema: Schema,
    features: pd.DataFrame,
    classes: Sequence[Any] | None,
    target: np.ndarray[Any, Any],
    seed: int,
) -> Any:
    if isinstance(build, OwnFunctions):
        numbers = target if classes is None else np.unique(target, return_inverse=True)[1]
        return build.fit(params, schema, features, numbers, seed)
    estimator = build(params, schema)
    estimator.fit(features, target)
    return estimator


def _single(target: np.ndarray[Any, Any], classes: Sequence[Any] | None) -> str:
    """Tell of labels with one row, at which a model that holds some of each out fails."""
    single = [label for label in classes or () if (target == label).sum() == 1]
    if not single:
        return ""
    return (
        f" Of {shown(single)} there is one row to fit: add some, or set model.params.early_stopping to false."
    )


def _target(column: pd.Series[Any], schema: Schema) -> tuple[Sequence[Any] | None, np.ndarray[Any, Any]]:
    target = np.array(column.tolist())
    if len(target) == 0:
        raise TooFewRowsError(
            f"No row to fit has a label in {schema.target}.", remedy="Add labels: `mlops labels add FILE`."
        )
    if schema.task == "regression":
        return None, target
    classes = np.unique(target).tolist()
    if len(classes) < 2 or (schema.task == "binary" and len(classes) > 2):
        allowed = "two" if schema.task == "binary" else "two or more"
        raise TooFewRowsError(
            f"The rows to fit hold {len(classes)} labels in {schema.target} ({shown(classes)}); "
            f"a {schema.task} model needs {allowed}.",
            remedy="Widen train.window, or correct model.task in params.yaml.",
        )
    return classes, target


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed what an estimator without a random state draws from, and keep sums in one order."""
    from threadpoolctl import threadpool_limits

    state, legacy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        # How many threads add up a gradient decides its last bits; and beside busy servers threads
        # that wait for one another spin: two fit this project four times slower than one.
        with threadpool_limits(limits=1):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(legacy)
