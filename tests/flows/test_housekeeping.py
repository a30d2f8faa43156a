"""Keeping house while the loop runs: what serves stays, and what went comes back when it is asked for."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from mlops.errors import ConflictError
from mlops.orchestration.tasks import monitor
from mlops.project.backup import backup
from mlops.project.context import Project
from mlops.project.gc import plan
from mlops.project.restore import restore
from tests.flows.orchard import Closed


def test_nothing_that_serves_or_served_before_ever_goes(closed: Closed) -> None:
    project = closed.orchard.project
    services = {service.digest for target in project.targets for service in target.running()}
    assert len(services) == 2
    shown = [
        path
        for removal in plan(project, now=datetime.now(UTC) + timedelta(days=3650))
        for path in removal.paths
    ]
    assert not {path.name for path in shown} & services
    logs = {path.name for path in shown if path.parent.name == "logs"}
    assert not logs & {"runner.log", "prefect.log", "mlflow.log", "gateway.log", "tools.log", "serving.log"}


def test_a_bundle_and_a_report_that_went_come_back(closed: Closed) -> None:
    project = closed.orchard.project
    checked = project.ledger.get(closed.drift.cause or "")
    assert checked is not None
    [report] = (project.folder.home / "reports").glob(f"*-{checked.id[:6]}.html")
    subject = project.ledger.get(checked.cause or "")
    assert subject is not None
    report.unlink()
    shutil.rmtree(project.folder.bundles / subject.record.digest)
    with temporary_settings({PREFECT_API_URL: project.folder.prefect_uri}):
        drawn = monitor.write_report.fn(project.folder.root, checked)  # type: ignore[attr-defined]
    assert drawn == report
    assert report.stat().st_size > 100_000
    assert project.bundle_of(subject).digest == subject.record.digest


def test_a_running_loop_is_saved_whole_and_not_written_over(closed: Closed, tmp_path: Path) -> None:
    project = closed.orchard.project
    file = tmp_path / "saved.tar.gz"
    backup(project, file)
    with pytest.raises(ConflictError, match="tools, gateway"):
        restore(project, file, force=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(project.folder.root), str(clone)], check=True)
    restore(Project.at(clone), file)
    saved = Project.at(clone).ledger.entries()
    assert saved == project.ledger.entries()[: len(saved)]
    assert saved[-1].recorded_at > closed.answer.recorded_at - timedelta(seconds=1)
    named = [entry.record.commit for entry in saved if entry.kind == "model.registered"]
    for commit in named:
        subprocess.run(["git", "cat-file", "-e", commit], cwd=clone, check=True)
