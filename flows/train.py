"""Train on the newest version of the data, and let the gate decide what serves."""

from pathlib import Path

from prefect import flow

from mlops.orchestration import learning, retraining
from mlops.orchestration.loop import Loop
from mlops.outcome import Outcome

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="train", timeout_seconds=3600)
def train(force: bool = False) -> Outcome:
    """Run DVC's stages that have something new, log the run, register its model, ask the gate.

    Parameters
    ----------
    force
        Run every stage, and make another run in MLflow, even where nothing changed.
    """
    with retraining.alone(ROOT):
        commit = learning.reproduce(ROOT, ROOT, force=force)
        registered = learning.register(ROOT, ROOT, commit, force=force)
        judged = learning.judge(ROOT, ROOT, registered)
        if judged.body["promote"]:
            learning.promote(ROOT, judged)
    return Outcome(judged.body["reason"], refused=not judged.body["promote"])
