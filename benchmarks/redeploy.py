"""From the ledger's row of confirmed drift to the first answer of the new version, less the fit.

    .venv/bin/python benchmarks/redeploy.py

The real path: event, automation, runner, retraining, gate, image, container, gateway. Goal: 15 s
on 2 cores. On the flights, April's drift promotes.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import httpx
import pandas as pd
from scratch import run, running
from streams.flights import flights

from mlops.deployment.client import Client
from mlops.ledger.records import DriftConfirmed
from mlops.project.context import Project
from mlops.project.labels import add_labels

AS_OF = pd.Timestamp("2013-05-01", tz="UTC").to_pydatetime()
PATIENCE = 180.0


def main() -> None:
    """Print the figure, and what it is made of."""
    with running() as project:
        inbox = project.folder.home / "rows.parquet"
        flights(1, 2).to_parquet(inbox)
        run(project, "ingest", file=inbox)
        run(project, "train")
        run(project, "deploy")
        spring = flights(3, 4)
        with Client(project.folder.address) as client:
            for _ in client.predict_frame(spring, project.schema, batch=500):
                pass
        spring[spring["late"].notna()][["flight", "late"]].to_parquet(inbox)
        add_labels(project, inbox, by="key", skip_unknown=False)
        print(run(project, "monitor", as_of=AS_OF))
        answered = first_answer(project, version="2")
        drift = project.ledger.entries(DriftConfirmed)[0].recorded_at
        fit = stage_seconds(project, "train")
        for entry in project.ledger.entries():
            if entry.recorded_at >= drift:
                print(f"  {(entry.recorded_at - drift).total_seconds():6.2f} s  {entry.kind}")
    whole = (answered - drift).total_seconds()
    print(f"drift to first answer  {whole:6.2f} s")
    print(f"the train stage        {fit:6.2f} s")
    print(f"less the fit           {whole - fit:6.2f} s   goal <= 15 s")


def first_answer(project: Project, *, version: str) -> datetime:
    """Return when the gateway first answers with this version."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if httpx.get(f"{project.folder.address}/version", trust_env=False).json()["version"] == version:
            return datetime.now(UTC)
        time.sleep(0.02)
    raise SystemExit(f"version {version} did not answer in {PATIENCE:.0f} s")


def stage_seconds(project: Project, name: str) -> float:
    """Ask Prefect how long the newest task of this name ran."""
    wanted = {"sort": "END_TIME_DESC", "limit": 50}
    runs = httpx.post(f"{project.folder.prefect_uri}/task_runs/filter", json=wanted, trust_env=False).json()
    return next(float(run["total_run_time"]) for run in runs if run["name"].partition("-")[0] == name)


if __name__ == "__main__":
    main()
