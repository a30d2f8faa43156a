"""Learn from what was served since, and serve the result if it proves better."""

from datetime import datetime
from pathlib import Path

from prefect import flow

from mlops.errors import TooFewRowsError
from mlops.orchestration import deploying, intake, learning, retraining, run
from mlops.orchestration.loop import Loop

ROOT = Loop.at(Path(__file__).parent).project.root


@flow(name="retrain", flow_run_name=run.title, timeout_seconds=3600)
def retrain(as_of: datetime | None = None, cause: str | None = None) -> run.Ended:
    """Train a challenger on the newest rows with labels; promote and deploy it if the gate agrees.

    Confirmed drift starts it by itself. It works on the branch `mlops/loop` and leaves your files
    alone. Where the policy or the gate says no, the run ends as *Refused* and says why.

    Args:
        as_of: Only rows served before then are learnt from, UTC. Empty for the newest row
            served, or the newest labelled row of the lake if that is later.
        cause: The ledger's entry of confirmed drift, which brings its own time. Leave it empty when
            you ask yourself.
    """
    with retraining.alone(ROOT):
        started = retraining.claim(ROOT, as_of, cause)
        if started.kind != "retrain.started":
            return run.ended(started.body["sentence"], refused=started.kind == "retrain.refused")
        judged = retraining.judged_before(ROOT, started)
        if judged is None:
            tree = intake.loop_worktree(ROOT)
            try:
                intake.add_labelled_rows(ROOT, tree, started)
            except TooFewRowsError as exc:
                return run.ended(retraining.give_up(ROOT, started, exc), refused=True)
            commit = learning.reproduce(ROOT, tree)
            registered = learning.register(ROOT, tree, commit, started.id)
            judged = learning.judge(ROOT, tree, registered, started.as_of)
        if judged.body["promote"]:
            deploying.deploy(ROOT, learning.promote(ROOT, judged))
        retraining.finish(ROOT, started, promoted=judged.body["promote"], sentence=judged.body["reason"])
    return run.ended(judged.body["reason"], refused=not judged.body["promote"])
