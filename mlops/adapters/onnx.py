"""Compiled models by skl2onnx, kept only where they answer as the original does."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from mlops.answers import Answers
from mlops.predictor import Compiled, Fitted
from mlops.schema import Columns, Schema

__all__ = ["TOLERANCE", "Compilation", "compile", "difference"]

TOLERANCE = 1e-4
_OPSET = 21


@dataclass(frozen=True)
class Compilation:
    """A compiled model, or why there is none.

    Parameters
    ----------
    model
        The content of model.onnx; None where the original must be served.
    reason
        Why it must; None where it needn't.
    """

    model: bytes | None
    reason: str | None


def compile(estimator: Any, schema: Schema, classes: Sequence[Any] | None, rows: Columns) -> Compilation:
    """Compile a fitted estimator and compare its answers with the original's on real rows.

    Parameters
    ----------
    rows
        What to compare on; every label must be equal and no score or value further off than
        `TOLERANCE` (relative to values beyond 1).
    """
    try:
        model = _convert(estimator, schema, classes)
        compiled = Compiled(model, schema, classes).predict(rows)
    except Exception as exc:  # a converter or the runtime raises whatever it met
        return Compilation(None, f"it does not compile: {type(exc).__name__}: {_first_line(exc)}")
    original = Fitted(estimator, schema, classes).predict(rows)
    reason = difference(original, compiled)
    return Compilation(model if reason is None else None, reason)


def difference(original: Answers, compiled: Answers) -> str | None:
    """Say how compiled answers differ from the original's; None where they agree."""
    if original.scores is not None:
        pairs = zip(original.predictions, compiled.predictions, strict=True)
        if wrong := sum(a != b for a, b in pairs):
            return f"compiled, it labels {wrong} of {len(original)} rows differently"
    expected = np.asarray(original.predictions if original.scores is None else original.scores, dtype=float)
    got = np.asarray(compiled.predictions if compiled.scores is None else compiled.scores, dtype=float)
    # Written so that NaN, which is within nothing, counts as far off.
    near = np.abs(got - expected) <= TOLERANCE * np.maximum(1.0, np.abs(expected))
    if near.all():
        return None
    far = (~near).reshape(len(original), -1).any(axis=1)
    worst = float(np.nanmax(np.abs(got - expected)))
    return f"compiled, it answers {int(far.sum())} of {len(original)} rows differently, by up to {worst:.2g}"


def _convert(estimator: Any, schema: Schema, classes: Sequence[Any] | None) -> bytes:
    inputs = [
        (name, (StringTensorType if kind == "category" else FloatTensorType)([None, 1]))
        for name, kind in schema.features.items()
    ]
    options = {id(estimator): {"zipmap": False}} if classes is not None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the converters' own future
        # Named, because the default name is drawn at random.
        model = to_onnx(
            estimator, initial_types=inputs, options=options, target_opset=_OPSET, model_optim=True, naming="n"
        )
    model.graph.name = "model"
    return bytes(model.SerializeToString(deterministic=True))


def _first_line(exc: Exception) -> str:
    return next((line.strip() for line in str(exc).splitlines() if line.strip()), "no reason given")[:200]
