"""Has what is served drifted from what the champion was trained on?"""

from datetime import datetime
from pathlib import Path

from prefect import flow

from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="monitor", flow_run_name=flow_run.title, timeout_seconds=900)
def monitor(as_of: datetime | None = None) -> flow_run.Ended:
    """Judge the window of served rows that ends at `as_of`; confirmed drift is announced.

    Every feature that is not a date, and the model's own answer, is compared with what the champion
    learnt from; its loss, as far as labels have come, with that at training. Confirmed drift starts
    `retrain` by itself.
    The run leaves a table of the columns and a link to Evidently's report.

    Args:
        as_of: End of the window, in the time of the rows, UTC. Empty for just after the newest row
            served.
    """
    checked = tasks.monitor.check(ROOT, as_of)
    if checked.body["confirmed"]:
        tasks.monitor.announce(ROOT, checked)
    tasks.monitor.write_report(ROOT, checked)
    return flow_run.ended(tasks.monitor.summary(checked))
