"""Compare the served rows with the champion's training data."""

from datetime import datetime
from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="monitor", flow_run_name=flow_run.title, timeout_seconds=900)
def monitor(as_of: datetime | None = None) -> flow_run.Ended:
    """Measure drift in the window of served rows that ends at `as_of`.

    Every feature except dates, and the prediction, is compared with the champion's training data. Its
    loss, on the rows whose labels are due, is compared with the loss at training and with that of a
    constant prediction; earlier windows are judged again where labels came. Confirmed drift starts
    `retrain` automatically, and so does what has come since, once it has doubled.
    The run's artifacts are a table of the columns and a link to Evidently's report.

    Args:
        as_of: End of the window, in the time of the rows, UTC. Empty for just after the newest served
            row.
    """
    checked = tasks.monitor.check(ROOT, as_of)
    again = tasks.monitor.judged_again(ROOT, checked)
    for verdict in (checked, *again):
        if verdict.record.starts_retraining:
            tasks.monitor.announce(ROOT, verdict)
    tasks.monitor.write_report(ROOT, checked)
    return flow_run.ended(tasks.monitor.summary(checked, again))
