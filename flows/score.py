"""Score a whole table with the champion."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="score", flow_run_name=flow_run.title, timeout_seconds=4 * 3600)
def score(
    source: Path | None = None, destination: Path | None = None, unlogged: bool = False
) -> flow_run.Ended:
    """Predict every row of a table with the promoted model, and write the table with its predictions.

    The predictions are logged like the service's: monitored, and labelled by key or id. Scoring the same
    table again with the same version writes the file again, and logs nothing twice.

    Args:
        source: CSV, Parquet or JSON lines on the machine of the runner. Empty for `score.source`.
        destination: A file that ends in .parquet, .csv or .jsonl, or a folder. Empty for
            `score.destination`.
        unlogged: Do not log the predictions.
    """
    with tasks.score.exclusive(ROOT):
        scoring = tasks.score.find(ROOT, source, destination)
        rows = tasks.score.predict(ROOT, scoring, logged=not unlogged)
        return flow_run.ended(tasks.score.publish(ROOT, scoring, rows, logged=not unlogged))
