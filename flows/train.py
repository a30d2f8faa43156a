"""Train on the newest version of the data; the gate decides about promotion."""

from pathlib import Path

from prefect import flow

from mlops.errors import NotFreshError
from mlops.orchestration import flow_run, tasks
from mlops.project.context import Project

ROOT = Project.at(Path(__file__).parent).folder.root


@flow(name="train", flow_run_name=flow_run.title, timeout_seconds=3600)
def train(force: bool = False, overrides: dict[str, str] | None = None) -> flow_run.Ended:
    """Run the changed DVC stages, log the run, register its model, and apply the gate.

    The gate compares the backtest with the champion on the same rows, which are new to both. `deploy`
    deploys a promoted model; a rejected one stays in MLflow, and the run ends as *Refused*.

    Args:
        force: Run every stage, and log another run in MLflow, even if nothing changed.
        overrides: Parameters of this run only, by their path in params.yaml, as
            {"model.params.max_depth": "6"}. Works at your last commit, on a separate branch.
    """
    with tasks.retrain.exclusive(ROOT), tasks.experiment.work_tree(ROOT, overrides) as attempt:
        try:
            commit = tasks.train.reproduce(
                ROOT, attempt.tree, force=force, must_be_fresh=not (force or overrides)
            )
        except NotFreshError as exc:
            return flow_run.ended(str(exc), refused=True)
        registered = tasks.train.register(ROOT, attempt.tree, commit, force=force)
        judged = tasks.train.judge(ROOT, attempt.tree, registered)
        if judged.record.promote:
            tasks.train.promote(ROOT, judged)
    return flow_run.ended(attempt.summary(judged.record.sentence, commit), refused=not judged.record.promote)
