"""New rows into the lake, as a version of the data."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import intake, run
from mlops.orchestration.loop import Loop

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="ingest", flow_run_name=run.title, timeout_seconds=3600)
def ingest(file: run.Table | None = None, more: list[run.Table] | None = None) -> run.Ended:
    """Append tables, or all that `data.source` names, to the lake; the same table twice adds nothing.

    Without a file, a run that Prefect starts adds to the lake of the branch `mlops/loop`, which
    `retrain` learns from, and leaves your files alone.

    Args:
        file: CSV, Parquet or JSON lines with the columns that params.yaml names: a file, a folder or
            a pattern on the machine of the runner, or an address. Empty for what is new in
            `data.source`.
        more: Further ones, for the same version of the data.
    """
    outcome = intake.add_file(ROOT, file, more or ()) if file else intake.add_source(ROOT)
    return run.ended(outcome.text, refused=outcome.refused)
