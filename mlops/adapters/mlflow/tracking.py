"""Runs and model versions in an MLflow server.

A training is one run. Its bundle is one logged model of that run, beside the MLmodel file through
which MLflow's own tools load it. Only finished runs count: the model becomes READY and the run
FINISHED last, so `find_run` and `register` ignore what a killed process left.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import mlflow.artifacts
import mlflow.telemetry
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, Run, model_registry
from mlflow.exceptions import MlflowException, RestException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE as MLFLOW_NOTE

from mlops.adapters.mlflow import mlmodel, nested_runs
from mlops.adapters.mlflow import run as mlflow_run
from mlops.adapters.mlflow.links import run_page
from mlops.adapters.mlflow.run import COMMIT, DATA, DIGEST, LOCK
from mlops.config.clean_environment import cleaned_for
from mlops.errors import (
    BundleError,
    ConfigError,
    ConflictError,
    MlopsError,
    NameTakenError,
    UnavailableError,
    UsageError,
)
from mlops.model import bundle
from mlops.model.registry import CHALLENGER, CHAMPION, FLOW_RUN, ModelVersion, TrainingRun
from mlops.net.credentials import Access
from mlops.net.request import get

__all__ = ["MlflowRegistry"]

_GENERATED = "*Updated by each training. Delete this line to edit the text yourself.*"
# So that MLflow opens its pages for model training and does not ask which kind the experiment is.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
_PROJECT = "mlops.project"
_VARIABLES = {
    # When the server goes away during a call: fail after 4 s instead of 4 minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""What configures MLflow's client, for the time of a call."""


class MlflowRegistry:
    """The `Registry` of one project, in an MLflow server.

    Parameters
    ----------
    uri
        The server's address.
    name
        The name of the experiment and of the registered model.
    about
        Their description, Markdown. A description that a user wrote is not overwritten.
    project
        The project's root commit, which distinguishes projects of one name; empty where unknown.
    access
        Credentials for the health check.
    variables
        Environment variables for MLflow's client, as its credentials.
    timeout
        Timeout of the health check in seconds.

    Raises
    ------
    ConfigError
        The address is no http(s) URL.
    """

    def __init__(
        self,
        uri: str,
        name: str,
        *,
        about: str = "",
        project: str = "",
        access: Access = Access(),  # noqa: B008  # it is frozen
        variables: Mapping[str, str] | None = None,
        timeout: float = 3.0,
    ) -> None:
        if not uri.startswith(("http://", "https://")):
            allowed = "the address of an MLflow server, http://… or https://…"
            raise ConfigError("MLFLOW_TRACKING_URI", value=uri, allowed=allowed, file="environment")
        self.uri = uri
        self.name = name
        self.about = about
        self.project = project
        self._access = access
        self._variables = {**_VARIABLES, **(variables or {})}
        self._timeout = timeout
        # Where a notebook had imported MLflow before it was turned off.
        mlflow.telemetry.set_telemetry_client()  # type: ignore[no-untyped-call]
        self._client = MlflowClient(uri, uri)

    def find_run(self, lock_sha: str) -> str | None:
        """Return the id of the newest finished run of this dvc.lock, if there is one."""
        with self._requests():
            runs = self._runs(f"tags.`{LOCK}` = '{lock_sha}' and attributes.status = 'FINISHED'")
            return runs[0].info.run_id if runs else None

    def log_run(self, run: TrainingRun, *, force: bool = False) -> str:
        """Log a training and its bundle; return its run's id.

        Where a finished run of the same lock exists, that one is returned, unless `force`.

        Raises
        ------
        BundleError
            The bundle does not match its manifest.
        UnavailableError
            The server is unavailable. A retry starts a new run.
        UsageError
            The experiment of this name belongs to another project.
        """
        if not force and (existing := self.find_run(run.lock_sha)) is not None:
            return existing
        opened = bundle.open(run.bundle)
        with self._requests():
            experiment = self._experiment()
            tags = mlflow_run.tags(run, opened)
            created = self._client.create_run(experiment, tags=tags, run_name=run.name)
            run_id = str(created.info.run_id)
            try:
                nested_runs.log(self._client, experiment, run_id, run)
                mlflow_run.fill(self._client, self.name, experiment, run_id, run, opened)
            except BaseException:
                self._mark_failed(run_id)
                raise
            self._client.set_terminated(run_id)
            return run_id

    def register(
        self, run_id: str, digest: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Register the bundle of a run as a version, or return the version that exists.

        Raises
        ------
        ConflictError
            The run is not finished, or has another bundle.
        """
        with self._requests():
            run = self._client.get_run(run_id)
            logged_digest = run.data.tags.get(DIGEST, "")
            if run.info.status != "FINISHED" or logged_digest != digest:
                raise ConflictError(
                    f"Run {run_id} is {run.info.status} with bundle {logged_digest[:12]}, "
                    f"expected FINISHED with {digest[:12]}.",
                    remedy="Train with --force, which logs another run.",
                )
            existing = self._client.search_model_versions(f"name='{self.name}' and run_id='{run_id}'")
            if existing:
                return _version(existing[0])
            model = run.outputs.model_outputs[0].model_id  # type: ignore[union-attr]  # FINISHED has it
            self._registered_model()
            ours = {key: run.data.tags[key] for key in (COMMIT, DATA, DIGEST)}
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
        """Move an alias to a version, and set tags on it and its run.

        The alias champion removes the alias challenger from the version.

        Raises
        ------
        UsageError
            There is no such version.
        """
        with self._requests():
            model_version = self._client.get_model_version(self.name, version)
            for key, value in (tags or {}).items():
                self._client.set_model_version_tag(self.name, version, key, value)
                self._client.set_tag(str(model_version.run_id), key, value)
            if alias is not None and alias not in model_version.aliases:
                self._client.set_registered_model_alias(self.name, alias, version)
            if alias == CHAMPION and CHALLENGER in model_version.aliases:
                self._client.delete_registered_model_alias(self.name, CHALLENGER)

    def find(self, version: str) -> ModelVersion | None:
        """Return the version with this number or alias, None where there is none."""
        with self._requests():
            try:
                if version.isdecimal():
                    return _version(self._client.get_model_version(self.name, version))
                return _version(self._client.get_model_version_by_alias(self.name, version))
            except RestException as exc:
                if _is_missing(exc):
                    return None
                raise

    def fetch(self, version: str, folder: Path) -> Path:
        """Download a version's bundle into `folder` and verify its digest.

        Raises
        ------
        UsageError
            There is no such version.
        BundleError
            The downloaded bundle is not the registered one.
        """
        model_version = self.find(version)
        if model_version is None:
            raise UsageError(f"MLflow has no version {version} of {self.name}.", remedy="See `mlops status`.")
        if _contains_bundle(folder, model_version.digest):
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as staged, self._requests():
            logged = self._client.get_logged_model(model_version.source.removeprefix("models:/"))
            # Not by models:/…, which is resolved by the process's global server, whichever that is.
            downloaded = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{logged.artifact_location}/{mlmodel.FOLDER}",
                dst_path=staged,
                tracking_uri=self.uri,
            )
            bundle.open(Path(downloaded), digest=model_version.digest)
            shutil.rmtree(folder, ignore_errors=True)
            Path(downloaded).replace(folder)
        return folder

    def attach(self, run_id: str, file: Path, *, folder: str = "reports") -> None:
        """Log a file, as a drift report, as an artifact of a run."""
        with self._requests():
            self._client.log_artifact(run_id, str(file), folder)

    def measure(self, run_id: str, metrics: Mapping[str, float], *, at: datetime, step: int) -> None:
        """Log metrics of a run's model that were measured later; logging the same again adds nothing.

        MLflow knows no time before 1970: there a metric bears that, and `step` alone tells windows apart.
        """
        timestamp = max(0, int(at.timestamp() * 1000))
        with self._requests():
            batch = [Metric(name, value, timestamp, step) for name, value in metrics.items()]
            self._client.log_batch(run_id, metrics=batch)

    def run_url(self, run_id: str, artifact: str = "") -> str:
        """Return the address of a run's page, or of one of its artifacts there."""
        with self._requests():
            experiment = self._client.get_run(run_id).info.experiment_id
        return run_page(self.uri, experiment, run_id, artifact)

    def reap(self, flow_run: str) -> list[str]:
        """Mark the RUNNING runs of a flow run whose process is gone as KILLED; return their ids."""
        with self._requests():
            dead = self._runs(f"tags.`{FLOW_RUN}` = '{flow_run}' and attributes.status = 'RUNNING'", most=100)
            for run in dead:
                self._client.set_terminated(run.info.run_id, "KILLED")
            return [run.info.run_id for run in dead]

    def _mark_failed(self, run_id: str) -> None:
        # With the server gone the run stays RUNNING, for `reap`.
        with suppress(UnavailableError, MlflowException):
            self._check_alive()
            self._client.set_terminated(run_id, "FAILED")

    def _experiment(self) -> str:
        client, experiment = self._client, self._client.get_experiment_by_name(self.name)
        if experiment is None:
            with _ignore_existing():
                client.create_experiment(self.name, tags=_EXPERIMENT_TAGS | self._project_tag())
            return self._experiment()
        owner = experiment.tags.get(_PROJECT, "")
        if self.project and not owner:  # created without a project's tag, as by hand
            client.set_experiment_tag(experiment.experiment_id, _PROJECT, self.project)
        elif self.project and owner != self.project:
            raise NameTakenError("MLflow", self.uri, name=self.name, owner=owner, project=self.project)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        if (text := self._new_description(experiment.tags.get(MLFLOW_NOTE))) is not None:
            client.set_experiment_tag(experiment.experiment_id, MLFLOW_NOTE, text)
        return str(experiment.experiment_id)

    def _project_tag(self) -> dict[str, str]:
        return {_PROJECT: self.project} if self.project else {}

    def _registered_model(self) -> None:
        client = self._client
        with _ignore_existing():
            client.create_registered_model(self.name)
        model = client.get_registered_model(self.name)
        if (text := self._new_description(model.description)) is not None:
            client.update_registered_model(self.name, text)

    def _new_description(self, current: str | None) -> str | None:
        """Return the description to write; None where it is current, or a user wrote it."""
        text = f"{self.about}\n\n{_GENERATED}"
        by_user = current and not current.endswith(_GENERATED)
        return None if not self.about or current == text or by_user else text

    def _runs(self, filter: str, *, most: int = 1) -> list[Run]:
        experiment = self._client.get_experiment_by_name(self.name)
        if experiment is None:
            return []
        return list(self._client.search_runs([experiment.experiment_id], filter, max_results=most))

    @contextmanager
    def _requests(self) -> Iterator[None]:
        """Check the server's health first, leave the shell's MLflow out, and translate its errors."""
        self._check_alive()
        try:
            with cleaned_for(self._variables):
                yield
        except RestException as exc:
            if _is_missing(exc):
                raise UsageError(f"MLflow at {self.uri}: {exc.message}.") from exc
            raise MlopsError(f"MLflow at {self.uri} rejected the request: {exc.message}.") from exc
        except MlflowException as exc:
            if "API request to" in exc.message:  # MLflow has no exception type for "no response"
                raise self._unavailable(exc) from exc
            raise MlopsError(f"MLflow at {self.uri}: {exc.message}.") from exc
        except (requests.ConnectionError, requests.Timeout) as exc:
            raise self._unavailable(exc) from exc
        except requests.RequestException as exc:  # of a file transfer, where MLflow translates nothing
            response = exc.response
            reason = exc if response is None else f"{response.status_code} {response.reason}"
            raise MlopsError(
                f"MLflow at {self.uri} could not transfer a file: {reason}.",
                remedy="Check its artifact store, and the body size limit of a proxy in front of it.",
            ) from exc

    def _check_alive(self) -> None:
        # A client call would take minutes to fail.
        reply = get(f"{self.uri.rstrip('/')}/health", timeout=self._timeout, access=self._access)
        if not reply.status:  # an error status is left to the call itself, which reports more
            raise self._unavailable(reply.problem)

    def _unavailable(self, cause: object) -> UnavailableError:
        remedy = "Start it with `mlops up`, or correct MLFLOW_TRACKING_URI."
        return UnavailableError("MLflow", self.uri, remedy=remedy, cause=cause)


def _version(entity: model_registry.ModelVersion) -> ModelVersion:
    return ModelVersion(
        name=entity.name,
        version=str(entity.version),
        run_id=entity.run_id or "",
        digest=entity.tags.get(DIGEST, ""),
        commit=entity.tags.get(COMMIT, ""),
        data_md5=entity.tags.get(DATA, ""),
        source=entity.source or "",
        aliases=tuple(entity.aliases),
    )


def _contains_bundle(folder: Path, digest: str) -> bool:
    try:
        bundle.open(folder, digest=digest)
    except BundleError:
        return False
    return True


def _is_missing(exc: RestException) -> bool:
    # MLflow reports an unknown alias as an invalid parameter.
    return exc.error_code == "RESOURCE_DOES_NOT_EXIST" or bool(re.search("alias .* not found", exc.message))


@contextmanager
def _ignore_existing() -> Iterator[None]:
    try:
        yield
    except RestException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
