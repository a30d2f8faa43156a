"""Append new rows to the lake, as a new version of the data."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="ingest", flow_run_name=flow_run.title, timeout_seconds=3600)
def ingest(file: flow_run.Table | None = None, more: list[flow_run.Table] | None = None) -> flow_run.Ended:
    """Append tables, or what is new in `data.source`, to the lake; the same table twice adds nothing.

    Without a file, a run that Prefect starts adds to the lake on the branch `mlops/loop`, from which
    `retrain` trains. Your files stay unchanged.

    Args:
        file: CSV, Parquet or JSON lines with the columns that params.yaml names: a file, a folder or
            a pattern on the machine of the runner, or an address. Empty for what is new in
            `data.source`.
        more: Further tables for the same version of the data.
    """
    outcome = tasks.ingest.add_file(ROOT, file, more or ()) if file else tasks.ingest.add_source(ROOT)
    return flow_run.ended(outcome.text, refused=outcome.refused)
