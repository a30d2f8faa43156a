"""Predictions from a bundle: by the compiled model where there is one, else by the fitted one.

The serving image carries this module: numpy at the top, everything else where it is needed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mlops import telemetry
from mlops.errors import BundleError, shown
from mlops.files import user_module
from mlops.model.bundle import Bundle, ModelInfo, run_module
from mlops.model.custom import CustomModel, functions
from mlops.rows import Columns, parse_rows
from mlops.schema import Schema
from mlops.task_types.decision import Decision
from mlops.task_types.predictions import Predictions, from_array

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CATEGORIES",
    "NUMBERS",
    "Compiled",
    "Custom",
    "Fitted",
    "Predictions",
    "Predictor",
    "check_golden",
    "decided",
    "load",
    "load_fitted",
    "uncompiled",
]

NUMBERS, CATEGORIES = "mlops_numbers", "mlops_categories"
_NAMED = 20

REVIEWED = (
    "numpy.dtype",
    # Types that skops does not trust by itself and scikit-learn's own models are made of. It
    # leaves TreePredictor out because a crafted file could crash the process: ours are
    # checked against a digest before they are read.
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.compose._column_transformer._RemainderColsList",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)


class Predictor(Protocol):
    """What predicts rows."""

    def predict(self, columns: Columns) -> Predictions:
        """Predict rows, passed as columns of the schema, all of one length."""
        ...


class Compiled:
    """The compiled model, in onnxruntime on one thread.

    Parameters
    ----------
    model
        The content of model.onnx: its inputs are `NUMBERS` and `CATEGORIES`, the tables of `Columns`
        as float32 and as strings.
    classes
        The labels in the order of the probabilities; None where the task is regression.
    """

    def __init__(self, model: bytes, classes: Sequence[Any] | None) -> None:
        telemetry.turn_off(os.environ)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One row keeps no second thread busy, and threads that wait for work spin.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._output = [self._session.get_outputs()[-1].name]
        self._classes = classes

    def predict(self, columns: Columns) -> Predictions:
        """Predict rows, passed as columns of the schema, all of one length."""
        feeds = {}
        if columns.schema.numbers:
            # Beyond float32 is infinite, which a tree can take: in tables, for services refuse it.
            with np.errstate(over="ignore"):
                feeds[NUMBERS] = columns.numbers.astype(np.float32)
        if columns.schema.texts:
            feeds[CATEGORIES] = columns.texts
        values = self._session.run(self._output, feeds)[0]
        return from_array(values if self._classes is not None else values.reshape(-1), self._classes)


class Fitted:
    """The model as it was fitted, in scikit-learn."""

    def __init__(self, estimator: Any, schema: Schema, classes: Sequence[Any] | None) -> None:
        self._transform, self._last = _split_last_step(estimator)
        self._inputs = tuple(schema.inputs)
        self._classes = classes

    def predict(self, columns: Columns) -> Predictions:
        """Predict rows, passed as columns of the schema, all of one length."""
        table = self._transform(_frame(columns, self._inputs))
        if self._classes is None:
            return from_array(np.asarray(self._last.predict(table), dtype=float), None)
        predictions = from_array(self._last.predict_proba(table), self._classes)
        # Not every classifier predicts its likeliest class: some tune a threshold.
        return Predictions(self._last.predict(table).tolist(), predictions.scores)


class Custom:
    """A model outside scikit-learn, which predicts through the functions of its own module."""

    def __init__(
        self, functions: CustomModel, model: Any, schema: Schema, classes: Sequence[Any] | None
    ) -> None:
        self._functions = functions
        self._model = model
        self._inputs = tuple(schema.inputs)
        self._classes = classes

    def predict(self, columns: Columns) -> Predictions:
        """Predict rows, passed as columns of the schema, all of one length."""
        return self._functions.checked_predictions(self._model, _frame(columns, self._inputs), self._classes)


class Deciding:
    """A model whose labels follow a rule of the project: a threshold, or costs."""

    def __init__(self, predictor: Predictor, decision: Decision, classes: Sequence[Any] | None) -> None:
        self._predictor = predictor
        self._decision = decision
        self._classes = classes

    def predict(self, columns: Columns) -> Predictions:
        """Predict rows, passed as columns of the schema, all of one length."""
        return self._decision.decide(self._predictor.predict(columns), self._classes)


def decided(predictor: Predictor, decision: Decision | None, classes: Sequence[Any] | None) -> Predictor:
    """Return a predictor whose labels follow a rule, where there is one."""
    return predictor if decision is None else Deciding(predictor, decision, classes)


def uncompiled(model: Any, schema: Schema, classes: Sequence[Any] | None, builder: object) -> Predictor:
    """Return the predictor of a model as it was fitted, uncompiled.

    Parameters
    ----------
    builder
        What built it: a custom model's functions, or anything else where it is scikit-learn's.
    """
    if isinstance(builder, CustomModel):
        return Custom(builder, model, schema, classes)
    return Fitted(model, schema, classes)


def load(bundle: Bundle) -> Predictor:
    """Return the predictor of a bundle.

    Raises
    ------
    BundleError
        The model contains a type that was not reviewed, or was fitted by another scikit-learn; or its own
        module cannot be run, or not read it.
    """
    info = bundle.model
    return decided(_undecided(bundle, info), info.decision, info.classes)


def _undecided(bundle: Bundle, info: ModelInfo) -> Predictor:
    if info.compiled:
        return Compiled(bundle.read("model.onnx"), info.classes)
    if info.custom:
        custom, model = _load_custom(bundle.read("model.custom"), bundle.read("module.py"))
        return Custom(custom, model, bundle.schema, info.classes)
    estimator = load_fitted(bundle.read("model.skops"), bundle.read("module.py"), trusted=info.trusted)
    return Fitted(estimator, bundle.schema, info.classes)


def load_fitted(model: bytes, source: bytes, *, trusted: Sequence[str]) -> Any:
    """Read a fitted estimator; only reviewed types are made, whatever the file asks for.

    Parameters
    ----------
    model
        The content of model.skops, its digest checked.
    source
        The module that built the estimator; its own classes are trusted as it is.
    trusted
        Types beyond the reviewed list, by dotted name.

    Raises
    ------
    BundleError
        The model holds another type, or was fitted by another scikit-learn.
    """
    from sklearn.exceptions import InconsistentVersionWarning
    from skops.io import get_untrusted_types, loads

    module = user_module.name(source)
    if module.encode() in model:  # model files are stored uncompressed: a class would name it
        run_module(source)
    types = get_untrusted_types(data=model)
    allowed = [t for t in types if t in REVIEWED or t in trusted or t.startswith(f"{module}.")]
    if refused := sorted(set(types) - set(allowed)):
        what, it = ("a type", "it") if len(refused) == 1 else ("types", "them")
        raise BundleError(
            f"The model contains {shown(refused, _NAMED)}, {what} not on the reviewed list.",
            remedy=f"Where you trust {it}, name {it} under model.trusted in params.yaml and train again.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            return loads(model, trusted=allowed)
    except InconsistentVersionWarning as exc:
        raise BundleError(
            f"The model was fitted by scikit-learn {exc.original_sklearn_version}, "
            f"this is {exc.current_sklearn_version}.",
            remedy="Train it again here, or serve it where the lock of its training is installed.",
        ) from exc


def _load_custom(model: bytes, source: bytes) -> tuple[CustomModel, Any]:
    custom = functions(run_module(source))
    if custom is None:
        raise BundleError("The bundle's module.py cannot load its model.custom.", remedy="Train it again.")
    try:
        return custom, custom.load(model)
    except Exception as exc:  # a module raises whatever it met
        raise BundleError(
            f"The custom model's module cannot load it: {type(exc).__name__}: {exc}.",
            remedy="Correct the function load in the module model.builder, and train again.",
        ) from exc


def check_golden(predictor: Predictor, bundle: Bundle, *, tolerance: float = 1e-4) -> None:
    """Check that the golden rows are predicted as they were in training.

    Raises
    ------
    BundleError
        A label differs, or a score or value by more than `tolerance`; the row is named.
    """
    rows, expected = bundle.golden["rows"], bundle.golden["predictions"]
    predictions = predictor.predict(parse_rows(rows, bundle.schema))
    scores = predictions.scores or [None] * len(rows)
    for row, (prediction, score, golden) in enumerate(zip(predictions.values, scores, expected, strict=True)):
        if not (
            _near(prediction, golden["prediction"], tolerance) and _near(score, golden["score"], tolerance)
        ):
            raise BundleError(
                f"Golden row {row}: predicted {prediction!r} ({score!r}), in training "
                f"{golden['prediction']!r} ({golden['score']!r}).",
                remedy="Do not serve this bundle on this machine: its libraries or processor differ.",
            )


def _split_last_step(estimator: Any) -> tuple[Callable[[Any], Any], Any]:
    """Split off a pipeline's last step: a classifier's labels and probabilities share the steps before it."""
    from sklearn.pipeline import Pipeline

    # Another kind of pipeline may ask its last step otherwise.
    if type(estimator) is Pipeline and len(estimator) > 1:
        return estimator[:-1].transform, estimator[-1]
    return lambda table: table, estimator


def _frame(columns: Columns, inputs: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: columns[name] for name in inputs})


def _near(value: Any, golden: Any, tolerance: float) -> bool:
    if isinstance(golden, float | list):
        return bool(np.allclose(value, golden, rtol=tolerance, atol=tolerance))
    return bool(value == golden)
