"""A model outside scikit-learn: four functions at the top of the project's own module.

fit(params, schema, features, target, seed) -> model
save(model) -> bytes
load(data) -> model
predict(model, features) -> array

The serving image carries this module: standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from mlops.errors import BundleError
from mlops.schema import Schema
from mlops.task_types.predictions import Predictions, from_array

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FUNCTIONS", "CustomModel", "functions", "missing_functions"]

FUNCTIONS = ("fit", "save", "load", "predict")
"""What a module defines in place of `build`."""

_SUM = 1e-3  # how far from 1 probabilities of float32 may add up


@dataclass(frozen=True)
class CustomModel:
    """How a project's module fits, saves and predicts with a custom model.

    Parameters
    ----------
    fit
        ``fit(params, schema, features, target, seed)``: `features` is a DataFrame of `schema.inputs`,
        numbers as float64 with NaN where missing, text with "" where missing. `target` is an array of
        shape (n,): of a regression the values, else for each row the number of its class, from 0, in
        the sorted order of the labels. Nothing but `seed` may decide what is drawn.
    save
        ``save(model)``: the same bytes for the same model.
    load
        ``load(data)``: reads what `save` returned.
    predict
        ``predict(model, features)``: an array of shape (n,), values; or (n, number of classes),
        probabilities. With two classes (n,), the second's, will do.
    """

    fit: Callable[[dict[str, Any], Schema, pd.DataFrame, np.ndarray[Any, Any], int], Any]
    save: Callable[[Any], bytes]
    load: Callable[[bytes], Any]
    predict: Callable[[Any, pd.DataFrame], Any]

    def checked_predictions(
        self, model: Any, features: pd.DataFrame, classes: Sequence[Any] | None
    ) -> Predictions:
        """Predict some rows, and check the shape and the values of what the project's function returned.

        Raises
        ------
        BundleError
            `predict` returned another shape, a number that is not finite, or what is no probability.
        """
        values = np.asarray(self.predict(model, features), dtype=float)
        if values.ndim == 1 and classes is not None and len(classes) == 2:
            values = np.column_stack([1.0 - values, values])
        wanted = (len(features),) if classes is None else (len(features), len(classes))
        if values.shape != wanted:
            raise _wrong(f"returned an array of shape {values.shape}, not {wanted}")
        if not np.isfinite(values).all():
            raise _wrong("returned numbers that are not finite")
        if classes is not None and not (
            (values >= 0.0).all() and np.allclose(values.sum(axis=1), 1.0, atol=_SUM)
        ):
            raise _wrong("returned probabilities below 0, or that do not add up to 1")
        return from_array(values, classes)


def functions(module: ModuleType) -> CustomModel | None:
    """Return a module's four functions; None where one of them is missing."""
    if missing_functions(module):
        return None
    return CustomModel(*(getattr(module, name) for name in FUNCTIONS))


def missing_functions(module: ModuleType) -> list[str]:
    """Return which of the four functions a module does not define."""
    return [name for name in FUNCTIONS if not callable(getattr(module, name, None))]


def _wrong(what: str) -> BundleError:
    return BundleError(
        f"The function predict of the custom model's module {what}.",
        remedy="Correct it in the module model.builder, and train again: see the page "
        "'Your own parts and models' of the documentation.",
    )
