"""Quality: what was answered, judged by the labels that came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.config.params import Params
from mlops.ledger.drift_report import QualityVerdict
from mlops.monitoring.served_quality import served_quality
from mlops.schema import Schema

NOW = datetime(2020, 3, 1, tzinfo=UTC)
ROWS = 200
ANSWERS: dict[str, tuple[Any, Any, Any]] = {
    "binary": (True, 0.9, nan),
    "multiclass": ("a", [0.9, 0.05, 0.05], [None, None, None]),
    "regression": (1.5, None, None),
}
CLASSES = {"binary": [False, True], "multiclass": ["a", "b", "c"], "regression": None}
METRICS = {"binary": "log_loss", "multiclass": "brier", "regression": "squared_error"}


def judged(task: str, *, lost: int) -> QualityVerdict:
    schema = Schema({"size": "number"}, "ripe", task, key="plum")
    prediction, score, broken = ANSWERS[task]
    predictions, scores = [prediction] * ROWS, [score] * ROWS
    scores[:lost] = [broken] * lost
    if task == "regression":
        predictions[:lost] = [nan] * lost
    rows = pd.DataFrame(
        {
            "key": np.where(np.arange(ROWS) % 2, np.arange(ROWS).astype(str), None),
            "time": NOW - timedelta(days=9),
            "prediction": pd.Series(predictions),
            "score": pd.Series(scores, dtype=object),
            "ripe": pd.Series([prediction] * ROWS, dtype=object),
        }
    )
    data = {"name": "plums", "target": "ripe", "key": "plum", "features": {"size": "number"}}
    model = {"builder": "model.py", "task": task}
    params = Params(data=data, model=model, gate={"metric": METRICS[task]}, monitor={"min_rows": 100})
    return served_quality(rows, schema, params, as_of=NOW, classes=CLASSES[task], reference_loss=0.2)


@pytest.mark.parametrize("task", list(ANSWERS))
def test_an_answer_that_is_no_number_is_left_out_of_the_loss_and_counted(task: str) -> None:
    whole, lost = judged(task, lost=0), judged(task, lost=7)
    assert (whole.state, whole.rows, whole.invalid_predictions) == ("ok", ROWS, 0)
    assert (lost.state, lost.rows, lost.invalid_predictions) == ("ok", ROWS - 7, 7)
    assert lost.loss == pytest.approx(whole.loss)
    assert lost.coverage == 1.0
