"""A year of weekly windows through the real flows: nothing may grow that nobody wanted to keep.

Run by `make soak`; it takes about a quarter of an hour and prints what it sees as it goes.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops.adapters.processes import process_id
from mlops.deployment.client import Client
from mlops.ledger.records import DriftConfirmed
from mlops.project.health import serving_supervisor, tools_supervisor
from mlops.project.labels import add_labels
from tests.flows.conftest import orphans
from tests.flows.orchard import BEGIN, HISTORY, Orchard, family, plums, stamped
from tests.growth import Reading, excesses, ruled
from tests.patience import EVENT_PATIENCE

WEEKS = 52
A_SEASON = 8
LITTER = (".*.tmp", "*.new")


@pytest.fixture
def orchard(tmp_path: Path) -> Iterator[Orchard]:
    orchard = Orchard(stamped(tmp_path / "plums", extra="MLOPS_RECONCILE_EVERY=2\n"))
    params = orchard.root / "params.yaml"
    params.write_text(params.read_text().replace("  window: 6d", "  window: 7d"))
    try:
        assert orchard.mlops("up").code == 0
        yield orchard
    finally:
        assert orchard.mlops("down", "--serving").code == 0
        assert orphans(orchard) == []


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_year_of_weeks_leaves_memory_and_files_flat(orchard: Orchard) -> None:
    history = orchard.root / ".mlops" / "history.parquet"
    plums(0, HISTORY, season=0).to_parquet(history)
    for verb in (("ingest", str(history)), ("train",), ("deploy",)):
        told = orchard.mlops(*verb)
        assert told.code == 0, told.err
    readings = []
    for week in range(1, WEEKS + 1):
        live(orchard, week)
        readings.append(reading(orchard, week))
        sys.stderr.write(readings[-1].line())
    ledger = Counter(entry.kind for entry in orchard.project.ledger.entries())
    sys.stderr.write(f"{dict(ledger)}\n")
    assert ledger["drift.checked"] == WEEKS
    assert ledger["drift.confirmed"] == ledger["retrain.finished"] + ledger["retrain.refused"]
    assert ledger["retrain.finished"] >= WEEKS // A_SEASON - 1
    assert ledger["model.promoted"] == ledger["deployment.served"]
    params = orchard.project.params
    most = ruled(reports=params.keep.reports, deployments=params.deploy.keep)
    assert excesses(readings, most, retrainings=ledger["retrain.started"]) == []
    assert [path for pattern in LITTER for path in (orchard.root / ".mlops").rglob(pattern)] == []


def live(orchard: Orchard, week: int) -> None:
    """Serve a week of plums, learn which were ripe, and have the week judged by the runner's flow."""
    project, day = orchard.project, HISTORY + 7 * (week - 1)
    rows = plums(day, 7, season=week // A_SEASON)
    with Client(project.folder.address) as client:
        answered = sum(len(answers) for answers in client.predict_frame(rows, project.schema, batch=50))
    assert answered == len(rows)
    file = orchard.root / ".mlops" / "labels.parquet"
    rows[["plum", "ripe"]].to_parquet(file)
    add_labels(project, file, by="key", skip_unknown=False)
    end: datetime = (BEGIN + timedelta(days=day + 7)).to_pydatetime()
    finished(orchard, "monitor", as_of=end.isoformat())
    drifts = [entry for entry in project.ledger.entries(DriftConfirmed) if entry.as_of == end]
    for drift in drifts:
        orchard.answer(drift)
    # The reports that the rule keeps, and no more; and whatever else a person would clear.
    assert orchard.mlops("gc", "--yes").code == 0
    project.ledger.close()


def finished(orchard: Orchard, flow: str, **parameters: Any) -> None:
    """Have the runner run a flow, and wait for its end."""
    from prefect.deployments import run_deployment
    from prefect.settings import PREFECT_API_URL, temporary_settings

    project = orchard.project.folder
    with temporary_settings({PREFECT_API_URL: project.prefect_uri}):
        run: Any = run_deployment(
            f"{flow}/{project.params.data.name}",
            parameters=parameters,
            timeout=EVENT_PATIENCE,
            poll_interval=0.5,
            as_subflow=False,
        )
    assert run.state.is_completed(), run.state


def reading(orchard: Orchard, week: int) -> Reading:
    """Look at every process of the loop, and count its files."""
    project = orchard.project
    roots = {**tools_supervisor(project).pids(), **serving_supervisor(project).pids()}
    served = process_id.find(project.target.running()[-1].ref)
    assert served is not None
    roots["service"] = served.pid
    memory, descriptors = {}, {}
    for part, root in roots.items():
        processes = family(root)
        memory[part] = sum(process.memory_info().rss for process in processes)
        descriptors[part] = sum(process.num_fds() for process in processes)
    home = orchard.root / ".mlops"
    files = Counter(path.relative_to(home).parts[0] for path in home.rglob("*") if path.is_file())
    return Reading(week, memory, descriptors, files)
