"""Runs and model versions in an MLflow server.

A training is one run. Its bundle is one logged model of that run, kept once, beside the
MLmodel file through which MLflow's own tools read it. What is not finished does not count:
the model becomes READY and the run FINISHED last, so a process killed midway leaves
nothing that `find_run` or `register` would take.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import mlflow.artifacts
import mlflow.telemetry
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    model_registry,
)
from mlflow.exceptions import MlflowException, RestException

from mlops import bundle
from mlops.adapters import mlflow_model
from mlops.errors import BundleError, ConfigError, ConflictError, MlopsError, UnavailableError, UsageError
from mlops.registry import ModelVersion, TrainingRun

__all__ = ["MlflowRegistry"]

_LOCK, _COMMIT, _DATA, _DIGEST = "mlops.lock", "mlops.commit", "mlops.data", "mlops.digest"
_LONGEST_PARAM = 6000  # characters, a limit of MLflow's


class MlflowRegistry:
    """The `Registry` of one project, in an MLflow server.

    Parameters
    ----------
    uri
        The server's address.
    name
        What the experiment and the registered model are called.
    timeout
        Seconds until a server that does not answer counts as away.

    Raises
    ------
    ConfigError
        The address is not a server's.
    """

    def __init__(self, uri: str, name: str, *, timeout: float = 3.0) -> None:
        if not uri.startswith(("http://", "https://")):
            allowed = "the address of an MLflow server, http://… or https://…"
            raise ConfigError("MLFLOW_TRACKING_URI", given=uri, allowed=allowed, file="environment")
        _prepare()
        self.uri = uri
        self.name = name
        self._timeout = timeout
        self._client = MlflowClient(uri, uri)

    def find_run(self, lock_sha: str) -> str | None:
        """Return the id of the newest finished run of this dvc.lock, if there is one."""
        with self._asking():
            runs = self._runs(f"tags.`{_LOCK}` = '{lock_sha}' and attributes.status = 'FINISHED'")
            return runs[0].info.run_id if runs else None

    def log_run(self, run: TrainingRun, *, force: bool = False) -> str:
        """Keep a training and its bundle; return its run's id.

        Where a finished run of the same lock exists, that one is returned, unless `force`.

        Raises
        ------
        BundleError
            The bundle is not what its manifest says.
        UnavailableError
            The server does not answer. The same call again starts a new run.
        """
        if not force and (existing := self.find_run(run.lock_sha)) is not None:
            return existing
        opened = bundle.open(run.bundle)
        with self._asking():
            experiment = self._experiment()
            tags = _tags(run, opened)
            started = self._client.create_run(experiment, tags=tags, run_name=run.lock_sha[:12])
            run_id = str(started.info.run_id)
            try:
                self._fill(experiment, run_id, run, opened)
            except BaseException:
                self._give_up(run_id)
                raise
            self._client.set_terminated(run_id)
            return run_id

    def register(
        self, run_id: str, digest: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Make the bundle of a run a version; the one that exists, if it is one already.

        Raises
        ------
        ConflictError
            The run is not finished, or holds another bundle.
        """
        with self._asking():
            run = self._client.get_run(run_id)
            held = run.data.tags.get(_DIGEST, "")
            if run.info.status != "FINISHED" or held != digest:
                raise ConflictError(
                    f"Run {run_id} is {run.info.status} with bundle {held[:12]}, "
                    f"not finished with {digest[:12]}.",
                    remedy="Train with --force, which logs another run.",
                )
            existing = self._client.search_model_versions(f"name='{self.name}' and run_id='{run_id}'")
            if existing:
                return _version(existing[0])
            model = run.outputs.model_outputs[0].model_id  # type: ignore[union-attr]  # FINISHED has it
            with _unless_it_exists():
                self._client.create_registered_model(self.name)
            ours = {key: run.data.tags[key] for key in (_LOCK, _COMMIT, _DATA, _DIGEST)}
            created = self._client.create_model_version(
                self.name,
                source=f"models:/{model}",
                run_id=run_id,
                model_id=model,
                tags={**(tags or {}), **ours},
                description=description,
                await_creation_for=0,
            )
            return _version(created)

    def mark(self, version: str, alias: str | None = None, *, tags: Mapping[str, str] | None = None) -> None:
        """Give a version an alias, taken from whichever held it, and tags.

        Raises
        ------
        UsageError
            There is no such version.
        """
        with self._asking():
            for key, value in (tags or {}).items():
                self._client.set_model_version_tag(self.name, version, key, value)
            if alias is not None:
                self._client.set_registered_model_alias(self.name, alias, version)

    def find(self, version: str) -> ModelVersion | None:
        """Return the version of this number or alias, if there is one."""
        with self._asking():
            try:
                if version.isdecimal():
                    return _version(self._client.get_model_version(self.name, version))
                return _version(self._client.get_model_version_by_alias(self.name, version))
            except RestException as exc:
                if _is_missing(exc):
                    return None
                raise

    def fetch(self, version: str, folder: Path) -> Path:
        """Bring a version's bundle into `folder`, its digest checked.

        Raises
        ------
        UsageError
            There is no such version.
        BundleError
            What came is not the bundle that was registered.
        """
        found = self.find(version)
        if found is None:
            raise UsageError(f"MLflow has no version {version} of {self.name}.", remedy="See `mlops status`.")
        if _holds(folder, found.digest):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as staged, self._asking():
            logged = self._client.get_logged_model(found.source.removeprefix("models:/"))
            # Not by models:/…, which asks the process's global server, whichever that is.
            came = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{logged.artifact_location}/{mlflow_model.FOLDER}",
                dst_path=staged,
                tracking_uri=self.uri,
            )
            bundle.open(Path(came), digest=found.digest)
            shutil.rmtree(folder, ignore_errors=True)
            Path(came).replace(folder)
        return folder

    def attach(self, run_id: str, file: Path, *, folder: str = "reports") -> None:
        """Put a file, as a drift report, among a run's artifacts."""
        with self._asking():
            self._client.log_artifact(run_id, str(file), folder)

    def reap(self, age: timedelta) -> list[str]:
        """Mark runs that a killed process left running for longer than `age`; return their ids."""
        before = int((time.time() - age.total_seconds()) * 1000)
        with self._asking():
            dead = self._runs(f"attributes.status = 'RUNNING' and attributes.start_time < {before}", most=100)
            for run in dead:
                self._client.set_terminated(run.info.run_id, "KILLED")
            return [run.info.run_id for run in dead]

    def _fill(self, experiment: str, run_id: str, run: TrainingRun, opened: bundle.Bundle) -> None:
        client = self._client
        logged = client.create_logged_model(experiment, name=self.name, source_run_id=run_id)
        now = int(time.time() * 1000)
        about = {"model_id": logged.model_id, "dataset_name": self.name, "dataset_digest": run.data_md5}
        metrics = [Metric(key, value, now, 0, run_id=run_id, **about) for key, value in run.metrics.items()]
        params = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in _flat(run.params)]
        client.log_batch(run_id, metrics=metrics, params=params)
        client.log_inputs(run_id, [self._dataset(run, opened)])
        with tempfile.TemporaryDirectory() as folder:
            plots, model = Path(folder, "plots"), Path(folder, "model")
            for staged in (plots, model):
                staged.mkdir()
            for name, content in run.plots.items():
                (plots / name).write_bytes(content)
            client.log_artifacts(run_id, str(plots), "plots")
            mlflow_model.write(model, opened, logged)
            client.log_model_artifacts(logged.model_id, str(opened.folder), mlflow_model.FOLDER)
            client.log_model_artifacts(logged.model_id, str(model))
        client.finalize_logged_model(logged.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])

    def _dataset(self, run: TrainingRun, opened: bundle.Bundle) -> DatasetInput:
        # Made of what is known: MLflow's own classes would want the rows.
        columns = mlflow_model.columns(opened.schema).to_dict()
        dataset = Dataset(
            name=self.name,
            digest=run.data_md5,
            source_type="local",
            source=json.dumps({"uri": run.data_path}),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": run.rows}),
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])

    def _give_up(self, run_id: str) -> None:
        # With the server gone the run stays RUNNING, for `reap`.
        with suppress(UnavailableError, MlflowException):
            self._check_alive()
            self._client.set_terminated(run_id, "FAILED")

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.name)
        if found is None:
            with _unless_it_exists():
                self._client.create_experiment(self.name)
            return self._experiment()
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _runs(self, filter: str, *, most: int = 1) -> list[Run]:
        found = self._client.get_experiment_by_name(self.name)
        if found is None:
            return []
        return list(self._client.search_runs([found.experiment_id], filter, max_results=most))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask only a server that is there, and put its errors into our words."""
        self._check_alive()
        try:
            yield
        except RestException as exc:
            if _is_missing(exc):
                raise UsageError(f"MLflow at {self.uri}: {exc.message}.") from exc
            raise MlopsError(f"MLflow at {self.uri} refused: {exc.message}.") from exc
        except MlflowException as exc:
            if "API request to" in exc.message:  # MLflow has no type for "nobody answered"
                raise self._away(exc) from exc
            raise MlopsError(f"MLflow at {self.uri}: {exc.message}.") from exc

    def _check_alive(self) -> None:
        # A client call would take minutes to find that out.
        try:
            with urlopen(f"{self.uri.rstrip('/')}/health", timeout=self._timeout):
                pass
        except HTTPError:
            pass  # somebody answers; what is wrong, the call itself will tell
        except (URLError, OSError) as exc:
            raise self._away(exc) from exc

    def _away(self, cause: Exception) -> UnavailableError:
        remedy = "Start it with `mlops up`, or correct MLFLOW_TRACKING_URI."
        return UnavailableError("MLflow", self.uri, remedy=remedy, cause=cause)


def _prepare() -> None:
    """Set how MLflow's client behaves in this process, where nobody has; it reads only variables."""
    defaults = {
        # With the server gone midway: 4 s to give up instead of 4 minutes.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    # It was chosen on import, before the variable was set.
    mlflow.telemetry.set_telemetry_client()  # type: ignore[no-untyped-call]


def _tags(run: TrainingRun, opened: bundle.Bundle) -> dict[str, str]:
    ours = {_LOCK: run.lock_sha, _COMMIT: run.commit, _DATA: run.data_md5, _DIGEST: opened.digest}
    return {**run.tags, **ours, "mlflow.source.git.commit": run.commit}


def _version(found: model_registry.ModelVersion) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        run_id=found.run_id or "",
        digest=found.tags.get(_DIGEST, ""),
        commit=found.tags.get(_COMMIT, ""),
        data_md5=found.tags.get(_DATA, ""),
        source=found.source or "",
        aliases=tuple(found.aliases),
    )


def _flat(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _holds(folder: Path, digest: str) -> bool:
    try:
        bundle.open(folder, digest=digest)
    except BundleError:
        return False
    return True


def _is_missing(exc: RestException) -> bool:
    # An alias that nobody gave is an invalid parameter to MLflow.
    return exc.error_code == "RESOURCE_DOES_NOT_EXIST" or bool(re.search("alias .* not found", exc.message))


@contextmanager
def _unless_it_exists() -> Iterator[None]:
    try:
        yield
    except RestException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
