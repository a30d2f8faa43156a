"""The loop closed: drift is confirmed, Prefect starts the retraining, the new model serves."""

from __future__ import annotations

import subprocess

import httpx

from mlops.ledger.records import DriftChecked, ModelPromoted
from tests.flows.orchard import EXTRA_EVENTS, Closed
from tests.patience import until


def test_two_looks_at_one_window_are_one_row(closed: Closed) -> None:
    checked = [
        e for e in closed.orchard.project.ledger.entries(DriftChecked) if e.as_of == closed.drift.as_of
    ]
    assert len(checked) == 1
    assert closed.sentences[0] == closed.sentences[1] == checked[0].record.sentence
    assert "size" in checked[0].record.sentence


def test_confirmed_drift_retrains_with_nobody_calling_it(closed: Closed) -> None:
    assert closed.answer.kind == "retrain.finished", closed.answer.record.sentence
    assert closed.answer.record.promoted, closed.answer.record.sentence
    # Each event has its run, that of a monitoring too; the reconciler may have asked before them.
    until("run for each event", lambda: runs_by_events(closed) > EXTRA_EVENTS)


def runs_by_events(closed: Closed) -> int:
    """Count the runs that Prefect's automation started for the drift."""
    runs = closed.orchard.runs(closed.drift)
    return sum((run["created_by"] or {}).get("type") == "AUTOMATION" for run in runs)


def test_the_better_model_serves_at_once(closed: Closed) -> None:
    project = closed.orchard.project
    digest = httpx.get(f"{project.folder.address}/version", trust_env=False).json()["digest"]
    assert digest != closed.before
    promoted = [e for e in project.ledger.entries(ModelPromoted) if e.as_of == closed.drift.as_of]
    assert [e.record.digest for e in promoted] == [digest]


def test_no_request_was_dropped_by_the_redeployment(closed: Closed) -> None:
    assert closed.requests.failed == []
    assert closed.requests.answered > 50
    assert len(closed.requests.versions) == 2


def test_what_the_person_was_at_is_untouched(closed: Closed) -> None:
    assert "half an edit" in closed.person_before
    assert closed.person_after == closed.person_before


def test_the_loop_commits_to_its_own_branch_what_it_learnt_from(closed: Closed) -> None:
    project = closed.orchard.project
    branches = subprocess.run(
        ["git", "branch", "--contains", project.promoted().record.commit, "--format=%(refname:short)"],
        cwd=closed.orchard.root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert branches == ["mlops/loop"]
