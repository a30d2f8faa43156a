from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.config import MonitorParams
from mlops.drift import (
    DriftReport,
    Window,
    as_reference,
    confirmed,
    judge,
    measure,
    quality,
    thresholds,
    watched,
)
from mlops.errors import MissingColumnError
from mlops.gate import blocks_of
from mlops.schema import Schema

NAMES = ("a", "b", "c", "d", "e")
SCHEMA = Schema({**dict.fromkeys(NAMES, "number"), "k": "category"}, "y", "regression", time="t")
POLICY = MonitorParams(min_rows=200, min_effect=0.0, min_share=0.01)
START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + timedelta(days=15)


def table(rng, days, *, rows=30, shift=0.0):
    """Days that differ among themselves, the same for ever; `shift` moves one column."""
    n = days * rows

    def column():
        return np.round(rng.normal(0, 0.7, days).repeat(rows) + rng.normal(size=n), 2)

    frame = pd.DataFrame({name: column() for name in (*NAMES, "prediction")})
    odds = rng.dirichlet([5, 5, 5], days).cumsum(axis=1).repeat(rows, axis=0)
    frame["k"] = np.array(list("xyz"))[(rng.random((n, 1)) > odds).sum(axis=1).clip(max=2)]
    frame["a"] += shift
    frame["t"] = pd.Timestamp(START) + pd.to_timedelta(np.arange(n) // rows, unit="D")
    return frame


def window_of(seed, *, schema=SCHEMA, policy=POLICY, **changed):
    rng = np.random.default_rng(seed)
    given = {"window": (START, END), "policy": policy, "seed": seed}
    return measure(table(rng, 60), table(rng, 15, **changed), schema, **given)


def test_days_of_one_distribution_raise_no_drift():
    """Forty windows, seven columns: at alpha 0.05 over all columns, two may cry."""
    assert sum(window_of(seed).drifted for seed in range(40)) <= 5


def test_without_blocks_they_would():
    """The negative control: thresholds from single rows take days for drift."""
    timeless = Schema(SCHEMA.features, "y", "regression")
    assert sum(window_of(seed, schema=timeless).drifted for seed in range(10)) >= 9


def test_without_a_correction_for_the_columns_they_would():
    """The negative control of Bonferroni: alpha spent on each column, not on all together."""
    each = POLICY.model_copy(update={"alpha": POLICY.alpha * len(watched(SCHEMA))})
    assert sum(window_of(seed, policy=each).drifted for seed in range(20)) >= 5


def test_thin_windows_of_one_distribution_raise_no_drift():
    """Reference days of thirty rows, window days of two: a window's own noise counts."""
    few = POLICY.model_copy(update={"min_rows": 30})
    assert sum(window_of(seed, policy=few, rows=2).drifted for seed in range(20)) <= 4


def test_a_shift_is_found_and_named():
    report = window_of(0, shift=2.0)
    assert report.drifted
    assert report.named("drift") == ("a",)


def test_a_sure_but_small_effect_is_no_drift():
    assert window_of(0, shift=1.5).named("drift") == ("a",)
    large = POLICY.model_copy(update={"min_effect": 5.0})
    assert window_of(0, shift=1.5, policy=large).named("drift") == ()


def test_small_share_of_columns_is_no_drift_of_the_window():
    report = window_of(0, shift=2.0, policy=POLICY.model_copy(update={"min_share": 0.25}))
    assert report.named("drift") == ("a",)
    assert not report.drifted


def test_few_rows_are_insufficient():
    report = window_of(0, rows=2, shift=9.0)
    assert set(report.named("insufficient")) == set(watched(SCHEMA))
    assert (report.share, report.drifted) == (0.0, False)
    assert {column.value for column in report.columns} == {None}


def test_short_reference_is_insufficient():
    rng = np.random.default_rng(0)
    report = measure(table(rng, 9), table(rng, 15, shift=9), SCHEMA, window=(START, END), policy=POLICY)
    assert len(report.named("insufficient")) == 6
    assert report.named("invalid") == ("a",)
    assert "too few blocks" in report.columns[1].note


def test_broken_column_is_invalid_whatever_its_statistic_and_is_not_measured():
    rng = np.random.default_rng(0)
    reference, current = table(rng, 60), table(rng, 15)
    current["a"] = np.nan
    asked = []

    def statistics(old, new, columns):
        asked.extend(columns)
        return dict.fromkeys(columns, 0.0)

    report = measure(reference, current, SCHEMA, window=(START, END), policy=POLICY, statistics=statistics)
    assert report.named("invalid") == ("a",)
    assert "a" not in asked
    assert not report.drifted


def test_reference_without_a_column_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(MissingColumnError, match="prediction"):
        measure(
            table(rng, 20).drop(columns="prediction"),
            table(rng, 15),
            SCHEMA,
            window=(START, END),
            policy=POLICY,
        )


def judged(statistics, *, limit=0.1, invalid=(), rows=1000, policy=POLICY):
    columns = dict.fromkeys(statistics, "number")
    limits = dict.fromkeys(statistics, limit)
    broken = dict.fromkeys(invalid, "broken")
    return judge(
        statistics, limits, broken, columns, window=Window(START, END, rows), reference_rows=9, policy=policy
    )


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1), st.floats(0, 1))
def test_verdict_is_monotone_in_the_statistics(statistics, more):
    less = judged(statistics)
    greater = judged({name: value + more for name, value in statistics.items()})
    assert greater.drifted >= less.drifted
    assert greater.share >= less.share


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1), min_size=1),
    st.sets(st.sampled_from("abc")),
    st.integers(0, 500),
)
def test_report_survives_json(statistics, invalid, rows):
    report = judged(statistics, invalid=invalid, rows=rows)
    assert DriftReport.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False))) == report


def test_measured_report_survives_json():
    report = window_of(0)
    assert DriftReport.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False))) == report


def test_thresholds_are_at_least_the_least_effect():
    reference = table(np.random.default_rng(0), 30)
    given = {"window_blocks": 10, "window_rows": 300, "alpha": 0.05, "seed": 0}
    blocks = blocks_of(reference, SCHEMA, timedelta(days=1))
    low, high = (thresholds(reference, watched(SCHEMA), blocks, min_effect=e, **given) for e in (0.0, 0.9))
    assert all(high[name] == max(low[name], 0.9) for name in watched(SCHEMA))


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], False),
        ([True], False),
        ([True, True], True),
        ([True, False, True], True),
        ([True, True, False, False], False),
    ],
)
def test_drift_is_confirmed_by_k_of_the_last_n(history, expected):
    assert confirmed(history, confirm=2, of=3) is expected


LOG = pd.DataFrame(
    {
        "id": ["1", "2"],
        "time": pd.to_datetime([START, END]),
        **{name: [0.0, 1.0] for name in NAMES},
        "k": ["x", "y"],
        "prediction": [0, 1],
        "score": [0.2, 0.8],
    }
)


@pytest.mark.parametrize(
    ("task", "answers", "kind"),
    [
        ("binary", [0.2, 0.8], "number"),
        ("multiclass", ["0", "1"], "category"),
        ("regression", [0, 1], "number"),
    ],
)
def test_log_is_read_as_the_reference_is_written(task, answers, kind):
    schema = Schema(SCHEMA.features, "y", task, time="t")
    rows = as_reference(LOG, schema)
    assert list(rows.columns) == [*SCHEMA.features, "prediction", "t"]
    assert list(rows["prediction"]) == answers
    assert watched(schema)["prediction"] == kind


def losses(seed=0, mean=0.5, days=20, rows=50):
    rng = np.random.default_rng(seed)
    blocks = np.arange(days).repeat(rows)
    return mean + rng.normal(0, 0.05, days)[blocks] + rng.normal(0, 0.1, days * rows), blocks


def graded(mean=0.5, coverage=0.9, policy=MonitorParams(), **changed):  # noqa: B008
    return quality(*losses(mean=mean, **changed), reference_loss=0.5, coverage=coverage, policy=policy)


def test_quality_as_at_training_is_ok():
    assert graded().state == "ok"
    assert graded(0.3).state == "ok"


def test_loss_surely_above_trainings_is_worse_and_raises_the_window():
    seen = graded(0.7)
    assert seen.state == "worse"
    rng = np.random.default_rng(0)
    report = measure(
        table(rng, 60),
        table(rng, 15),
        SCHEMA,
        window=(START, END),
        policy=MonitorParams(min_rows=200),
        quality=seen,
    )
    assert (report.drifted, report.raised) == (False, True)
    assert DriftReport.from_dict(report.to_dict()) == report


def test_loss_within_the_least_effect_is_ok():
    assert graded(0.54).state == "ok"


def test_little_coverage_is_unknown_not_healthy():
    seen = graded(0.9, coverage=0.4)
    assert seen.state == "unknown"
    assert "40%" in seen.note


def test_few_labels_or_a_single_block_are_unknown():
    assert graded(0.9, rows=2).state == "unknown"
    assert graded(0.9, days=1, rows=1000).state == "unknown"
