"""Fitting: the project's model module, the labelled rows, a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import ConfigError, MlopsError, StageError, TooFewRowsError, shown
from mlops.files import user_module
from mlops.model.custom import FUNCTIONS, CustomModel, functions, missing_functions
from mlops.schema import Schema
from mlops.tables.conform import columns_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Builder", "Fit", "fit", "load_builder"]

Builder = Callable[[dict[str, Any], Schema], Any] | CustomModel
"""A function that returns an estimator to fit, or the functions of a model outside scikit-learn."""


@dataclass(frozen=True)
class Fit:
    """A fitted model and its baseline.

    Parameters
    ----------
    estimator
        A scikit-learn estimator, or what the custom model's `fit` returned.
    classes
        The labels, in the order of the probabilities; None for a regression.
    prior
        The class frequencies of the training rows, or their mean: the baseline's constant prediction.
    rows
        Number of training rows, those with a label.
    """

    estimator: Any
    classes: Sequence[Any] | None
    prior: Sequence[float] | float
    rows: int


def load_builder(source: bytes, path: str) -> Builder:
    """Import the project's model module and return its `build`, or its custom model's functions.

    Raises
    ------
    ConfigError
        The import fails, or the module defines neither.
    """
    module = user_module.load_project(source, path)
    custom, build = functions(module), getattr(module, "build", None)
    if custom is not None and build is None:
        return custom
    if callable(build) and custom is None:
        return build  # type: ignore[no-any-return]
    missing = missing_functions(module)
    partly = f"lacks {shown(missing)}" if len(missing) < len(FUNCTIONS) else "has neither"
    has = "has both" if custom else partly
    raise ConfigError(
        "model.builder",
        value=path,
        allowed="a module with a function build(params, schema) that returns a scikit-learn estimator, "
        f"or with the functions {', '.join(FUNCTIONS)} of a custom model (see the page "
        f"'Your own parts and models' of the documentation); this one {has}",
    )


def fit(frame: pd.DataFrame, schema: Schema, build: Builder, params: Mapping[str, Any], *, seed: int) -> Fit:
    """Build an estimator and fit it on the rows that have a label.

    Parameters
    ----------
    frame
        As `mlops.tables.conform` returns it.
    params
        Passed to `build`.

    Raises
    ------
    TooFewRowsError
        No row has a label, or all have the same.
    StageError
        The builder or the estimator failed. The message has its error.
    """
    import pandas as pd

    rows = frame[frame[schema.target].notna()]
    classes, target = _target(rows[schema.target], schema)
    features = pd.DataFrame(dict(columns_of(rows, schema)), index=rows.index)
    # An empty column carries no more information than a constant one, and not every estimator fits a
    # column without a value.
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
    if classes is not None and not isinstance(build, CustomModel) and not hasattr(estimator, "predict_proba"):
        raise StageError(
            f"{type(estimator).__name__} has no predict_proba.",
            remedy="Build a classifier with predict_proba, or wrap it in CalibratedClassifierCV.",
        )
    return Fit(estimator, classes, schema.task_type.prior(target, classes), len(rows))


def _fitted(
    build: Builder,
    params: dict[str, Any],
    schema: Schema,
    features: pd.DataFrame,
    classes: Sequence[Any] | None,
    target: np.ndarray[Any, Any],
    seed: int,
) -> Any:
    if isinstance(build, CustomModel):
        numbers = target if classes is None else np.unique(target, return_inverse=True)[1]
        return build.fit(params, schema, features, numbers, seed)
    estimator = build(params, schema)
    estimator.fit(features, target)
    return estimator


def _single(target: np.ndarray[Any, Any], classes: Sequence[Any] | None) -> str:
    """Return a hint about labels with one row, on which a stratified split fails; empty without any."""
    single = [label for label in classes or () if (target == label).sum() == 1]
    if not single:
        return ""
    return (
        f" The training rows have {shown(single)} only once: add rows, or set model.params.early_stopping to "
        "false."
    )


def _target(column: pd.Series[Any], schema: Schema) -> tuple[Sequence[Any] | None, np.ndarray[Any, Any]]:
    target = np.array(column.tolist())
    if len(target) == 0:
        raise TooFewRowsError(
            f"No training row has a label in {schema.target}.", remedy="Add labels: `mlops labels add FILE`."
        )
    return schema.task_type.classes(target, schema.target), target


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed the global generators, which estimators without a random state use, and fix the order of sums."""
    from threadpoolctl import threadpool_limits

    state, legacy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        # The number of threads that sum a gradient decides its last bits. And beside busy servers,
        # waiting threads spin: two threads fitted this project four times slower than one.
        with threadpool_limits(limits=1):
            yield
    finally:
        random.setstate(state)
        np.random.set_state(legacy)
