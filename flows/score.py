"""A whole table answered by the champion."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="score", flow_run_name=flow_run.title, timeout_seconds=4 * 3600)
def score(
    source: Path | None = None, destination: Path | None = None, unlogged: bool = False
) -> flow_run.Ended:
    """Answer every row of a table with the promoted model, into a file of the table with its answers.

    The answers are in the prediction log as if the service had given them: monitored, and labelled
    by key or id. The same table again with the same version is written anew and not logged twice.

    Args:
        source: CSV, Parquet or JSON lines on the machine of the runner. Empty for `score.source`.
        destination: A file that ends in .parquet, .csv or .jsonl, or a folder. Empty for
            `score.destination`.
        unlogged: Leave the answers out of the prediction log.
    """
    with tasks.score.alone(ROOT):
        wanted = tasks.score.find(ROOT, source, destination)
        rows = tasks.score.answer(ROOT, wanted, logged=not unlogged)
        return flow_run.ended(tasks.score.publish(ROOT, wanted, rows, logged=not unlogged))
