"""Compiled models by skl2onnx, used only where they predict as the original does."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from mlops.model.predictor import CATEGORIES, NUMBERS, Compiled, Fitted
from mlops.rows import Columns
from mlops.schema import Schema
from mlops.task_types.predictions import Predictions

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
    """Compile a fitted estimator and compare its predictions with the original's on real rows.

    Parameters
    ----------
    rows
        What to compare on; every label must be equal and no score or value further off than
        `TOLERANCE` (relative to values beyond 1).
    """
    if reasons := [type.why_not_compiled for type in schema.types.values() if type.why_not_compiled]:
        return Compilation(None, reasons[0])
    try:
        model = _convert(estimator, schema, classes)
        compiled = Compiled(model, classes).predict(rows)
    except Exception as exc:  # a converter or the runtime raises whatever it met
        return Compilation(None, f"it does not compile: {type(exc).__name__}: {_first_line(exc)}")
    original = Fitted(estimator, schema, classes).predict(rows)
    reason = difference(original, compiled)
    return Compilation(model if reason is None else None, reason)


def difference(original: Predictions, compiled: Predictions) -> str | None:
    """Return how compiled predictions differ from the original's; None where they agree."""
    if original.scores is not None:
        pairs = zip(original.values, compiled.values, strict=True)
        if wrong := sum(a != b for a, b in pairs):
            return f"compiled, it labels {wrong} of {len(original)} rows differently"
    expected = np.asarray(original.values if original.scores is None else original.scores, dtype=float)
    compiled_values = np.asarray(compiled.values if compiled.scores is None else compiled.scores, dtype=float)
    # Written so that NaN, which is within nothing, counts as far off.
    near = np.abs(compiled_values - expected) <= TOLERANCE * np.maximum(1.0, np.abs(expected))
    if near.all():
        return None
    far = (~near).reshape(len(original), -1).any(axis=1)
    worst = float(np.nanmax(np.abs(compiled_values - expected)))
    return f"compiled, it predicts {int(far.sum())} of {len(original)} rows differently, by up to {worst:.2g}"


def _convert(estimator: Any, schema: Schema, classes: Sequence[Any] | None) -> bytes:
    options = {id(estimator): {"zipmap": False}} if classes is not None else None

    def converted(inputs: list[tuple[str, Any]]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the converters' own future
            return to_onnx(estimator, initial_types=inputs, options=options, target_opset=_OPSET)

    model = None
    if not schema.texts:
        # A model may take its numbers as one table; one that picks columns by name will not.
        with suppress(Exception):
            model = converted([(NUMBERS, FloatTensorType([None, len(schema.inputs)]))])
    if model is None:
        tensors = {True: StringTensorType, False: FloatTensorType}
        model = converted(
            [(name, tensors[type.is_text]([None, 1])) for name, type in schema.input_types.items()]
        )
        _pack(model.graph, schema)
    return _canonical(model)


def _canonical(model: Any) -> bytes:
    """The same model, the same bytes."""
    model.graph.name = "model"  # in place of one drawn at random
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))  # in place of a set's order
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return bytes(model.SerializeToString(deterministic=True))


def _pack(graph: Any, schema: Schema) -> None:
    """Replace an input per feature by two, one for the numbers and one for the categories.

    Handing over fifteen inputs takes the runtime longer than one row takes the model, and taking a
    table apart to put it together again a third as long.
    """
    # The converter may have had to spell a feature's name otherwise.
    spelled = dict(zip(schema.inputs, [each.name for each in graph.input], strict=True))
    del graph.input[:]
    nodes = []
    tables = (
        (NUMBERS, TensorProto.FLOAT, schema.numbers),
        (CATEGORIES, TensorProto.STRING, schema.texts),
    )
    for name, element, columns in tables:
        features = [spelled[feature] for feature in columns]
        if not features:
            continue
        graph.input.append(helper.make_tensor_value_info(name, element, [None, len(features)]))
        if not _feed_whole_table(graph, features, name):
            nodes.append(helper.make_node("Split", [name], features, axis=1, num_outputs=len(features)))
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def _feed_whole_table(graph: Any, features: list[str], table: str) -> bool:
    """Hand a table of features to a model that would only put them together again; tell whether it does."""
    users = [node for node in graph.node if not set(features).isdisjoint(node.input)]
    if len(users) != 1 or users[0].op_type != "Concat" or list(users[0].input) != features:
        return False
    [joined] = users[0].output
    graph.node.remove(users[0])
    for node in graph.node:
        node.input[:] = [table if name == joined else name for name in node.input]
    return True


def _first_line(exc: Exception) -> str:
    return next((line.strip() for line in str(exc).splitlines() if line.strip()), "no reason given")[:200]
