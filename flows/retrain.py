"""Retrain on served rows with labels, and deploy the model if the gate promotes it."""

from datetime import datetime
from pathlib import Path

from prefect import flow

from mlops.errors import TooFewRowsError
from mlops.ledger.records import RetrainRefused, RetrainStarted
from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="retrain", flow_run_name=flow_run.title, timeout_seconds=3600)
def retrain(as_of: datetime | None = None, cause: str | None = None) -> flow_run.Ended:
    """Train a challenger on the newest labelled rows; promote and deploy it if it passes the gate.

    Confirmed drift starts it automatically. It works on the branch `mlops/loop`; your files stay
    unchanged. If the policy or the gate rejects it, the run ends as *Refused* with the reason.

    Args:
        as_of: Train only on rows served before this time, UTC. Empty for the newest served row, or the
            newest labelled row of the lake if that is later.
        cause: The ledger's entry of confirmed drift, which sets the time. Leave it empty for a run of
            your own.
    """
    with tasks.retrain.exclusive(ROOT):
        started = tasks.retrain.claim(ROOT, as_of, cause)
        if not isinstance(started.record, RetrainStarted):
            refused = isinstance(started.record, RetrainRefused)
            return flow_run.ended(started.record.sentence, refused=refused)
        judged = tasks.retrain.earlier_verdict(ROOT, started)
        if judged is None:
            tree = tasks.ingest.loop_worktree(ROOT)
            try:
                tasks.ingest.add_labelled_rows(ROOT, tree, started)
                commit = tasks.train.reproduce(ROOT, tree)
            except TooFewRowsError as exc:
                return flow_run.ended(tasks.retrain.give_up(ROOT, started, exc), refused=True)
            registered = tasks.train.register(ROOT, tree, commit, started.id)
            judged = tasks.train.judge(ROOT, tree, registered, started.as_of)
        if judged.record.promote:
            tasks.deploy.deploy(ROOT, tasks.train.promote(ROOT, judged))
        tasks.retrain.finish(ROOT, started, judged)
    return flow_run.ended(judged.record.sentence, refused=not judged.record.promote)
