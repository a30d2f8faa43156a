"""Train on the newest version of the data, and let the gate decide what serves."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import learning, retraining, run, trying
from mlops.orchestration.loop import Loop

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="train", flow_run_name=run.title, timeout_seconds=3600)
def train(force: bool = False, overrides: dict[str, str] | None = None) -> run.Ended:
    """Run DVC's stages that have something new, log the run, register its model, ask the gate.

    The gate compares the new model with the champion on the same held-out rows. What it promotes is
    deployed by `deploy`; what it refuses is kept in MLflow, and the run ends as *Refused*.

    Args:
        force: Run every stage, and make another run in MLflow, even where nothing changed.
        overrides: Parameters of this run alone, by their path in params.yaml, as
            {"model.params.max_depth": "6"}. It works at your last commit, on a branch of its own.
    """
    with retraining.alone(ROOT), trying.work_tree(ROOT, overrides) as attempt:
        commit = learning.reproduce(ROOT, attempt.tree, force=force)
        registered = learning.register(ROOT, attempt.tree, commit, force=force)
        judged = learning.judge(ROOT, attempt.tree, registered)
        if judged.body["promote"]:
            learning.promote(ROOT, judged)
    return run.ended(attempt.told(judged.body["reason"], commit), refused=not judged.body["promote"])
