from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from mlops.config.params import RetrainParams
from mlops.ledger.drift_report import ColumnVerdict, DriftReport, ServedWindow
from mlops.monitoring.retraining import may_start, trainable_rows, untrainable
from mlops.schema import Schema

SCHEMA = Schema({"x": "number", "c": "category"}, "late", "binary", time="when", key="flight")
NOW = datetime(2013, 3, 10, tzinfo=UTC)
POLICY = RetrainParams(cooldown="7d", min_rows=2)
EMPTY = pd.DataFrame({"x": [], "c": [], "late": [], "when": [], "flight": []})


def served(*rows):
    """Rows as (key, day of March, recorded minute, x, label)."""
    frame = pd.DataFrame(rows, columns=["key", "day", "minute", "x", "late"])
    return pd.DataFrame(
        {
            "id": [f"id{i}" for i in range(len(frame))],
            "key": frame["key"],
            "time": pd.to_datetime([datetime(2013, 3, day, tzinfo=UTC) for day in frame["day"]], utc=True),
            "at": [NOW + timedelta(minutes=minute) for minute in frame["minute"]],
            "x": frame["x"].astype(float),
            "c": "a",
            "prediction": 1,
            "score": 0.9,
            "late": frame["late"].astype("Float64"),
        }
    )


def trainable(log, lake=EMPTY, schema=SCHEMA, since=None):
    return trainable_rows(lake, log, schema, as_of=NOW, maturity=timedelta(days=1), since=since)


def test_labelled_rows_come_with_the_lakes_columns_and_no_prediction():
    found = trainable(served(("a", 1, 0, 0.5, 1.0)))
    assert list(found.new_rows.columns) == ["x", "c", "late", "when", "flight"]
    assert found.new_rows.iloc[0].to_dict() == {
        "x": 0.5,
        "c": "a",
        "late": 1.0,
        "when": pd.Timestamp("2013-03-01", tz=UTC),
        "flight": "a",
    }


def test_rows_too_young_for_their_label_stay_out_even_where_it_came():
    found = trainable(served(("a", 8, 0, 0.5, 1.0), ("b", 9, 0, 0.5, 1.0), ("c", 9, 0, 0.5, None)))
    assert list(found.new_rows["flight"]) == ["a"]
    assert found.immature == 2


def test_last_served_of_several_predictions_of_one_key_counts():
    found = trainable(served(("a", 1, 5, 0.7, 1.0), ("a", 1, 0, 0.5, 1.0)))
    assert list(found.new_rows["x"]) == [0.7]


def test_a_label_told_of_an_earlier_prediction_is_its_keys():
    found = trainable(served(("a", 1, 0, 0.5, 1.0), ("a", 1, 5, 0.7, None), ("b", 1, 0, 0.5, None)))
    assert found.new_rows[["flight", "x", "late"]].to_dict("records") == [
        {"flight": "a", "x": 0.7, "late": 1.0}
    ]
    assert (found.labelled, found.unlabelled) == (1, 1)


def test_of_the_labels_of_a_keys_predictions_the_last_ones_counts():
    found = trainable(served(("a", 1, 5, 0.7, 0.0), ("a", 1, 0, 0.5, 1.0), (None, 1, 6, 0.5, None)))
    assert list(found.new_rows["late"]) == [0.0]
    assert found.unlabelled == 1


def test_row_whose_label_the_lake_has_is_not_appended_again():
    lake = trainable(served(("a", 1, 0, 0.5, 0.0))).new_rows
    found = trainable(served(("a", 1, 0, 0.5, 1.0), ("b", 1, 0, 0.5, 1.0)), lake)
    assert list(found.new_rows["flight"]) == ["b"]
    assert (found.known, found.labelled) == (1, 1)
    assert trainable(served(("a", 1, 0, 0.5, 1.0)), EMPTY).labelled == 1  # the control


def test_row_that_waits_in_the_lake_for_its_label_gets_it():
    lake = trainable(served(("a", 1, 0, 0.5, 0.0))).new_rows.assign(late=None)
    assert trainable(served(("a", 1, 0, 0.5, 1.0)), lake).labelled == 1


def test_rows_that_never_got_a_label_are_counted():
    found = trainable(served(("a", 1, 0, 0.5, 1.0), ("b", 1, 0, 0.5, None), ("c", 2, 0, 0.5, None)))
    assert (found.labelled, found.unlabelled) == (1, 2)
    assert found.coverage == pytest.approx(1 / 3)


def test_where_nothing_was_served_there_is_no_coverage():
    found = trainable(served())
    assert (found.coverage, len(found.new_rows)) == (None, 0)


def test_coverage_is_that_of_the_rows_newer_than_what_chose_the_champion():
    old = [(f"old{i}", 1, 0, 0.5, 0.0) for i in range(20)]
    new = [(f"new{i}", 5, 0, 0.5, 1.0 if i == 0 else None) for i in range(10)]
    lake = trainable(served(*old)).new_rows
    found = trainable(served(*old, *new), lake, since=datetime(2013, 3, 5, tzinfo=UTC))
    assert (found.recent, found.recent_labelled, found.coverage) == (10, 1, 0.1)
    assert trainable(served(*old, *new), lake).coverage == 0.7  # the control
    assert trainable(served(*old, *new), lake, since=datetime(2013, 3, 6, tzinfo=UTC)).coverage is None


def test_a_recent_row_whose_label_the_lake_has_is_covered():
    lake = trainable(served(("a", 5, 0, 0.5, 0.0))).new_rows
    found = trainable(served(("a", 5, 0, 0.5, None)), lake, since=datetime(2013, 3, 5, tzinfo=UTC))
    assert (found.known, found.coverage) == (1, 1.0)


@pytest.mark.parametrize("none", [None, ""])
def test_predictions_without_a_key_are_rows_of_their_own(none):
    found = trainable(served((none, 1, 0, 0.5, 1.0), (none, 1, 1, 0.6, 1.0)))
    assert list(found.new_rows["flight"]) == ["id0", "id1"]


def test_schema_without_time_and_key_gives_features_and_target():
    schema = Schema(SCHEMA.features, "late", "binary")
    found = trainable(served(("a", 1, 0, 0.5, 1.0)), EMPTY, schema)
    assert list(found.new_rows.columns) == ["x", "c", "late"]


def test_key_column_may_be_called_as_one_of_the_logs():
    schema = Schema(SCHEMA.features, "late", "binary", time="at", key="id")
    row = trainable(
        served(("a", 1, 0, 0.5, 1.0)), EMPTY.rename(columns={"flight": "id"}), schema
    ).new_rows.iloc[0]
    assert (row["id"], row["at"]) == ("a", pd.Timestamp("2013-03-01", tz=UTC))


def start(**changed):
    return may_start(**{"as_of": NOW, "last_retrain_as_of": None, "policy": POLICY, **changed})


def test_confirmed_drift_starts_a_retraining():
    assert start() is None


def test_broken_columns_refuse_a_retraining_and_the_ways_out_are_named():
    refusal = start(broken={"temp": "the column is missing", "dewp": "'wet' is no number"})
    assert refusal.cause == "invalid"
    assert refusal.reason == (
        "temp is broken: the column is missing; dewp is broken: 'wet' is no number. "
        "Fix them at their source; or set monitor.accept: [temp, dewp] in params.yaml where that is the new "
        "normal; or leave them out of data.features; or run `mlops retrain`, which trains on them as served."
    )
    assert "Fix it at its source" in start(broken={"temp": "the column is missing"}).reason


def test_broken_columns_refuse_no_retraining_of_a_person():
    assert start(broken={"temp": "the column is missing"}, requested=True) is None


def test_untrainable_are_the_broken_features_that_are_not_accepted():
    verdicts = {"x": "invalid", "c": "invalid", "prediction": "invalid"}
    columns = tuple(ColumnVerdict(name, "", None, None, verdict, "odd") for name, verdict in verdicts.items())
    report = DriftReport(ServedWindow(NOW, NOW, 9), 9, columns, 0.0, drifted=False)
    assert untrainable(report, SCHEMA) == {"x": "odd", "c": "odd"}
    assert untrainable(report, SCHEMA, accept=["x"]) == {"c": "odd"}


def test_policy_never_is_kept():
    assert start(policy=RetrainParams(policy="never")).cause == "policy"


def test_cooldown_holds_until_its_end():
    assert start(last_retrain_as_of=NOW - timedelta(days=7)) is None
    refusal = start(last_retrain_as_of=NOW - timedelta(days=6, hours=23))
    assert refusal.cause == "cooldown"
    assert "2013-03-10 01:00" in refusal.reason


def test_a_follow_up_waits_for_no_cooldown_and_is_bound_by_all_else():
    soon = NOW - timedelta(days=1)
    assert start(last_retrain_as_of=soon).cause == "cooldown"
    assert start(last_retrain_as_of=soon, follow_up=True) is None
    assert start(follow_up=True, policy=RetrainParams(policy="never")).cause == "policy"
    assert start(follow_up=True, broken={"x": "missing"}).cause == "invalid"
