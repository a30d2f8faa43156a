"""The trials of a search in MLflow: runs within the training's run.

Written before the training's run is finished. One that was killed on the way leaves trials behind;
the run that comes in its place takes them over, so that each is there once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE

from mlops.model.registry import FLOW_RUN, TrainingRun
from mlops.model.trials import Trial, best

__all__ = ["BEST", "ERROR", "SEARCH", "STATE", "log"]

SEARCH = "mlops.search"
"""The tag of a trial that names the dvc.lock of its training; not the one of a training's own run."""
STATE, BEST, ERROR = "mlops.trial", "mlops.trial.best", "mlops.trial.error"

_NUMBER = "mlops.trial.number"
_PAGE = 1000
_LONGEST = 5000  # characters, a limit of MLflow's


def log(client: MlflowClient, experiment: str, run_id: str, run: TrainingRun) -> None:
    """Keep each trial as a run within `run_id`: its parameters, the loss of each fold as a step."""
    if not run.trials:
        return
    left = {found.data.tags[_NUMBER]: found for found in _left_behind(client, experiment, run)}
    leader = best(run.trials)
    for trial in run.trials:
        known = left.get(str(trial.number))
        if known is not None:
            client.set_tag(known.info.run_id, MLFLOW_PARENT_RUN_ID, run_id)
        else:
            _write(client, experiment, run_id, run, trial, is_best=trial is leader)


def _left_behind(client: MlflowClient, experiment: str, run: TrainingRun) -> Iterator[Run]:
    """Yield the trials of this training whose own run never finished; what is in pieces is deleted."""
    finished: dict[str, bool] = {}
    for found in _of_search(client, experiment, run.lock_sha):
        parent = found.data.tags[MLFLOW_PARENT_RUN_ID]
        if parent not in finished:
            finished[parent] = _is_finished(client, parent)
        if finished[parent]:
            continue
        if STATE in found.data.tags and found.info.status in ("FINISHED", "FAILED"):
            yield found
        else:
            client.delete_run(found.info.run_id)


def _of_search(client: MlflowClient, experiment: str, lock_sha: str) -> list[Run]:
    """Return the trials of all trainings of one dvc.lock."""
    # The last page before anything is deleted: a page begins after as many runs as came before it.
    found: list[Run] = []
    token: str | None = ""
    while token is not None:
        page = client.search_runs(
            [experiment], f"tags.`{SEARCH}` = '{lock_sha}'", max_results=_PAGE, page_token=token or None
        )
        found += page
        token = page.token or None
    return found


def _is_finished(client: MlflowClient, run_id: str) -> bool:
    """Tell whether a training's run was finished; one that `mlflow gc` removed was not, for all we know."""
    try:
        return bool(client.get_run(run_id).info.status == "FINISHED")
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def _write(
    client: MlflowClient, experiment: str, run_id: str, run: TrainingRun, trial: Trial, *, is_best: bool
) -> None:
    ours = {SEARCH: run.lock_sha, _NUMBER: str(trial.number)}
    ours |= {FLOW_RUN: run.tags[FLOW_RUN]} if FLOW_RUN in run.tags else {}
    theirs = {MLFLOW_PARENT_RUN_ID: run_id, MLFLOW_SOURCE_NAME: run.source, MLFLOW_SOURCE_TYPE: "LOCAL"}
    started = client.create_run(experiment, tags={**ours, **theirs}, run_name=f"trial {trial.number}")
    now = int(time.time() * 1000)
    steps = [Metric(f"fold/{run.loss}", loss, now, step) for step, loss in enumerate(trial.losses, 1)]
    mean = [] if trial.loss is None else [Metric(f"search/{run.loss}", trial.loss, now, 0)]
    tags = {STATE: trial.state, **({BEST: "true"} if is_best else {})}
    tags |= {ERROR: trial.error[:_LONGEST]} if trial.error else {}
    client.log_batch(
        started.info.run_id,
        metrics=[*steps, *mean],
        params=[Param(f"model.params.{name}", str(value)) for name, value in trial.params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(started.info.run_id, "FAILED" if trial.state == "failed" else "FINISHED")
