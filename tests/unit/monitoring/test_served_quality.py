"""Quality: what was served, judged by the labels that came, and again by those that come later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.config.params import Params
from mlops.ledger.codec import decode, encode
from mlops.ledger.drift_report import DriftReport
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring.quality import LossAtTraining
from mlops.monitoring.served_quality import ServedModel, WindowRows, began, judged_again, served_quality
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


START, END = NOW - timedelta(days=16), NOW - timedelta(days=2)
PRIORS: dict[str, Any] = {"binary": [0.5, 0.5], "multiclass": [0.4, 0.3, 0.3], "regression": 1.0}


def model_of(task: str, *, loss: float = 0.2) -> ServedModel:
    schema = Schema({"size": "number"}, "ripe", task, key="plum")
    return ServedModel("3", schema, CLASSES[task], PRIORS[task], LossAtTraining(loss, 0.0, 20))


def params_of(task: str, **monitor: Any) -> Params:
    data = {"name": "plums", "target": "ripe", "key": "plum", "features": {"size": "number"}}
    model = {"builder": "model.py", "task": task}
    return Params(
        data=data, model=model, gate={"metric": METRICS[task]}, monitor={"min_rows": 100, **monitor}
    )


def judged(task: str, *, lost: int) -> QualityVerdict:
    prediction, score, broken = ANSWERS[task]
    predictions, scores = [prediction] * ROWS, [score] * ROWS
    scores[:lost] = [broken] * lost
    if task == "regression":
        predictions[:lost] = [nan] * lost
    rows = pd.DataFrame(
        {
            "id": np.arange(ROWS).astype(str),
            "key": np.where(np.arange(ROWS) % 2, np.arange(ROWS).astype(str), None),
            "time": NOW - timedelta(days=9),
            "prediction": pd.Series(predictions),
            "score": pd.Series(scores, dtype=object),
            "ripe": pd.Series([prediction] * ROWS, dtype=object),
        }
    )
    return served_quality(WindowRows(START, END, rows), model_of(task), params_of(task), earlier=[])


@pytest.mark.parametrize("task", list(ANSWERS))
def test_an_answer_that_is_no_number_is_left_out_of_the_loss_and_counted(task: str) -> None:
    whole, lost = judged(task, lost=0), judged(task, lost=7)
    assert (whole.state, whole.rows, whole.invalid_predictions) == ("ok", ROWS, 0)
    assert (lost.state, lost.rows, lost.invalid_predictions) == ("ok", ROWS - 7, 7)
    assert lost.loss == pytest.approx(whole.loss)
    assert lost.coverage == 1.0


@pytest.mark.parametrize("task", list(ANSWERS))
def test_where_no_answer_is_a_number_nothing_is_known(task: str) -> None:
    verdict = judged(task, lost=ROWS)
    assert (verdict.state, verdict.invalid_predictions, verdict.loss) == ("unknown", ROWS, None)
    assert "200 predictions were not a number" in verdict.text


def window(*, labelled: int = ROWS, right: float = 0.9, rows: int = ROWS) -> WindowRows:
    """Rows of fourteen days, of which the first have a label; a share of them was predicted right."""
    rng = np.random.default_rng(7)
    labels = pd.Series(rng.random(rows) < right, dtype=object)
    frame = pd.DataFrame(
        {
            "id": np.arange(rows).astype(str),
            "key": np.arange(rows).astype(str),
            "time": pd.date_range(START, END, rows + 1)[:-1],
            "prediction": pd.Series([True] * rows, dtype=object),
            "score": pd.Series([0.9] * rows, dtype=object),
            "ripe": labels.where(np.arange(rows) < labelled),
        }
    )
    return WindowRows(START, END, frame, last_label=NOW - timedelta(days=5))


def verdict_on(rows: WindowRows, *, earlier: Sequence[QualityVerdict] = (), **monitor: Any) -> QualityVerdict:
    return served_quality(
        rows, model_of("binary", loss=0.33), params_of("binary", **monitor), earlier=earlier
    )


def test_the_verdict_records_the_window_and_what_it_rests_on() -> None:
    verdict = verdict_on(window())
    assert verdict.window == ServedWindow(START, END, ROWS)
    assert (verdict.state, verdict.rows, verdict.look, verdict.reference_loss) == ("ok", ROWS, 1, 0.33)
    assert verdict.confidence == pytest.approx(1 - 0.05 * 3 / np.pi**2)
    assert verdict.baseline_loss == pytest.approx(np.log(2))
    assert decode(QualityVerdict, encode(verdict)) == verdict
    assert verdict.text.startswith("quality ok (0.3")
    assert "200 labelled rows, 2020-02-14 to 2020-02-28" in verdict.text


def test_worse_than_a_constant_prediction_is_in_the_sentence() -> None:
    verdict = verdict_on(window(right=0.4))
    assert (verdict.state, verdict.worse_than) == ("worse", ("training", "baseline"))
    assert verdict.text.startswith("quality worse than at training and worse than a constant prediction (1.")
    vague = replace(model_of("binary"), loss=LossAtTraining(1.6, 0.0, 20))
    alone = served_quality(window(right=0.4), vague, params_of("binary"), earlier=[])
    assert (alone.state, alone.worse_than) == ("worse", ("baseline",))
    report = DriftReport(ServedWindow(START, END, ROWS), 1, (), 0.0, drifted=False, quality=alone)
    assert report.raised
    assert "quality worse than a constant prediction" in report.sentence(confirmed=False)


@pytest.mark.parametrize(
    ("rows", "because"),
    [
        (window(rows=0), ["version 3 served no row between 2020-02-14 00:00 and 2020-02-28 00:00"]),
        (
            window(labelled=0),
            ["all 200 rows", "no label has come since 2020-02-25 00:00", "`mlops labels add FILE`"],
        ),
        (
            replace(window(labelled=0), last_label=None),
            ["no label has ever come", "`mlops labels add FILE`"],
        ),
        (window(labelled=60), ["30% of 200 rows", "monitor.min_coverage asks for 50%", "140 labels are"]),
        (window(rows=120, labelled=90), ["90 labelled rows", "monitor.min_rows asks for 100", "30 labels"]),
        (window(rows=90, labelled=90), ["90 labelled rows", "monitor.min_rows asks for 100"]),
    ],
)
def test_an_unknown_quality_says_why_and_how_to_mend_it(rows: WindowRows, because: list[str]) -> None:
    verdict = verdict_on(rows)
    assert (verdict.state, verdict.look, verdict.loss) == ("unknown", 0, None)
    for part in because:
        assert part in verdict.note
        assert part in verdict.text
    assert ("labels add" in verdict.note) is (0 < len(rows.rows) != verdict.rows)


def test_labels_of_one_block_of_time_say_nothing() -> None:
    one_day = window()
    one_day.rows["time"] = START
    timed = replace(model_of("binary"), schema=Schema({"size": "number"}, "ripe", "binary", time="t"))
    verdict = served_quality(one_day, timed, params_of("binary"), earlier=[])
    assert (verdict.state, verdict.note) == (
        "unknown",
        "all labels are of one block of time, which says nothing of the next",
    )


def test_labels_of_one_class_are_judged() -> None:
    verdict = verdict_on(window(right=1.0))
    assert (verdict.state, verdict.loss) == ("ok", pytest.approx(-np.log(0.9)))


def test_a_version_that_served_only_the_end_of_a_window_says_so() -> None:
    rows = window()
    times = rows.rows["time"]
    ours = np.arange(ROWS) >= 50
    since = began(times, ours)
    assert since == times[50].to_pydatetime()
    verdict = verdict_on(replace(rows, rows=rows.rows[ours], since=since))
    assert (verdict.served_since, verdict.window.start) == (since, START)
    assert f"served since {since:%Y-%m-%d %H:%M}" in verdict.text
    assert began(times, np.ones(ROWS, bool)) is began(times, np.zeros(ROWS, bool)) is None


def renewed(verdicts: Sequence[QualityVerdict], now: WindowRows) -> list[tuple[int, QualityVerdict]]:
    params, model = params_of("binary"), model_of("binary", loss=0.33)
    return list(judged_again(verdicts, verdicts, model, params, lambda start, end: now))


def test_labels_that_came_since_are_another_look_and_the_same_ones_are_none() -> None:
    half = verdict_on(window(labelled=120))
    assert renewed([half], window(labelled=120)) == []
    [(place, again)] = renewed([half], window())
    assert (place, again.rows, half.look, again.look) == (0, ROWS, 1, 2)
    assert again.confidence is not None
    assert half.confidence is not None
    assert again.confidence > half.confidence


def test_a_corrected_label_is_another_look() -> None:
    first = verdict_on(window())
    corrected = window()
    corrected.rows.loc[3, "ripe"] = not corrected.rows.loc[3, "ripe"]
    [(_, again)] = renewed([first], corrected)
    assert again.labels != first.labels
    assert again.loss != first.loss


def test_a_window_that_lost_predictions_since_is_not_judged_again() -> None:
    first = verdict_on(window())
    assert renewed([first], replace(window(), rows=window().rows.iloc[50:])) == []


def test_the_order_of_rows_makes_no_other_labels() -> None:
    rows = window()
    shuffled = replace(rows, rows=rows.rows.sample(frac=1, random_state=0))
    assert shuffled.labels("ripe") == rows.labels("ripe") != window(labelled=0).labels("ripe") == ""
