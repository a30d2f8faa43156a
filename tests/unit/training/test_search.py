from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from mlops.config.params import ModelParams
from mlops.config.search_params import AxisParams, SearchParams
from mlops.errors import StageError, TooFewRowsError
from mlops.files import yaml
from mlops.model.trials import Journal, Trial
from mlops.schema import Schema
from mlops.training.cross_validation import folds
from mlops.training.fit import fit, load_builder
from mlops.training.search import Fold, search

ROOT = Path(__file__).parents[3]
SCHEMA = Schema({"x": "number"}, "y", "binary", time="at")
SPACE = {"p": AxisParams(low=0.0, high=1.0)}


class FixedSampler:
    """Suggests fixed values in order, and prunes a trial whose last loss is above `enough`."""

    def __init__(self, *suggestions: float, enough: float = np.inf) -> None:
        self.suggestions = suggestions
        self.enough = enough
        self.trials: list[Trial] = []

    def suggest(self) -> dict[str, Any]:
        return {"p": self.suggestions[len(self.trials)]}

    def should_prune(self, losses: Sequence[float]) -> bool:
        return losses[-1] > self.enough

    def add(self, trial: Trial) -> None:
        self.trials.append(trial)


class ConstantClassifier(DummyClassifier):
    """Answers everything with one probability; some it refuses."""

    refuses: Callable[[float], bool] = staticmethod(lambda p: p < 0)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def fit(self, X: Any, y: Any) -> ConstantClassifier:
        if self.refuses(self.p):
            raise ValueError(f"{self.p} is no probability")
        super().fit(X, y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.tile([1 - self.p, self.p], (len(X), 1))


@pytest.fixture
def fitted() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def parts() -> list[Fold]:
    at = pd.date_range("2013-01-01", periods=80, freq="D", tz="UTC")
    rows = pd.DataFrame({"x": 0.0, "y": np.tile([True, True, True, False], 20).astype(object), "at": at})
    return folds(rows, SCHEMA, count=3, gap=timedelta(0))


@pytest.fixture
def run(parts: list[Fold], fitted: list[dict[str, Any]], tmp_path: Path) -> Any:
    def build(params: dict[str, Any], schema: Schema) -> ConstantClassifier:
        fitted.append(params)
        return ConstantClassifier(params["p"])

    def run(sampler: FixedSampler, *, clock: Iterator[float] | None = None, **policy: Any) -> list[Trial]:
        ticks = clock or iter(range(1000))
        return search(
            parts,
            SCHEMA,
            build,
            {"kept": 1, "p": 9},
            SearchParams(space=SPACE, **policy),
            seed=0,
            sampler=sampler,
            journal=Journal(tmp_path / "journal.jsonl"),
            clock=lambda: next(ticks),
        )

    return run


def test_a_trial_is_the_mean_loss_of_its_folds_with_its_parameters(run: Any, fitted: list[Any]) -> None:
    one, two = run(FixedSampler(0.5, 0.75), trials=2)

    assert one.losses == pytest.approx([np.log(2)] * 3)
    assert two.loss == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))
    assert fitted == [{"kept": 1, "p": 0.5}] * 3 + [{"kept": 1, "p": 0.75}] * 3


def test_what_is_hopeless_is_pruned_before_its_last_fold(run: Any, fitted: list[Any]) -> None:
    good, bad = run(FixedSampler(0.75, 0.1, enough=1.0), trials=2)

    assert (good.state, bad.state) == ("complete", "pruned")
    assert len(bad.losses) == 1
    assert len(fitted) == 4


def test_one_that_fails_is_recorded_and_the_search_goes_on(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "mlops"):
        failed, complete = run(FixedSampler(-1.0, 0.75), trials=2)

    assert (failed.state, failed.losses, failed.loss) == ("failed", (), None)
    assert failed.error.endswith("ValueError: -1.0 is no probability")
    assert complete.state == "complete"
    assert caplog.messages == [
        f"trial 1/2: failed: {failed.error}",
        "trial 2/2: log_loss 0.5623 (best 0.5623, trial 2)",
    ]


def test_where_all_fail_the_first_is_quoted(run: Any) -> None:
    with pytest.raises(StageError, match=r"All 2 trials of the search failed; .* -1\.0 is no probability"):
        run(FixedSampler(-1.0, -2.0), trials=2)


def test_rows_that_cannot_be_learnt_from_are_no_fault_of_a_trial(
    parts: list[Fold], run: Any, fitted: list[Any]
) -> None:
    parts[1][0]["y"] = True
    with pytest.raises(
        TooFewRowsError, match=r"^Fold 2 of 3 of the search: .* have 1 distinct labels"
    ) as refused:
        run(FixedSampler(0.5, 0.75), trials=2)
    assert "Lower model.search.folds" in refused.value.remedy


def test_the_same_again_is_not_fitted_again(run: Any, fitted: list[Any]) -> None:
    one, other, again = run(FixedSampler(0.5, 0.75, 0.5), trials=3)

    assert len(fitted) == 6
    assert (again.number, again.losses) == (3, one.losses)
    assert other.losses != one.losses


def test_a_killed_search_goes_on_after_the_trials_that_ended(run: Any, fitted: list[Any]) -> None:
    def dies() -> Iterator[float]:
        yield from (0.0, 1.0, 1.0, 2.0)  # the clock is read before and after a trial
        raise KeyboardInterrupt

    whole = FixedSampler(0.5, 0.75, 0.6)
    with pytest.raises(KeyboardInterrupt):
        run(whole, trials=3, clock=dies())
    assert len(fitted) == 6
    sampler = FixedSampler(0.5, 0.75, 0.6)
    trials = run(sampler, trials=3)

    assert len(fitted) == 9
    assert [trial.params["p"] for trial in trials] == [0.5, 0.75, 0.6]
    assert sampler.trials == trials
    assert trials[:2] == whole.trials


def test_what_failed_for_a_reason_that_is_gone_is_tried_again(
    run: Any, fitted: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as missing:
        missing.setattr(ConstantClassifier, "refuses", staticmethod(lambda p: True))
        with pytest.raises(StageError, match="All 2 trials"):
            run(FixedSampler(0.5, 0.75), trials=2)
    again = run(FixedSampler(0.5, 0.75), trials=2)

    assert [trial.state for trial in again] == ["complete", "complete"]
    with monkeypatch.context() as missing:  # and what did not fail is not fitted again
        missing.setattr(ConstantClassifier, "refuses", staticmethod(lambda p: p == 0.25))
        run(FixedSampler(0.25, 0.5, 0.6), trials=3)
        fitted.clear()
    mended = run(FixedSampler(0.25, 0.5, 0.6), trials=3)
    assert [trial.state for trial in mended] == ["complete"] * 3
    assert fitted == [{"kept": 1, "p": 0.25}] * 3


def test_a_shorter_search_takes_no_trial_over_that_it_would_not_have_run(run: Any, fitted: list[Any]) -> None:
    run(FixedSampler(0.5, 0.6, 0.75), trials=3)
    fitted.clear()

    assert [trial.params["p"] for trial in run(FixedSampler(0.5, 0.6, 0.75), trials=2)] == [0.5, 0.6]
    assert fitted == []


def test_no_trial_is_begun_after_the_time_limit_and_one_always_is(run: Any) -> None:
    def clock(step: float) -> Iterator[float]:
        return iter(step * tick for tick in range(1000))

    given = FixedSampler(0.5, 0.6, 0.7, 0.8)
    assert len(run(given, trials=4, time_limit="10s", clock=clock(6.0))) == 2


def test_what_a_killed_search_took_counts_for_the_limit(run: Any) -> None:
    assert len(run(FixedSampler(0.5, 0.6), trials=1, time_limit="10s", clock=iter([0.0, 20.0]))) == 1
    assert len(run(FixedSampler(0.5, 0.6), trials=2, time_limit="10s", clock=iter([]))) == 1


def the_docs() -> Any:
    page = (ROOT / "docs/tuning.md").read_text()
    [block] = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return yaml.parse(block, file="")


def test_the_search_that_the_docs_show_is_one() -> None:
    policy = ModelParams.model_validate(the_docs()["model"]).search

    assert policy is not None
    assert policy.time_limit == timedelta(minutes=10)
    whole = {name: axis.is_whole for name, axis in policy.space.items() if axis.choices is None}
    assert whole == {"learning_rate": False, "max_leaf_nodes": True}
    assert policy.space["min_samples_leaf"].choices == (20, 50, 200)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_model_of_a_new_project_takes_the_parameters_that_the_docs_search(task: str) -> None:
    model = ModelParams.model_validate(the_docs()["model"])
    assert model.search is not None
    lowest = {name: axis.low or (axis.choices or [])[0] for name, axis in model.search.space.items()}
    build = load_builder((ROOT / "models/table/model.py").read_bytes(), "model.py")
    rows = pd.DataFrame({"x": np.arange(80.0), "y": np.tile([True, False], 40).astype(object)})
    schema = Schema({"x": "number"}, "y", task)
    params = {**model.params, **lowest, "max_iter": 2}
    assert fit(rows.astype({"y": float}) if task == "regression" else rows, schema, build, params, seed=0)
