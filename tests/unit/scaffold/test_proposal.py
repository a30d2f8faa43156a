from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import __version__
from mlops.config.project_folder import load_params
from mlops.errors import UsageError
from mlops.files import yaml
from mlops.scaffold.candidates import untried
from mlops.scaffold.model_choice import ModelChoice, Trial
from mlops.scaffold.profile import Feature, Profile
from mlops.scaffold.proposal import Proposal, slug
from mlops.scaffold.windows import Span, Windows

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
SPAN = Span(BEGIN, BEGIN + timedelta(days=300), BEGIN + timedelta(days=240))

_TRIALS = [
    Trial({"algorithm": "linear", "C": 0.1}, 0.40123),
    Trial(
        {
            "algorithm": "boosting", "learning_rate": 0.1, "max_leaf_nodes": 8, "max_iter": 40,
            "early_stopping": False,
        },
        0.43211,
    ),
]  # fmt: skip
LINEAR = ModelChoice(_TRIALS[0].params, _TRIALS, 0.5, "log loss", 800, 5)
BOOSTING = ModelChoice(_TRIALS[1].params, _TRIALS[::-1], 0.5, "log loss", 800, 5)


def proposal(**changes: object) -> Proposal:
    profile = Profile(
        target="churned",
        task="binary",
        time="signed_up_at",
        key="customer_id",
        features=[
            Feature("age", "number", "18 to 90, 10.0% missing"),
            Feature('größe "x": #1', "category", "3 values: a, b, c"),
            Feature("no", "boolean", "true or false"),
        ],
        left_out={"fax": "it holds no value"},
        classes=[False, True],
        unlabelled=0.25,
        suspects=["no"],
    )
    facts = {"name": "churn", "profile": profile, "source": "customers.csv", "rows": 4000, "model": LINEAR}
    return Proposal(**{**facts, "span": SPAN, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("timeless", [False, True])
def test_the_proposed_params_are_valid_whatever_columns_are_called(tmp_path: Path, timeless: bool) -> None:
    it = proposal(profile=replace(proposal().profile, time=None), span=None) if timeless else proposal()
    file = tmp_path / "params.yaml"
    file.write_text(it.files()["params.yaml"], "utf-8")
    params = load_params(file)
    assert dict(params.data.features) == {"age": "number", 'größe "x": #1': "category", "no": "boolean"}
    assert (params.data.target, params.data.key, params.model.task) == ("churned", "customer_id", "binary")
    text = file.read_text("utf-8")
    assert "18 to 90, 10.0% missing" in text
    assert "SUSPECT" in next(line for line in text.splitlines() if "no:" in line)
    assert "fax: it holds no value" in text
    assert [line for line in text.splitlines() if ": " in line and "# " not in line] == []


@pytest.mark.parametrize(
    "choice", [LINEAR, BOOSTING, ModelChoice(untried(500), notes=["4 rows are too few"])]
)
def test_the_chosen_parameters_stand_beside_what_else_was_tried(tmp_path: Path, choice: ModelChoice) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(proposal(model=choice).files()["params.yaml"], "utf-8")
    assert load_params(file).model.params == choice.params
    text = file.read_text("utf-8")
    assert f"params:  # {choice.reason}" in text
    for trial in choice.trials[1:]:
        assert f"    # {trial.loss:.4g} by {trial}\n" in text


@pytest.mark.parametrize("choice", [LINEAR, BOOSTING])
def test_the_search_in_the_comment_is_one_once_it_is_no_comment(tmp_path: Path, choice: ModelChoice) -> None:
    file = tmp_path / "params.yaml"
    text = proposal(model=choice).files()["params.yaml"]
    before, search = text.split("  # search:")
    opened = search.replace("\n  #", "\n  ")
    file.write_text(f"{before}  search:{opened}", "utf-8")
    model = load_params(file).model
    assert model.search is not None
    assert set(model.search.space) <= set(model.params)


def test_a_value_with_a_line_break_breaks_no_comment(tmp_path: Path) -> None:
    it = proposal()
    told = replace(
        it.profile,
        features=[Feature("plan", "category", "2 values: a\nb, c")],
        left_out={"fa\nx": "it is a\nb in every row"},
        classes=["yes\n- really", "no"],
    )
    file = tmp_path / "params.yaml"
    file.write_text(replace(it, profile=told, source="a\nb.csv").files()["params.yaml"], "utf-8")
    assert dict(load_params(file).data.features) == {"plan": "category"}


def test_every_file_is_there_and_ends_with_a_line() -> None:
    files = proposal().files()
    assert set(files) == {"params.yaml", "README.md", "Makefile", "tests/test_project.py"}
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in files.values())
    compile(files["tests/test_project.py"], "test_project.py", "exec")
    assert yaml.parse(files["params.yaml"], file="params.yaml")["data"]["name"] == "churn"
    assert f"the wheel of mlops-loop {__version__}," in files["README.md"]


@given(
    st.timedeltas(min_value=timedelta(minutes=10), max_value=timedelta(days=20_000)),
    st.integers(1, 10**8),
    st.floats(0, 1),
)
def test_windows_cover_the_table_and_fit_one_another(span: timedelta, rows: int, recent: float) -> None:
    windows = Windows(span, rows, span * recent)
    assert windows.train >= span
    assert windows.holdout < span
    assert windows.holdout >= 2 * windows.unit
    assert windows.monitor >= windows.holdout / 2
    assert windows.gate_rows >= min(20, rows // 13)  # half of what is held out, nearly a fifth
    assert 30 <= windows.monitor_rows <= 500


def lying(*stretches: tuple[str, str, int]) -> pd.Series[Any]:
    """Times of rows, so many in each stretch."""
    parts = [pd.Series(pd.date_range(begin, end, rows, tz="UTC")) for begin, end, rows in stretches]
    return pd.concat(parts, ignore_index=True).rename("at")


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (
            lying(("1970-01-01", "1970-01-01", 1), ("2023-01-01", "2024-12-31", 4999)),
            "98% of the rows lie between",
        ),
        (lying(("2023-01-01", "2023-12-31", 500), ("2024-01-01", "2024-03-31", 4500)), ""),
        (lying(("2024-01-01", "2024-12-31", 5000)), ""),
        (
            lying(("1999-01-01", "1999-01-01", 1), ("2024-01-01 00:00", "2024-01-02 10:00", 5000)),
            "check the other rows",
        ),
    ],
)
def test_a_fifth_of_the_rows_is_held_out_however_they_lie(times: pd.Series[Any], told: str) -> None:
    span = Span.of(times, times.min().to_pydatetime(), times.max().to_pydatetime())
    it = proposal(span=span, rows=len(times), profile=replace(proposal().profile, unlabelled=0.0))
    windows = it.windows
    held = int((times >= times.max() - windows.holdout).sum())
    fitted = times < times.max() - windows.holdout - windows.gap
    assert held == pytest.approx(0.2 * len(times), rel=0.15)
    assert (
        fitted & (times >= times.max() - windows.holdout - windows.gap - windows.train)
    ).sum() > 0.7 * len(times)
    assert told in span.warning
    assert bool(span.warning) == bool(told)


@pytest.mark.parametrize("minutes", [0, 5])
def test_rows_of_one_moment_are_no_table_with_a_time(minutes: int) -> None:
    times = lying(("2024-01-01 10:00", f"2024-01-01 10:0{minutes}", 50))
    with pytest.raises(UsageError, match=r"too short to hold out the newest rows.*--exclude at"):
        Span.of(times, times.min().to_pydatetime(), times.max().to_pydatetime())


def test_a_table_without_time_is_split_by_a_share() -> None:
    windows = Windows(None, 1000)
    assert windows.holdout / (windows.train + windows.holdout) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("text", "name"), [("Churn 2024", "churn-2024"), ("2024_sales", "sales"), ("--x", "x"), ("Ünï", "n")]
)
def test_a_name_is_made_of_what_is_given(text: str, name: str) -> None:
    assert slug(text) == name


def test_no_name_is_refused() -> None:
    with pytest.raises(UsageError, match="--name"):
        slug("2024")
