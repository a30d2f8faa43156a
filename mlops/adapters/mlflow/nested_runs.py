"""The trials of a search in MLflow: nested runs of the training's run.

They are written before the training's run is finished. A training that is killed leaves trials
behind; the run that replaces it becomes their parent, so that each trial exists once.
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
"""A trial's tag with the dvc.lock of its training; another tag than the training run's."""
STATE, BEST, ERROR = "mlops.trial", "mlops.trial.best", "mlops.trial.error"

_NUMBER = "mlops.trial.number"
_PAGE = 1000
_MAX_TAG_LENGTH = 5000  # characters, a limit of MLflow's


def log(client: MlflowClient, experiment: str, run_id: str, run: TrainingRun) -> None:
    """Log each trial as a nested run of `run_id`: its parameters, the loss of each fold as a step."""
    if not run.trials:
        return
    orphans = {trial.data.tags[_NUMBER]: trial for trial in _orphans(client, experiment, run)}
    leader = best(run.trials)
    for trial in run.trials:
        orphan = orphans.get(str(trial.number))
        if orphan is not None:
            client.set_tag(orphan.info.run_id, MLFLOW_PARENT_RUN_ID, run_id)
        else:
            _write(client, experiment, run_id, run, trial, is_best=trial is leader)


def _orphans(client: MlflowClient, experiment: str, run: TrainingRun) -> Iterator[Run]:
    """Yield the trials of this training whose parent run never finished; delete incomplete ones."""
    finished: dict[str, bool] = {}
    for trial in _trials_of(client, experiment, run.lock_sha):
        parent = trial.data.tags[MLFLOW_PARENT_RUN_ID]
        if parent not in finished:
            finished[parent] = _is_finished(client, parent)
        if finished[parent]:
            continue
        if STATE in trial.data.tags and trial.info.status in ("FINISHED", "FAILED"):
            yield trial
        else:
            client.delete_run(trial.info.run_id)


def _trials_of(client: MlflowClient, experiment: str, lock_sha: str) -> list[Run]:
    """Return the trials of all trainings of one dvc.lock."""
    # All pages before anything is deleted: pages are offsets, which a deletion would shift.
    trials: list[Run] = []
    token: str | None = ""
    while token is not None:
        page = client.search_runs(
            [experiment], f"tags.`{SEARCH}` = '{lock_sha}'", max_results=_PAGE, page_token=token or None
        )
        trials += page
        token = page.token or None
    return trials


def _is_finished(client: MlflowClient, run_id: str) -> bool:
    """Return whether a training's run is finished; one that `mlflow gc` removed counts as unfinished."""
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
    mlflows = {MLFLOW_PARENT_RUN_ID: run_id, MLFLOW_SOURCE_NAME: run.source, MLFLOW_SOURCE_TYPE: "LOCAL"}
    started = client.create_run(experiment, tags={**ours, **mlflows}, run_name=f"trial {trial.number}")
    now = int(time.time() * 1000)
    steps = [Metric(f"fold/{run.loss}", loss, now, step) for step, loss in enumerate(trial.losses, 1)]
    mean = [] if trial.loss is None else [Metric(f"search/{run.loss}", trial.loss, now, 0)]
    tags = {STATE: trial.state, **({BEST: "true"} if is_best else {})}
    tags |= {ERROR: trial.error[:_MAX_TAG_LENGTH]} if trial.error else {}
    client.log_batch(
        started.info.run_id,
        metrics=[*steps, *mean],
        params=[Param(f"model.params.{name}", str(value)) for name, value in trial.params.items()],
        tags=[RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(started.info.run_id, "FAILED" if trial.state == "failed" else "FINISHED")
