from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.config.consistency import RowRate, find
from mlops.config.params import Params
from mlops.config.project_folder import load_params
from mlops.evaluation.fresh_rows import freshness
from mlops.moments import after
from mlops.scaffold.candidates import untried
from mlops.scaffold.model_choice import ModelChoice
from mlops.scaffold.profile import Feature, Profile
from mlops.scaffold.proposal import Proposal
from mlops.scaffold.windows import Span
from mlops.schema import Schema
from mlops.training.plan import plan

END = datetime(2026, 1, 1, tzinfo=UTC)
PROFILE = Profile(
    target="ripe",
    task="binary",
    time="at",
    key=None,
    features=[Feature("size", "number", "0 to 1")],
    left_out={},
    classes=[False, True],
    unlabelled=0.0,
)
TABLE = Schema({"size": "number"}, "ripe", "binary", "at", None)


def proposed(folder: Path, rows: int, span: Span | None) -> tuple[Proposal, Params]:
    """Return a proposal, and its params.yaml as it is read."""
    profile = PROFILE if span else Profile(**{**vars(PROFILE), "time": None})
    model = ModelChoice(untried(rows))
    proposal = Proposal(name="plums", profile=profile, model=model, source="plums.csv", rows=rows, span=span)
    file = folder / "params.yaml"
    file.write_text(proposal.files()["params.yaml"], "utf-8")
    return proposal, load_params(file)


def lying(span: timedelta, newest: float, step: timedelta | None = None) -> Span:
    """Return how rows lie whose newest fifth is in this share of the time."""
    return Span(END - span, END, END - span * newest, None, step)


SPANS = st.timedeltas(timedelta(minutes=10), timedelta(days=20_000))


@settings(max_examples=50, deadline=None)
@given(SPANS, st.integers(1, 10**8), st.floats(0, 1), st.none() | st.floats(0, 0.5))
def test_proposed_windows_are_consistent_whatever_the_table(
    tmp_path_factory: pytest.TempPathFactory, span: timedelta, rows: int, newest: float, step: float | None
) -> None:
    lie = lying(span, newest, None if step is None else span * step)
    proposal, params = proposed(tmp_path_factory.mktemp("project"), rows, lie)
    holdout = proposal.windows.holdout
    held_out = rows_within(span, rows, newest, holdout)
    assert find(params) == ()
    assert find(params, RowRate(held_out, holdout)) == ()
    assert params.train.window >= span
    assert params.train.holdout < span


def rows_within(span: timedelta, rows: int, newest: float, holdout: timedelta) -> int:
    """Return how many of the rows are held out, where they come evenly before and in the newest fifth."""
    recent = span * newest
    if holdout < recent:
        return int(rows * 0.2 * (holdout / recent))
    return int(rows * (0.2 + 0.8 * ((holdout - recent) / (span - recent) if span > recent else 0)))


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 10**8))
def test_they_are_without_a_time_too(tmp_path_factory: pytest.TempPathFactory, rows: int) -> None:
    _, params = proposed(tmp_path_factory.mktemp("project"), rows, None)
    assert find(params, RowRate(rows)) == ()


def is_judged(params: Params, times: pd.Series[Any], more: pd.Series[Any]) -> bool:
    """Whether a retraining one cooldown after a promotion finds the rows that the gate needs.

    Parameters
    ----------
    times, more
        Of the rows of the first training, and of those that came since.
    """
    newest = times.max().to_pydatetime()
    until = newest + params.retrain.cooldown
    known = pd.concat([times, more[more <= until]])
    rows = pd.DataFrame({"at": known, "size": 0.0, "ripe": np.arange(len(known)) % 2 == 0})
    planned = plan(rows, TABLE, params.train)
    assert int((more <= until).sum()) >= params.retrain.min_rows
    gap = params.train.gap
    return freshness(planned.scored, TABLE, params.gate, fitted_until=after(newest), gap=gap).enough


def evenly(begin: datetime, end: datetime, rows: int) -> pd.Series[Any]:
    """Return times up to the end, the begin left out."""
    share = np.arange(1, rows + 1) / rows
    return pd.Series(pd.Timestamp(begin) + share * (end - begin)).dt.floor("us")


@settings(max_examples=40, deadline=None)
@given(SPANS, st.integers(3, 600).map(lambda fifth: 5 * fifth), st.floats(0.02, 0.6))
def test_a_retraining_one_cooldown_after_a_promotion_is_judged(
    tmp_path_factory: pytest.TempPathFactory, span: timedelta, rows: int, newest: float
) -> None:
    lie = lying(span, newest)
    _, params = proposed(tmp_path_factory.mktemp("project"), rows, lie)
    late = rows // 5
    first = pd.Series([pd.Timestamp(lie.begin)])
    times = pd.concat([first, evenly(lie.begin, lie.recent, rows - late), evenly(lie.recent, END, late)])
    spacing = (END - lie.recent) / late
    count = int(params.retrain.cooldown / spacing) + 2
    assert is_judged(params, times, evenly(END, END + count * spacing, count))


CALENDARS = {
    "months": pd.date_range("2022-01-01", "2025-12-01", freq="MS", tz="UTC"),
    "half a year of months": pd.date_range("2025-07-01", "2025-12-01", freq="MS", tz="UTC"),
    "weeks": pd.date_range("2024-01-01", "2025-12-31", freq="W", tz="UTC"),
    "working days": pd.bdate_range("2025-01-01", "2025-12-31", tz="UTC"),
    "hours": pd.date_range("2025-12-01", "2025-12-31", freq="h", tz="UTC"),
    "minutes": pd.date_range("2025-12-31", periods=60, freq="min", tz="UTC"),
}


@pytest.mark.parametrize("a_time", [3, 200])
@pytest.mark.parametrize("calendar", CALENDARS.values(), ids=CALENDARS)
def test_it_is_where_rows_come_in_batches(tmp_path: Path, calendar: pd.DatetimeIndex, a_time: int) -> None:
    times = pd.Series(calendar.repeat(a_time)).rename("at")
    span = Span.of(times, calendar[0].to_pydatetime(), calendar[-1].to_pydatetime())
    proposal, params = proposed(tmp_path, len(times), span)
    until = calendar[-1] + params.retrain.cooldown
    more = pd.date_range(calendar[-1], until, freq=calendar.freq, inclusive="right")
    assert find(params) == ()
    assert is_judged(params, times, pd.Series(more.repeat(a_time)))
    few = calendar.freq == "MS" and len(calendar) < 12
    assert ("min_blocks:" in proposal.files()["params.yaml"]) is (params.gate.min_blocks != 5) is few
