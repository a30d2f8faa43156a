"""What a training logs to its MLflow run: tags, datasets, metrics, plots, card and model.

Names are chosen for MLflow's UI: it groups metrics by the part before the slash, renders a note as
Markdown, and reads a run's source, user and commit from tags of its own.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModel, LoggedModelOutput, Metric, Param
from mlflow.tracking.context.default_context import DefaultRunContext
from mlflow.utils import mlflow_tags

from mlops.adapters.matplotlib import draw
from mlops.adapters.mlflow import mlmodel
from mlops.model.bundle import Bundle
from mlops.model.registry import RowsUsed, TrainingRun

__all__ = ["COMMIT", "DATA", "DIGEST", "LOCK", "fill", "tags"]

LOCK, COMMIT, DATA, DIGEST = "mlops.lock", "mlops.commit", "mlops.data", "mlops.digest"

_MAX_PARAM_LENGTH = 6000  # characters, a limit of MLflow's
_CARD = "model_card.md"


def tags(run: TrainingRun, opened: Bundle) -> dict[str, str]:
    """Return the tags a run is created with, ours and those that MLflow's UI reads."""
    ours = {LOCK: run.lock_sha, COMMIT: run.commit, DATA: run.data_md5, DIGEST: opened.digest}
    mlflows = {
        mlflow_tags.MLFLOW_RUN_NOTE: run.description,
        mlflow_tags.MLFLOW_SOURCE_NAME: run.source,
        mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
        mlflow_tags.MLFLOW_GIT_COMMIT: run.commit,
        mlflow_tags.MLFLOW_GIT_BRANCH: run.branch,
        mlflow_tags.MLFLOW_USER: _user(),
    }
    return {**run.tags, **ours, **{name: text for name, text in mlflows.items() if text}}


def fill(
    client: MlflowClient, name: str, experiment: str, run_id: str, run: TrainingRun, opened: Bundle
) -> None:
    """Log all of a training into its run, the model last: only READY models count."""
    logged = client.create_logged_model(
        experiment,
        name=name,
        source_run_id=run_id,
        tags={DIGEST: opened.digest, DATA: run.data_md5, COMMIT: run.commit},
        model_type=opened.schema.task,
    )
    params = [Param(key, str(value)[:_MAX_PARAM_LENGTH]) for key, value in _flat(run.params)]
    client.log_batch(run_id, metrics=list(_metrics(run, run_id, logged)), params=params)
    client.log_inputs(run_id, [_dataset(rows, run, opened) for rows in run.rows])
    with tempfile.TemporaryDirectory() as folder:
        artifacts, model = Path(folder, "run"), Path(folder, "model")
        for staged in (artifacts, artifacts / "plots", model):
            staged.mkdir()
        for name, content in {**run.plots, **draw(run.plots)}.items():
            (artifacts / "plots" / name).write_bytes(content)
        (artifacts / _CARD).write_text(run.card, "utf-8")
        client.log_artifacts(run_id, str(artifacts))
        mlmodel.write(model, opened, logged)
        client.log_model_artifacts(logged.model_id, str(opened.folder), mlmodel.FOLDER)
        client.log_model_artifacts(logged.model_id, str(model))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])


def _user() -> str:
    """Return the user name that MLflow would log; empty where the user has none, as in a container."""
    try:
        return str(DefaultRunContext().tags()[mlflow_tags.MLFLOW_USER])  # type: ignore[no-untyped-call]
    except (KeyError, OSError):
        return ""


def _metrics(run: TrainingRun, run_id: str, logged: LoggedModel) -> Iterator[Metric]:
    """Yield the metrics, linked to the model and to the evaluation dataset."""
    now = int(time.time() * 1000)
    holdout = next((rows for rows in run.rows if rows.context == "evaluation"), None)
    dataset = {"dataset_name": holdout.name, "dataset_digest": holdout.digest} if holdout else {}
    for key, value in run.metrics.items():
        yield Metric(key, value, now, 0, model_id=logged.model_id, run_id=run_id, **dataset)


def _dataset(rows: RowsUsed, run: TrainingRun, opened: Bundle) -> DatasetInput:
    # Made from metadata: MLflow's dataset classes would need the rows themselves.
    columns = mlmodel.table(opened).to_dict()
    dataset = Dataset(
        name=rows.name,
        digest=rows.digest,
        source_type="local",
        source=json.dumps({"uri": run.data_path, "version": run.data_md5, "rows": rows.path}),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": rows.rows, "num_elements": rows.rows * len(columns)}),
    )
    return DatasetInput(dataset, [InputTag(mlflow_tags.MLFLOW_DATASET_CONTEXT, rows.context)])


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
