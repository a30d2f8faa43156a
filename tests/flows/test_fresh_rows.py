"""Which rows may compare a challenger with the champion, before and after a training; no server about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import BUNDLE, HOLDOUT
from mlops.errors import NotFreshError
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelPromoted, ModelRegistered
from mlops.model import bundle
from mlops.orchestration.tasks import ingest as intake
from mlops.orchestration.tasks import train
from mlops.project.context import Project
from mlops.project.verdict import check_fresh, verdict
from mlops.stages.pipeline import STAGES
from tests.flows.by_hand import learn
from tests.flows.orchard import plums, stamped

HISTORY = 24


def add(root: Path, first_day: int, days: int, *, season: int = 0) -> None:
    file = root.parent / f"from-{first_day}.parquet"
    plums(first_day, days, season=season).to_parquet(file)
    assert intake.add_files(root, [file]).version is not None


def promote(root: Path, registered: Entry[ModelRegistered]) -> Entry[ModelPromoted]:
    until = Project.at(root).bundle_of(registered).lineage["fitted_until"]
    promoted = ModelPromoted.of(
        registered.record, fitted_until=datetime.fromisoformat(until) if until else None
    )
    return Project.at(root).ledger.record(promoted, cause=registered)


def edit(root: Path, old: str, new: str) -> None:
    params = root / "params.yaml"
    assert old in params.read_text()
    params.write_text(params.read_text().replace(old, new))
    Tree(root).commit_paths(["params.yaml"], f"Set {new.strip()}")


def champion_of(folder: Path, *, time: bool, strength: str = "1.0") -> Path:
    """A project whose champion was fitted on all that its lake holds."""
    root = stamped(folder / "plums")
    if strength != "1.0":
        edit(root, "strength: 1.0", f"strength: {strength}")
    if not time:
        edit(root, "  time: picked\n", "")
    add(root, 0, HISTORY)
    promote(root, learn(root))
    return root


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    return champion_of(tmp_path, time=True)


@pytest.fixture
def timeless(tmp_path: Path) -> Path:
    return champion_of(tmp_path, time=False)


def test_nothing_is_fitted_where_the_gate_could_not_decide(timed: Path) -> None:
    edit(timed, "strength: 1.0", "strength: 2.0")
    add(timed, HISTORY, 5)  # of which the gap takes one day, and five blocks are asked
    ran: list[str] = []

    def run(name: str, body: Callable[[], None]) -> None:
        ran.append(name)
        body()

    with pytest.raises(NotFreshError, match=r"fitted on rows up to 2026-01-24 23:00 UTC") as refused:
        DvcTree(timed).reproduce(partial(train._run_if_fresh, Project.at(timed), run), stages=STAGES)
    assert "160 rows in 4 blocks of time" in str(refused.value)
    assert "mlops train --set" in refused.value.remedy
    assert ran == ["prepare", "split"]


def test_enough_newer_rows_are_compared_on_and_no_older_ones(timed: Path) -> None:
    until = bundle.open(timed / BUNDLE).lineage["fitted_until"]
    add(timed, HISTORY, 12, season=1)
    project = Project.at(timed)
    registered = learn(timed)
    check_fresh(project, timed)
    judged = verdict(project, timed, registered)
    assert judged.window is not None
    assert judged.window.start >= datetime.fromisoformat(until) + timedelta(days=1)
    assert judged.fitted_until == datetime.fromisoformat(until)
    assert judged.promote, judged.sentence
    assert judged.refit is not None
    assert judged.refit.passed
    lineage = project.bundle_of(registered).lineage
    assert datetime.fromisoformat(lineage["fitted_until"]) >= judged.window.end


def test_the_champions_own_training_may_be_made_again(timed: Path) -> None:
    check_fresh(Project.at(timed), timed)
    edit(timed, "strength: 1.0", "strength: 2.0")
    with pytest.raises(NotFreshError, match="0 rows in 0 blocks"):
        check_fresh(Project.at(timed), timed)


def test_without_a_time_new_rows_judge_the_champion_itself(tmp_path: Path) -> None:
    weak = champion_of(tmp_path, time=False, strength="0.000001")
    known = len(pd.read_parquet(weak / HOLDOUT))
    edit(weak, "strength: 0.000001", "strength: 1.0")
    add(weak, HISTORY, 20)
    registered = learn(weak)
    check_fresh(Project.at(weak), weak)
    judged = verdict(Project.at(weak), weak, registered)
    assert judged.is_fresh
    assert judged.comparison is not None
    assert judged.comparison.rows == len(pd.read_parquet(weak / HOLDOUT)) - known
    assert judged.promote, judged.sentence


def test_without_a_time_and_new_rows_both_backtests_are_compared(timeless: Path) -> None:
    edit(timeless, "strength: 1.0", "strength: 0.000001")
    registered = learn(timeless)
    check_fresh(Project.at(timeless), timeless)
    judged = verdict(Project.at(timeless), timeless, registered)
    assert not judged.is_fresh
    assert not judged.promote
    assert judged.comparison is not None
    assert judged.comparison.rows == len(pd.read_parquet(timeless / HOLDOUT))
    assert judged.sentence.endswith("so the backtests of both were compared.")
    assert judged.drawn is not None
    assert judged.drawn.held_out == judged.comparison.rows
    assert judged.drawn.sentence in judged.sentence
