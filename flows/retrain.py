"""Learn from what was served since, and serve the result where it is proven better."""

from datetime import datetime
from pathlib import Path

from prefect import flow

from mlops.errors import DataError
from mlops.orchestration import deploying, intake, learning, retraining
from mlops.orchestration.loop import Loop
from mlops.outcome import Outcome

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="retrain", timeout_seconds=3600)
def retrain(as_of: datetime | None = None, cause: str | None = None) -> Outcome:
    """Train a challenger on the newest rows with labels; promote and deploy it if the gate agrees.

    Parameters
    ----------
    as_of
        Only rows served before then are learnt from; the newest served row's time where none
        is given.
    cause
        The ledger's entry of confirmed drift, which brings its own `as_of`; none where a
        person or a schedule asked.
    """
    with retraining.alone(ROOT):
        started = retraining.claim(ROOT, as_of, cause)
        if started.kind != "retrain.started":
            return Outcome(started.body["sentence"], refused=started.kind == "retrain.refused")
        judged = retraining.judged_before(ROOT, started)
        if judged is None:
            tree = intake.loop_worktree(ROOT)
            try:
                intake.add_labelled_rows(ROOT, tree, started)
            except DataError as exc:
                return Outcome(retraining.give_up(ROOT, started, exc), refused=True)
            commit = learning.reproduce(ROOT, tree)
            registered = learning.register(ROOT, tree, commit, started.id)
            judged = learning.judge(ROOT, tree, registered, started.as_of)
        if judged.body["promote"]:
            deploying.deploy(ROOT, learning.promote(ROOT, judged))
        retraining.finish(ROOT, started, promoted=judged.body["promote"], sentence=judged.body["reason"])
    return Outcome(judged.body["reason"], refused=not judged.body["promote"])
