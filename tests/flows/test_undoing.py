"""Going back to an earlier version: which one, what the ledger says of it, and that it stays so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from mlops.errors import ConflictError, NothingPromotedError, UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import (
    DeploymentServed,
    DeploymentStarted,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    ModelRolledBack,
)
from mlops.model.registry import CHAMPION
from mlops.orchestration.tasks import deploy, train
from mlops.project.context import Project
from mlops.project.rollback import roll_back
from mlops.project.verdict import verdict
from tests.flows.orchard import Closed, bare, mlops
from tests.ledger_rows import made
from tests.tiny import tiny_bundle


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Project]:
    """A project that has no champion yet."""
    with bare(tmp_path) as project:
        yield project


@pytest.fixture
def project(new: Project) -> Project:
    """A project whose gate promoted versions 1 to 3, each on later rows."""
    for number in (1, 2, 3):
        by_gate(new, str(number))
    return new


def by_gate(project: Project, version: str) -> Entry:
    tiny = tiny_bundle(project.folder.root / f"made-{version}", compiled=False, strength=float(version))
    digest = project.keep_bundle(tiny.folder).digest
    registered = project.ledger.record(made(ModelRegistered, version=version, digest=digest))
    judged = project.ledger.record(made(GateJudged, version=version), cause=registered)
    end = datetime(2026, 2, int(version), tzinfo=UTC)
    return project.ledger.record(
        ModelPromoted.of(registered.record, fitted_until=end), cause=judged, as_of=end
    )


def deployed(project: Project) -> None:
    champion = project.promoted()
    facts = {"version": champion.record.version, "digest": champion.record.digest}
    for kind in (DeploymentStarted, DeploymentServed):
        project.ledger.record(made(kind, **facts), cause=champion)


class TestWhich:
    def test_the_one_before_and_no_further_unless_it_is_named(self, project: Project) -> None:
        back = roll_back(project)
        assert back.record.version == "2"
        deployed(project)
        assert roll_back(project) == roll_back(project, "2") == back
        assert roll_back(project, "1").record.version == "1"
        assert [row.record.replaced for row in project.ledger.entries(ModelRolledBack)] == ["3", "2"]

    def test_there_is_none_before_the_first(self, new: Project) -> None:
        by_gate(new, "1")
        with pytest.raises(UsageError, match="no version to go back to before version 1"):
            roll_back(new)

    def test_none_that_was_taken_away_but_by_its_number(self, project: Project) -> None:
        roll_back(project)
        by_gate(project, "4")
        assert roll_back(project).record.version == "2"
        assert roll_back(project, "3").record.version == "3"
        by_gate(project, "5")
        assert roll_back(project).record.version == "3"

    def test_killed_between_its_two_rows_it_is_finished(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deployed(project)
        record = project.ledger.record

        def killed(entry_of: Record, **entry: Any) -> Entry[Record]:
            if isinstance(entry_of, ModelPromoted):
                raise KeyboardInterrupt
            return record(entry_of, **entry)

        monkeypatch.setattr(project.ledger, "record", killed)
        with pytest.raises(KeyboardInterrupt):
            roll_back(project)
        monkeypatch.undo()
        assert roll_back(project).record.version == "2"
        assert len(project.ledger.entries(ModelRolledBack)) == 1

    @pytest.mark.parametrize("version", ["4", "champion", ""])
    def test_one_that_nothing_proved_better_is_refused(self, project: Project, version: str) -> None:
        project.ledger.record(made(ModelRegistered, version="4", digest="4" * 64))
        with pytest.raises(UsageError, match="Promoted versions: 3, 2, 1") as refused:
            roll_back(project, version)
        assert refused.value.exit_code == 2
        assert project.ledger.last(ModelRolledBack) is None

    def test_it_is_refused_before_anything_is_started(self, project: Project) -> None:
        refused = mlops(project.folder.root, "rollback", "77")
        assert refused.code == 2
        assert "Version 77 was never promoted. Promoted versions: 3, 2, 1." in refused.err
        assert "starting" not in refused.err

    def test_without_a_champion_there_is_no_way_back(self, new: Project) -> None:
        with pytest.raises(NothingPromotedError):
            roll_back(new)


def test_the_ledger_tells_why_and_the_spent_window_stays_spent(project: Project) -> None:
    again = roll_back(project, "1", reason="too many false alarms")
    asked = project.ledger.get(again.cause, ModelRolledBack)
    assert asked is not None
    assert asked.record.reason == "too many false alarms"
    assert asked.record.sentence == (
        "Version 1 was put back by hand in place of version 3: too many false alarms."
    )
    first = project.ledger.get(asked.cause, ModelPromoted)
    assert first is not None
    assert again.record == replace(first.record, fitted_until=datetime(2026, 2, 3, tzinfo=UTC))
    assert again.as_of == datetime(2026, 2, 3, tzinfo=UTC)


def test_the_gate_does_not_promote_again_what_was_taken_away(project: Project) -> None:
    third = project.ledger.entries(ModelRegistered)[-1]
    roll_back(project, reason="too many false alarms")
    judged = verdict(project, project.folder.root, third)
    assert not judged.promote
    assert "same model as version 3, rolled back on" in judged.sentence
    assert "`mlops rollback 3`" in judged.sentence


def test_what_was_compared_with_the_one_taken_away_is_not_promoted(project: Project) -> None:
    registered = project.ledger.record(made(ModelRegistered, version="4", digest="4" * 64))
    judged = project.ledger.record(
        made(GateJudged, version="4", promotion=project.promoted().id), cause=registered
    )
    back = roll_back(project)
    with pytest.raises(ConflictError, match="a model that is no longer the champion"):
        train.promote.fn(project.folder.root, judged)
    assert project.promoted() == back


def test_it_serves_behind_the_same_address_and_mlflow_shows_it(closed: Closed) -> None:
    orchard = closed.orchard
    project, taken = orchard.project, orchard.project.promoted()
    done = orchard.mlops("rollback", "--reason", "they taste of soap", "--json")
    assert done.code == 0, done.err
    assert project.promoted().record.digest != taken.record.digest
    serves(project)
    assert "they taste of soap" in orchard.mlops("status").out

    forth = orchard.mlops("rollback", str(taken.record.version))
    assert forth.code == 0, forth.err
    assert project.promoted().record.digest == taken.record.digest
    serves(project)
    # A deployment that was asked for before waits for its turn, and finds what is the champion by now.
    assert deploy.deploy.fn(project.folder.root, taken).cause == project.promoted().id


def serves(project: Project) -> None:
    champion = project.promoted().record
    said = httpx.get(f"{project.folder.address}/version", trust_env=False).json()
    assert (said["version"], said["digest"]) == (champion.version, champion.digest)
    alias = MlflowClient(project.folder.mlflow_uri).get_model_version_by_alias(
        project.params.data.name, CHAMPION
    )
    assert alias.version == champion.version
