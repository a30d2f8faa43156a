from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from mlops.config.params import MonitorParams
from mlops.errors import MissingColumnError
from mlops.ledger.codec import decode, encode
from mlops.ledger.drift_report import DriftReport
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.served_window import ServedWindow
from mlops.monitoring.drift import (
    Measured,
    as_blocks,
    as_reference,
    judge,
    measure,
    thresholds,
    watched,
)
from mlops.monitoring.validity import Finding
from mlops.schema import Schema
from mlops.stats.blocks import blocks_of
from mlops.stats.distance import distances

NAMES = ("a", "b", "c", "d", "e")
SCHEMA = Schema({**dict.fromkeys(NAMES, "number"), "k": "category"}, "y", "regression", time="t")
POLICY = MonitorParams(min_rows=200, min_effect=0.0)
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
    return measured(table(rng, 60), table(rng, 15, **changed), schema, **given)


def measured(reference, current, schema=SCHEMA, **given):
    """As for a model that knows nothing by heart: it answers what it was fitted on like anything else."""
    return measure(
        reference, reference, current, schema, **{"window": (START, END), "policy": POLICY, **given}
    )


@pytest.mark.statistical
def test_days_of_one_distribution_raise_no_drift():
    """Forty windows, seven columns: at alpha 0.05 over all columns, two may cry."""
    assert sum(window_of(seed).drifted for seed in range(40)) <= 5


@pytest.mark.statistical
def test_without_blocks_they_would():
    """The negative control: thresholds from single rows take days for drift."""
    timeless = Schema(SCHEMA.features, "y", "regression")
    assert sum(window_of(seed, schema=timeless).drifted for seed in range(10)) >= 9


@pytest.mark.statistical
def test_without_a_correction_for_the_columns_they_would():
    """The negative control of Bonferroni: alpha spent on each column, not on all together."""
    each = POLICY.model_copy(update={"alpha": POLICY.alpha * len(watched(SCHEMA))})
    assert sum(window_of(seed, policy=each).drifted for seed in range(30)) >= 6


@pytest.mark.statistical
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


def test_one_drifted_column_makes_a_drifted_window():
    report = window_of(0, shift=2.0)
    assert report.named("drift") == ("a",)
    assert report.share == pytest.approx(1 / 7)
    assert report.drifted


def test_two_sentinels_do_not_blind_a_column_and_are_named():
    rng = np.random.default_rng(0)
    reference, current = table(rng, 60), table(rng, 15, shift=3.0)
    reference.loc[:1, "a"] = current.loc[:1, "a"] = 999.0
    report = measured(reference, current)
    assert report.named("drift") == ("a",)
    assert report.columns[0].value > 2.0
    assert report.columns[0].note == ("999 counts as missing: 0.11% of the reference, 0.44% of the window")


def test_a_column_of_which_the_model_uses_little_has_a_higher_threshold():
    rng = np.random.default_rng(0)
    reference, current = table(rng, 60), table(rng, 15)
    limits = [
        {column.column: column.threshold for column in measured(reference, current, **uses).columns}
        for uses in ({}, {"importances": dict.fromkeys(SCHEMA.features, 0.0) | {"a": 0.4}})
    ]
    assert limits[1]["a"] < limits[0]["a"]
    assert limits[1]["b"] > limits[0]["b"]
    assert limits[1]["prediction"] == limits[0]["prediction"]


@pytest.mark.parametrize("figure", [np.nan, np.inf])
def test_what_is_no_number_decides_nothing(figure):
    for values, limits in (({"a": figure}, {"a": 0.1}), ({"a": 0.5}, {"a": figure})):
        verdicts = judge(
            Measured(values, limits), {"a": "number"}, window=ServedWindow(START, END, 1000),
            reference_rows=9, policy=POLICY,
        )  # fmt: skip
        assert verdicts.named("insufficient") == ("a",)
        assert verdicts.columns[0].note
        assert not verdicts.drifted


def test_few_rows_are_insufficient():
    report = window_of(0, rows=2, shift=9.0)
    assert set(report.named("insufficient")) == set(watched(SCHEMA))
    assert (report.share, report.drifted) == (0.0, False)
    assert {column.value for column in report.columns} == {None}
    assert report.sentence(confirmed=False) == (
        "Unknown: too few rows: monitor.min_rows asks for 200, in 30 rows."
    )


def test_short_reference_is_insufficient():
    rng = np.random.default_rng(0)
    report = measured(table(rng, 9), table(rng, 15, shift=9))
    assert len(report.named("insufficient")) == 7
    assert "too few blocks" in report.columns[1].note


def test_broken_column_is_invalid_whatever_its_statistic_and_is_not_measured():
    rng = np.random.default_rng(0)
    reference, current = table(rng, 60), table(rng, 15)
    current["a"] = np.nan
    asked = []

    def statistics(old, new, columns):
        asked.extend(columns)
        return dict.fromkeys(columns, 0.0)

    report = measured(reference, current, statistics=statistics)
    assert report.named("invalid") == ("a",)
    assert "a" not in asked
    assert not report.drifted


@pytest.mark.parametrize("times", [1.96, 20.0])
def test_answers_that_multiply_have_drifted_and_are_no_broken_column(times):
    """As those of a rare event that comes to be twice as likely, or of prices that all rise."""
    rng = np.random.default_rng(0)
    reference, current = table(rng, 60), table(rng, 15)
    for side, factor in ((reference, 1.0), (current, times)):
        side["prediction"] = factor * rng.lognormal(-4.6, 0.5, len(side))
    report = measured(reference, current)
    assert report.named("drift") == ("prediction",)
    assert report.named("invalid") == ()


def test_reference_without_a_column_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(MissingColumnError, match="has no column b"):
        measured(table(rng, 20).drop(columns="b"), table(rng, 15))


def by_heart(seed, *, heard, shift=0.0, rows=1000):
    """A window judged for boosting that was fitted on a thousand rows, by its answers to some rows."""
    rng = np.random.default_rng(seed)
    schema = Schema(dict.fromkeys("abcdef", "number"), "y", "binary")

    def drawn(moved=0.0):
        frame = pd.DataFrame(rng.normal(size=(rows, 6)), columns=list("abcdef"))
        frame["a"] += moved
        return frame, rng.random(rows) < 1 / (1 + np.exp(-frame["a"] - frame["b"] / 2))

    def predicted(frame):
        return frame.assign(prediction=model.predict_proba(frame)[:, 1])

    fitted, labels = drawn()
    model = HistGradientBoostingClassifier(early_stopping=False).fit(fitted, labels)
    known = {"fitted": fitted, "held out": drawn()[0]}[heard]
    current = predicted(drawn(shift)[0])
    return measure(fitted, predicted(known), current, schema, window=(START, END), policy=MonitorParams())


@pytest.mark.statistical
def test_unchanged_rows_raise_no_drift_whatever_the_model_knows_by_heart():
    assert [by_heart(seed, heard="held out").named("drift") for seed in range(4)] == [()] * 4


@pytest.mark.statistical
def test_beside_answers_to_fitted_rows_they_would():
    """The negative control: of what it was fitted on a model is surer."""
    assert sum(by_heart(seed, heard="fitted").drifted for seed in range(4)) >= 3


def test_answers_that_moved_are_found_beside_those_to_held_out_rows():
    report = by_heart(0, heard="held out", shift=1.0)
    assert report.named("drift") == ("a", "prediction")


def judged(statistics, *, limit=0.1, invalid=(), rows=1000, policy=POLICY):
    columns = dict.fromkeys(statistics, "number")
    limits = dict.fromkeys(statistics, limit)
    broken = dict.fromkeys(invalid, Finding("broken", is_broken=True))
    return judge(
        Measured(statistics, limits, broken),
        columns,
        window=ServedWindow(START, END, rows),
        reference_rows=9,
        policy=policy,
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
    assert decode(DriftReport, json.loads(json.dumps(encode(report), allow_nan=False))) == report


def test_measured_report_survives_json():
    report = window_of(0)
    assert decode(DriftReport, json.loads(json.dumps(encode(report), allow_nan=False))) == report


def test_thresholds_are_at_least_the_least_effect():
    reference = table(np.random.default_rng(0), 30)
    tails = dict.fromkeys(watched(SCHEMA), 0.05)
    given = {"window_blocks": 10, "window_rows": 300, "tails": tails, "ordered": True, "seed": 0}
    blocks = blocks_of(reference, SCHEMA, timedelta(days=1))
    low, high = (thresholds(reference, watched(SCHEMA), blocks, min_effect=e, **given) for e in (0.0, 0.9))
    assert all(high[name] == max(low[name], 0.9) for name in watched(SCHEMA))


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
    ("task", "predictions", "kind"),
    [
        ("binary", [0.2, 0.8], "number"),
        ("multiclass", ["0", "1"], "category"),
        ("regression", [0, 1], "number"),
    ],
)
def test_log_is_read_as_the_reference_is_written(task, predictions, kind):
    schema = Schema(SCHEMA.features, "y", task, time="t")
    rows = as_reference(LOG, schema)
    assert list(rows.columns) == [*SCHEMA.features, "prediction", "t"]
    assert list(rows["prediction"]) == predictions
    assert watched(schema)["prediction"] == kind


@pytest.mark.parametrize("labels", [[True, False], [0, 1, 2], ["a", "b", "c"]])
def test_the_same_labels_are_the_same_on_both_sides(labels):
    schema = Schema({}, "y", "multiclass")
    predictions = pd.DataFrame({"prediction": labels})  # as the stage writes them
    log = pd.DataFrame({"prediction": pd.Series(labels, dtype=object)})
    assert distances(predictions, as_reference(log, schema), watched(schema)) == {"prediction": 0.0}


def test_a_worse_loss_raises_the_window_though_no_column_drifted():
    seen = QualityVerdict(
        window=ServedWindow(START, END, 1200), state="worse", rows=1000, coverage=0.9, reference_loss=0.5
    )
    rng = np.random.default_rng(0)
    report = measured(table(rng, 60), table(rng, 15), policy=MonitorParams(min_rows=200), quality=seen)
    assert (report.drifted, report.raised) == (False, True)
    assert decode(DriftReport, encode(report)) == report


def test_text_is_watched_by_its_length_and_a_date_not_at_all() -> None:
    schema = Schema({"note": "text", "due": "date"}, "late", "binary")
    assert watched(schema) == {"note": "text", "prediction": "number"}
    short, long = (pd.DataFrame({"note": ["word " * n] * 50 + ["a b"] * 50}) for n in (1, 3))
    assert distances(short, short, {"note": "text"})["note"] == pytest.approx(0.0)
    # 0.5 of the rows are 2 words longer; the reference's lengths, 1 and 2, have an interquartile range of 1.
    assert distances(short, long, {"note": "text"})["note"] == pytest.approx(0.5 * 2 * 1.349, rel=1e-3)


@pytest.mark.parametrize("key", ["id", "time", "plum", None])
def test_blocks_of_the_log_are_told_whatever_the_key_is_called(key: str | None) -> None:
    log = pd.DataFrame({"id": ["a", "b", "c"], "key": ["k1", "k1", "k2"], "time": pd.Timestamp(0, tz="UTC")})
    schema = Schema({"x": "number"}, "y", "binary", key=key)
    blocks = blocks_of(as_blocks(log, schema), schema, timedelta(days=1))
    assert blocks.tolist() == ([0, 0, 1] if key else [0, 1, 2])


def test_rows_that_were_served_without_a_key_are_blocks_of_their_own() -> None:
    log = pd.DataFrame(
        {"id": list("abcd"), "key": ["k1", None, "k1", None], "time": pd.Timestamp(0, tz="UTC")}
    )
    schema = Schema({"x": "number"}, "y", "binary", key="plum")
    blocks = blocks_of(as_blocks(log, schema), schema, timedelta(days=1))
    assert [list(blocks).index(block) for block in blocks] == [0, 1, 0, 3]


def a_hundredfold(*, accept=(), **changed):
    rng = np.random.default_rng(0)
    reference, current = table(rng, 60), table(rng, 15)
    later = current["t"] >= pd.Timestamp(START) + pd.Timedelta(days=6)
    current.loc[later, "a"] *= 100
    policy = POLICY.model_copy(update={"accept": accept})
    return measured(reference, current.drop(columns=changed.get("without", [])), policy=policy)


def test_a_unit_that_changed_within_the_window_is_named_with_its_day():
    report = a_hundredfold()
    assert report.named("invalid") == ("a",)
    assert report.remarks == ("a is invalid: from 2013-01-07 on the values are the reference's times 100.",)


def test_an_accepted_break_counts_as_drifted():
    report = a_hundredfold(accept=("a",))
    assert (report.named("drift"), report.drifted) == (("a",), True)
    [remark] = [line for line in report.remarks if line.startswith("a ")]
    assert remark.endswith("times 100; accepted by monitor.accept.")


def test_an_accepted_column_may_be_missing():
    report = a_hundredfold(accept=("a",), without=["a"])
    [column] = [column for column in report.columns if column.column == "a"]
    assert (column.verdict, column.value) == ("drift", None)
    assert report.named("drift") == ("a",)
    assert report.sentence(confirmed=True).startswith("Drift is confirmed: 1 of 7 columns drifted (a)")


def test_growth_is_drift_and_asks_whether_it_is_a_unit():
    rng = np.random.default_rng(0)
    reference, current = (table(rng, days).assign(a=lambda frame: 20 + 5 * frame["a"]) for days in (60, 15))
    report = measured(reference, current.assign(a=3 * current["a"]))
    assert report.named("drift") == ("a",)
    assert "times 3" in report.remarks[0]
    assert report.remarks[0].endswith("perhaps another unit.")
