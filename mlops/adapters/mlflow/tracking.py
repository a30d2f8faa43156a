"""Runs and model versions in an MLflow server.

A training is one run. Its bundle is one logged model of that run, kept once, beside the
MLmodel file through which MLflow's own tools read it. What is not finished does not count:
the model becomes READY and the run FINISHED last, so a process killed midway leaves
nothing that `find_run` or `register` would take.
"""

from __future__ import annotations

import os
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
from mlops.net.request import ask

__all__ = ["MlflowRegistry"]

_SIGNED = "*Kept up to date by each training; take this line out and the text is yours.*"
# So that MLflow shows the pages of model training, without asking which kind it is.
_KIND = {"mlflow.experimentKind": "custom_model_development"}
_PROJECT = "mlops.project"


class MlflowRegistry:
    """The `Registry` of one project, in an MLflow server.

    Parameters
    ----------
    uri
        The server's address.
    name
        What the experiment and the registered model are called.
    about
        What a person should read on them, Markdown. What a person wrote there stays.
    project
        Tells this project from another that is called the same; empty where nobody knows.
    access
        What the server asks of us, for the question whether it is there.
    variables
        What MLflow's client reads from the environment: a login, say.
    timeout
        Seconds until a server that does not answer counts as away.

    Raises
    ------
    ConfigError
        The address is not a server's.
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
            raise ConfigError("MLFLOW_TRACKING_URI", given=uri, allowed=allowed, file="environment")
        _prepare(variables or {})
        self.uri = uri
        self.name = name
        self.about = about
        self.project = project
        self._access = access
        self._timeout = timeout
        self._client = MlflowClient(uri, uri)

    def find_run(self, lock_sha: str) -> str | None:
        """Return the id of the newest finished run of this dvc.lock, if there is one."""
        with self._asking():
            runs = self._runs(f"tags.`{LOCK}` = '{lock_sha}' and attributes.status = 'FINISHED'")
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
        UsageError
            The experiment of this name is another project's.
        """
        if not force and (existing := self.find_run(run.lock_sha)) is not None:
            return existing
        opened = bundle.open(run.bundle)
        with self._asking():
            experiment = self._experiment()
            tags = mlflow_run.tags(run, opened)
            started = self._client.create_run(experiment, tags=tags, run_name=run.name)
            run_id = str(started.info.run_id)
            try:
                nested_runs.log(self._client, experiment, run_id, run)
                mlflow_run.fill(self._client, self.name, experiment, run_id, run, opened)
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
            held = run.data.tags.get(DIGEST, "")
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
        """Give a version an alias, taken from whichever held it, and tags, which its run gets too.

        The champion is nobody's challenger: the one alias ends the other.

        Raises
        ------
        UsageError
            There is no such version.
        """
        with self._asking():
            found = self._client.get_model_version(self.name, version)
            for key, value in (tags or {}).items():
                self._client.set_model_version_tag(self.name, version, key, value)
                self._client.set_tag(str(found.run_id), key, value)
            if alias is not None and alias not in found.aliases:
                self._client.set_registered_model_alias(self.name, alias, version)
            if alias == CHAMPION and CHALLENGER in found.aliases:
                self._client.delete_registered_model_alias(self.name, CHALLENGER)

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
                artifact_uri=f"{logged.artifact_location}/{mlmodel.FOLDER}",
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

    def measure(self, run_id: str, metrics: Mapping[str, float], *, at: datetime, step: int) -> None:
        """Add what was measured of a run's model later; the same again adds nothing."""
        stamp = int(at.timestamp() * 1000)
        with self._asking():
            told = [Metric(name, value, stamp, step) for name, value in metrics.items()]
            self._client.log_batch(run_id, metrics=told)

    def run_url(self, run_id: str, artifact: str = "") -> str:
        """Return the address of a run's page, or of one of its artifacts there."""
        with self._asking():
            experiment = self._client.get_run(run_id).info.experiment_id
        return run_page(self.uri, experiment, run_id, artifact)

    def reap(self, flow_run: str) -> list[str]:
        """Mark as killed the runs that a flow run without a process left running; return their ids."""
        with self._asking():
            dead = self._runs(f"tags.`{FLOW_RUN}` = '{flow_run}' and attributes.status = 'RUNNING'", most=100)
            for run in dead:
                self._client.set_terminated(run.info.run_id, "KILLED")
            return [run.info.run_id for run in dead]

    def _give_up(self, run_id: str) -> None:
        # With the server gone the run stays RUNNING, for `reap`.
        with suppress(UnavailableError, MlflowException):
            self._check_alive()
            self._client.set_terminated(run_id, "FAILED")

    def _experiment(self) -> str:
        client, found = self._client, self._client.get_experiment_by_name(self.name)
        if found is None:
            with _unless_it_exists():
                client.create_experiment(self.name, tags=_KIND | self._mark())
            return self._experiment()
        owner = found.tags.get(_PROJECT, "")
        if self.project and not owner:  # made before projects left their mark
            client.set_experiment_tag(found.experiment_id, _PROJECT, self.project)
        elif self.project and owner != self.project:
            raise NameTakenError("MLflow", self.uri, name=self.name, owner=owner, project=self.project)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        if (text := self._to_tell(found.tags.get(MLFLOW_NOTE))) is not None:
            client.set_experiment_tag(found.experiment_id, MLFLOW_NOTE, text)
        return str(found.experiment_id)

    def _mark(self) -> dict[str, str]:
        return {_PROJECT: self.project} if self.project else {}

    def _registered_model(self) -> None:
        client = self._client
        with _unless_it_exists():
            client.create_registered_model(self.name)
        found = client.get_registered_model(self.name)
        if (text := self._to_tell(found.description)) is not None:
            client.update_registered_model(self.name, text)

    def _to_tell(self, told: str | None) -> str | None:
        """Return what a description should be, None where it is that, or a person's own."""
        text = f"{self.about}\n\n{_SIGNED}"
        return None if not self.about or told == text or (told and not told.endswith(_SIGNED)) else text

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
        except (requests.ConnectionError, requests.Timeout) as exc:
            raise self._away(exc) from exc
        except requests.RequestException as exc:  # of a file, which MLflow's client moves by itself
            answer = exc.response
            said = exc if answer is None else f"{answer.status_code} {answer.reason}"
            raise MlopsError(
                f"MLflow at {self.uri} could not move a file: {said}.",
                remedy="Check its artifact store, and how large a body a proxy before it lets pass.",
            ) from exc

    def _check_alive(self) -> None:
        # A client call would take minutes to find that out.
        said = ask(f"{self.uri.rstrip('/')}/health", timeout=self._timeout, access=self._access)
        if not said.status:  # else somebody answers; what is wrong, the call itself will tell
            raise self._away(said.trouble)

    def _away(self, cause: object) -> UnavailableError:
        remedy = "Start it with `mlops up`, or correct MLFLOW_TRACKING_URI."
        return UnavailableError("MLflow", self.uri, remedy=remedy, cause=cause)


def _prepare(variables: Mapping[str, str]) -> None:
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
    for name, value in {**defaults, **variables}.items():
        os.environ.setdefault(name, value)
    # It was chosen on import, before the variable was set.
    mlflow.telemetry.set_telemetry_client()  # type: ignore[no-untyped-call]


def _version(found: model_registry.ModelVersion) -> ModelVersion:
    return ModelVersion(
        name=found.name,
        version=str(found.version),
        run_id=found.run_id or "",
        digest=found.tags.get(DIGEST, ""),
        commit=found.tags.get(COMMIT, ""),
        data_md5=found.tags.get(DATA, ""),
        source=found.source or "",
        aliases=tuple(found.aliases),
    )


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
