"""The streams that policies are judged on: what each says of itself is so."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import streams
from benchmarks.streams import generator, seasons
from benchmarks.streams.drifts import RECURRING_DAYS, SHIFT
from benchmarks.streams.faults import BURSTS
from benchmarks.streams.generator import AFTER, BEFORE, CHANGE_DAY, GROUPS, Truth
from benchmarks.streams.recorded import ELECTRICITY, electricity
from benchmarks.streams.stream import DAY, Stream, UnavailableError, as_stream, spans
from mlops.tables.conform import conform, in_order

pytestmark = pytest.mark.statistical

ROOT = Path(__file__).parents[3]
SEED = streams.SEEDS[0]
NUMBERS = ["x0", "x1", "x2", "x3"]


def digest(stream: Stream) -> str:
    """Return a digest of everything random in a stream."""
    content = hashlib.sha256(stream.rows.to_csv(index=False).encode())
    if stream.bayes_loss is not None:
        content.update(stream.bayes_loss.tobytes())
    return content.hexdigest()


def head(stream: Stream, rows: int = 2_000) -> Stream:
    """Return the first rows of a stream, for a digest that costs little."""
    loss = None if stream.bayes_loss is None else stream.bayes_loss[:rows]
    return Stream(**{**vars(stream), "rows": stream.rows[:rows], "bayes_loss": loss})


def day(stream: Stream) -> np.ndarray:
    return ((stream.rows["at"] - stream.rows["at"].iloc[0].floor("D")) // DAY).to_numpy()


def positive(stream: Stream) -> np.ndarray:
    return stream.rows[stream.target].to_numpy(dtype=float)


def logits(truth: Truth, rows: pd.DataFrame) -> np.ndarray:
    return truth.logits(rows[NUMBERS].to_numpy(), pd.Categorical(rows["group"], categories=GROUPS).codes)


def best(stream: Stream) -> np.ndarray:
    """Return the probabilities that the losses of the best predictions are of."""
    assert stream.bayes_loss is not None
    of_label = np.exp(-stream.bayes_loss)
    return np.where(positive(stream) == 1.0, of_label, 1.0 - of_label)


def misfit(truth: Truth, rows: pd.DataFrame) -> float:
    """Return by how much labels contradict a truth: their residual's largest moment with a feature."""
    x = rows[NUMBERS].to_numpy()
    residual = rows["outcome"].to_numpy(dtype=float) - generator.sigmoid(logits(truth, rows))
    return float(np.abs(residual @ np.column_stack([np.ones(len(x)), x]) / len(x)).max())


def regimes(stream: Stream, *days: float) -> list[pd.DataFrame]:
    """Return the rows between these days."""
    place = np.searchsorted(days, day(stream), side="right")
    return [stream.rows[place == regime] for regime in range(len(days) + 1)]


def is_well_formed(stream: Stream) -> None:
    """Make sure that a stream's rows are what the project's schema says, and its settings consistent."""
    rows = stream.rows
    some = rows.iloc[::20]
    pd.testing.assert_frame_equal(conform(some, stream.schema), some)
    pd.testing.assert_frame_equal(in_order(rows, stream.schema), rows)
    assert str(rows["at"].dt.tz) == "UTC"
    assert rows["key"].is_unique
    assert rows[stream.target].notna().all()
    assert stream.spans.gap == stream.label_delay
    assert stream.spans.holdout == stream.step
    assert stream.spans.window >= 3 * stream.step
    assert stream.first_step + 4 * stream.step < rows["at"].iloc[-1]
    for change in stream.changes:
        assert rows["at"].iloc[0].floor("D") <= change.at <= change.until <= rows["at"].iloc[-1].ceil("D")


@pytest.fixture(scope="module", params=streams.MADE)
def made(request: pytest.FixtureRequest) -> Stream:
    return streams.MADE[request.param](SEED)


def test_a_made_stream_is_well_formed(made: Stream) -> None:
    is_well_formed(made)
    assert streams.MADE[made.name]
    days = (made.rows["at"].iloc[-1] - made.rows["at"].iloc[0]) / timedelta(days=1)
    assert 12 * 30 <= days <= 36 * 31


def test_a_made_stream_is_made_alike_twice(made: Stream) -> None:
    assert digest(head(made)) == digest(head(streams.MADE[made.name](SEED)))


def test_streams_and_seeds_differ() -> None:
    made = [streams.MADE[name](seed) for name in ("none", "abrupt", "label_only") for seed in streams.SEEDS]
    assert len({digest(head(stream)) for stream in made}) == len(made)


def test_a_process_that_hashes_otherwise_makes_the_same_bytes() -> None:
    program = (
        "import sys; sys.path[:0] = ['benchmarks']\n"
        "from streams import MADE\n"
        f"print(MADE['new_category']({SEED}).rows.iloc[-2000:].to_csv(index=False))"
    )
    other = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    table = streams.MADE["new_category"](SEED).rows.iloc[-2000:].to_csv(index=False)
    assert other.stdout == table + "\n"


def test_the_best_prediction_is_calibrated(made: Stream) -> None:
    assert made.bayes_loss is not None
    assert len(made.bayes_loss) == len(made.rows)
    if made.task != "binary":
        return
    labels, probability = positive(made), best(made)
    bins = np.array_split(np.argsort(probability), 10)
    apart = [abs(float(labels[rows].mean() - probability[rows].mean())) for rows in bins]
    # Effects of days that resemble each other average out slowly.
    assert max(apart) < (0.04 if made.name.startswith("day_effects") else 0.02)


def test_the_losses_of_the_best_predictions_are_those_of_the_process() -> None:
    none, number, labels = (
        streams.MADE[name](SEED) for name in ("none", "abrupt_regression", "abrupt_multiclass")
    )
    np.testing.assert_allclose(best(none), generator.sigmoid(logits(BEFORE, none.rows)))
    assert number.bayes_loss is not None
    assert number.bayes_loss.mean() == pytest.approx(16.0, rel=0.03)  # noise of standard deviation 4
    assert labels.bayes_loss is not None
    assert 0.5 < labels.bayes_loss.mean() < np.log(3.0)
    assert set(labels.rows[labels.target]) == {"kept", "returned", "exchanged"}


def test_the_best_prediction_knows_no_more_than_the_columns_show() -> None:
    days, missing, gradual, sentinels = (
        streams.MADE[name](SEED) for name in ("day_effects_6", "missing_bursts", "gradual", "sentinels")
    )
    alike = generator.marginal(logits(BEFORE, days.rows), seasons.DAY_DEVIATION)
    np.testing.assert_allclose(best(days), alike)
    for stream, hidden in (
        (missing, missing.rows["x0"].isna()),
        (sentinels, sentinels.rows["x0"].abs() > 10.0),
    ):
        rows = stream.rows[hidden].assign(x0=0.0)
        slope = np.abs(BEFORE.weights[0] + BEFORE.interaction * rows["x1"].to_numpy())
        np.testing.assert_allclose(best(stream)[hidden], generator.marginal(logits(BEFORE, rows), slope))
    midway = (day(gradual) > 280) & (day(gradual) < 320)
    of_regimes = [generator.sigmoid(logits(truth, gradual.rows[midway])) for truth in (BEFORE, AFTER)]
    assert (best(gradual)[midway] > np.minimum(*of_regimes)).all()
    assert (best(gradual)[midway] < np.maximum(*of_regimes)).all()


def test_the_mean_over_a_normal_effect_is_that_of_draws() -> None:
    logits, deviations = np.array([-2.0, 0.0, 1.5]), np.array([0.5, 1.0, 2.0])
    draws = np.random.default_rng(0).normal(size=400_000)
    drawn = [generator.sigmoid(z + s * draws).mean() for z, s in zip(logits, deviations, strict=True)]
    np.testing.assert_allclose(generator.marginal(logits, deviations), drawn, atol=0.003)


def test_nothing_changes_in_none() -> None:
    stream = streams.MADE["none"](SEED)
    assert stream.changes == ()
    old, new = regimes(stream, CHANGE_DAY)
    assert misfit(BEFORE, old) < 0.01 > misfit(BEFORE, new)
    assert (old[NUMBERS].mean() - new[NUMBERS].mean()).abs().max() < 0.03


@pytest.mark.parametrize("name", ["abrupt", "labels_late_1", "labels_late_30", "labels_late_90"])
def test_features_and_concept_change_at_once(name: str) -> None:
    stream = streams.MADE[name](SEED)
    (change,) = stream.changes
    assert (change.kind, change.at) == ("both", change.until)
    old = stream.rows[stream.rows["at"] < change.at]
    new = stream.rows[stream.rows["at"] >= change.at]
    assert misfit(BEFORE, old) < 0.01 > misfit(AFTER, new)
    assert misfit(BEFORE, new) > 0.1 < misfit(AFTER, old)
    np.testing.assert_allclose(new[NUMBERS].mean() - old[NUMBERS].mean(), SHIFT, atol=0.03)


@pytest.mark.parametrize("days", [1, 30, 90])
def test_labels_come_late(days: int) -> None:
    stream = streams.MADE[f"labels_late_{days}"](SEED)
    assert stream.label_delay == stream.spans.gap == timedelta(days=days)


def test_a_gradual_change_takes_its_time() -> None:
    stream = streams.MADE["gradual"](SEED)
    (change,) = stream.changes
    assert change.until - change.at == timedelta(days=120)
    times = stream.rows["at"]
    within = stream.rows[(times >= change.at) & (times < change.until)]
    level = [part.mean() for part in np.array_split(within["x0"].to_numpy(), 4)]
    np.testing.assert_allclose(level, [0.125, 0.375, 0.625, 0.875], atol=0.05)
    assert misfit(BEFORE, stream.rows[times < change.at]) < 0.01
    assert misfit(AFTER, stream.rows[times >= change.until]) < 0.01


def test_regimes_recur() -> None:
    stream = streams.MADE["recurring"](SEED)
    assert len(stream.changes) == len(RECURRING_DAYS)
    for place, rows in enumerate(regimes(stream, *RECURRING_DAYS)):
        assert misfit(AFTER if place % 2 else BEFORE, rows) < 0.015


def test_only_the_features_change() -> None:
    stream = streams.MADE["covariate_only"](SEED)
    assert [change.kind for change in stream.changes] == ["covariates"]
    old, new = regimes(stream, CHANGE_DAY)
    assert new["x0"].mean() - old["x0"].mean() > 1.4
    assert misfit(BEFORE, old) < 0.01 > misfit(BEFORE, new)


@pytest.mark.parametrize("name", ["label_only", "rare_positives_abrupt"])
def test_only_the_concept_changes(name: str) -> None:
    stream = streams.MADE[name](SEED)
    assert [change.kind for change in stream.changes] == ["concept"]
    old, new = regimes(stream, CHANGE_DAY)
    assert (old[NUMBERS].mean() - new[NUMBERS].mean()).abs().max() < 0.03
    together = [np.cov(rows["x3"], rows["outcome"].astype(float))[0, 1] for rows in (old, new)]
    assert abs(together[0]) < 0.25 * together[1]


@pytest.mark.parametrize("name", ["rare_positives", "rare_positives_abrupt"])
def test_positives_are_rare_throughout(name: str) -> None:
    stream = streams.MADE[name](SEED)
    for rows in regimes(stream, CHANGE_DAY):
        assert 0.008 < rows["outcome"].astype(float).mean() < 0.012


def test_a_new_category_becomes_the_majority() -> None:
    old, new = regimes(streams.MADE["new_category"](SEED), CHANGE_DAY)
    assert set(old["group"]) == set(GROUPS)
    share = new["group"].value_counts(normalize=True)
    assert share.index[0] == "west"
    assert share["west"] == pytest.approx(0.6, abs=0.01)


def test_weekends_differ_and_weeks_do_not() -> None:
    stream = streams.MADE["weekly_season"](SEED)
    rows = stream.rows.assign(outcome=positive(stream))
    assert (rows["weekday"] == rows["at"].dt.weekday).all()
    halves = rows.groupby([rows["at"] < rows["at"].median(), "weekday"])["outcome"].mean().unstack("weekday")
    assert (halves.loc[True] - halves.loc[False]).abs().max() < 0.04
    assert halves.loc[:, 5:].min().min() - halves.loc[:, :4].max().max() > 0.15


def test_each_year_has_the_same_seasons_and_the_history_two_of_them() -> None:
    stream = streams.MADE["yearly_season"](SEED)
    assert stream.spans.history == timedelta(days=730)
    months = stream.rows.groupby([stream.rows["at"].dt.year, stream.rows["at"].dt.month])[
        "temperature"
    ].mean()
    by_year = months.unstack(0).iloc[:, :3]
    assert by_year.sub(by_year.mean(axis=1), axis=0).abs().to_numpy().max() < 4.0
    assert by_year.loc[7].min() - by_year.loc[1].max() > 15.0


@pytest.mark.parametrize("factor", [2, 10])
def test_a_level_grows(factor: int) -> None:
    stream = streams.MADE[f"growth_{factor}"](SEED)
    days = day(stream)
    first, last = (stream.rows["x3"][mask].median() for mask in (days < 5, days >= days[-1] - 4))
    assert last / first == pytest.approx(factor, rel=0.1)
    labels = positive(stream)
    assert abs(labels[days < 180].mean() - labels[days >= 360].mean()) < 0.03


def correlation_of_days(stream: Stream) -> float:
    """Return the autocorrelation of the days' effects at lag 1, as labels and best predictions show it."""
    probability = best(stream)
    excess, noise = positive(stream) - probability, probability * (1.0 - probability)
    by_day = pd.DataFrame({"excess": excess, "noise": noise}).groupby(day(stream))
    effect = by_day["excess"].mean().to_numpy()
    effect = effect - effect.mean()
    sampling = (by_day["noise"].mean() / by_day.size()).mean()  # what a day's own rows add to its variance
    return float((effect[1:] * effect[:-1]).mean() / ((effect**2).mean() - sampling))


@pytest.mark.parametrize("tenths", [0, 3, 6, 8])
def test_neighbouring_days_resemble_each_other(tenths: int) -> None:
    made = [streams.MADE[f"day_effects_{tenths}"](seed) for seed in streams.SEEDS]
    assert np.mean([correlation_of_days(stream) for stream in made]) == pytest.approx(tenths / 10, abs=0.08)


def test_a_series_has_the_autocorrelation_and_the_deviation_that_it_is_made_with() -> None:
    series = seasons.autoregressive(np.random.default_rng(0), 100_000, 0.6, 2.0)
    assert np.corrcoef(series[1:], series[:-1])[0, 1] == pytest.approx(0.6, abs=0.01)
    assert series.std() == pytest.approx(2.0, rel=0.02)


def test_a_unit_changes_from_one_day_to_the_next() -> None:
    stream = streams.MADE["unit_change"](SEED)
    assert [change.kind for change in stream.changes] == ["unit"]
    old, new = regimes(stream, CHANGE_DAY)
    assert old["x0"].max() < 25.0 < new["x0"].min()
    assert new["x0"].median() / old["x0"].median() == pytest.approx(100.0, rel=0.01)
    for rows, unit in ((old, 1.0), (new, 100.0)):
        assert misfit(BEFORE, rows.assign(x0=(rows["x0"] / unit - 10.0) / 2.0)) < 0.01


@pytest.mark.parametrize("name", ["sentinels", "sentinels_abrupt"])
def test_a_few_values_are_sentinels_in_both_halves(name: str) -> None:
    for rows in regimes(streams.MADE[name](SEED), CHANGE_DAY):
        strange = rows["x0"].abs() > 10.0
        assert set(rows["x0"][strange]) == {-999.0, 999.0}
        assert strange.mean() == pytest.approx(0.001, rel=0.4)


def test_tails_are_heavy() -> None:
    stream = streams.MADE["heavy_tails"](SEED)
    far = stream.rows[NUMBERS].abs() > 10.0
    assert far.mean().min() > 0.005  # of a normal distribution: none
    assert stream.bayes_loss is not None
    assert stream.bayes_loss.max() > 1_000 * np.median(stream.bayes_loss)


def test_values_are_missing_in_the_bursts_alone() -> None:
    stream = streams.MADE["missing_bursts"](SEED)
    share = stream.rows["x0"].isna().groupby(day(stream)).mean()
    bursts = [first + offset for first, length in BURSTS for offset in range(length)]
    assert share[bursts].between(0.5, 0.9).all()
    assert share.drop(bursts).eq(0.0).all()


def test_the_settings_come_from_times_and_delay_alone() -> None:
    times = pd.Series(pd.date_range("2024-01-01", "2025-06-30", freq="10min", tz="UTC"))
    assert spans(times, DAY) == spans(times, DAY)
    assert spans(times, DAY).step == timedelta(days=30)  # a week would make 78 steps
    assert spans(times[::20], DAY).step == timedelta(days=90)  # 30 days would hold 216 rows
    assert spans(times, 30 * DAY).gap == timedelta(days=30)
    assert spans(times, DAY, 365 * DAY).window == timedelta(days=334)
    assert spans(times[::5000], DAY).step == timedelta(days=365)


def test_a_stream_of_somebody_else_is_put_in_order_and_refused_with_a_key_twice() -> None:
    times = pd.date_range("2024-01-01", "2025-06-30", freq="1h", tz="UTC")[::-1]
    frame = pd.DataFrame({"at": times, "key": range(len(times)), "size": range(len(times)), "ripe": True})
    facts = {"features": {"size": "number"}, "target": "ripe", "task": "binary", "description": "Apples."}
    stream = as_stream("apples", frame, bayes_loss=np.arange(len(frame), dtype=float), **facts)
    is_well_formed(stream)
    assert stream.bayes_loss is not None
    assert (stream.bayes_loss == stream.rows["size"]).all()
    with pytest.raises(ValueError, match="apples"):
        as_stream("apples", frame.assign(key=1), **facts)
    with pytest.raises(ValueError, match="label"):
        as_stream("apples", frame.assign(ripe=None), **facts)


@pytest.mark.parametrize("name", [name for name in streams.RECORDED if name != "electricity"])
def test_a_recorded_stream_is_well_formed(name: str) -> None:
    try:
        stream = streams.RECORDED[name](SEED)
    except UnavailableError as exc:
        pytest.skip(str(exc))
    assert stream.name == name
    assert len(stream.rows) > 10_000
    is_well_formed(stream)


@pytest.mark.parametrize(
    ("name", "value", "other", "after"),
    [
        ("trains", "entries", "before_14", timedelta(days=14)),
        ("births", "births", "before_7", timedelta(days=7)),
        ("glucose", "glucose", "before_60", timedelta(minutes=60)),
    ],
)
def test_a_lag_is_the_value_of_so_long_before(name: str, value: str, other: str, after: timedelta) -> None:
    try:
        stream = streams.RECORDED[name](SEED)
    except UnavailableError as exc:
        pytest.skip(str(exc))
    by = [column for column, kind in stream.features.items() if kind == "category"]
    old = stream.rows[["at", *by, value]].assign(at=stream.rows["at"] + after)
    pairs = stream.rows[["at", *by, other]].merge(old, on=["at", *by], suffixes=("", "_then"))
    pairs = pairs.dropna(subset=[other])
    assert len(pairs) > 10_000
    assert (pairs[other] == pairs[value]).mean() > 0.99


def test_electricity_is_read_from_the_file_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = pd.date_range("1996-05-07", periods=48 * 400, freq="30min", tz="UTC")
    numbers = ("period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer")
    frame = pd.DataFrame({"slot_id": [f"s{n}" for n in range(len(times))], "at": times.strftime("%FT%TZ")})
    frame = frame.assign(**dict.fromkeys(numbers, 0.5), direction="UP")
    file = tmp_path / "prices.csv.gz"
    frame.to_csv(file, index=False)
    is_well_formed(electricity(SEED, file))
    monkeypatch.setenv(ELECTRICITY, str(file))
    assert len(streams.RECORDED["electricity"](SEED).rows) == len(frame)
    monkeypatch.delenv(ELECTRICITY)
    with pytest.raises(UnavailableError, match=ELECTRICITY):
        streams.RECORDED["electricity"](SEED)


def test_each_stream_of_the_register_is_described_in_the_readme() -> None:
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    missing = [name for name in streams.STREAMS if f"| `{name}` |" not in readme]
    assert missing == []
