"""What a person sets: params.yaml, the environment, and where things lie.

The only reader of either. `Params` is the file a user edits; `Settings` are the machine's
ports and addresses, from the environment; `Project` is a folder with both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mlops.errors import ConfigError, UsageError

__all__ = [
    "DataParams",
    "DeployParams",
    "Duration",
    "GateParams",
    "ModelParams",
    "MonitorParams",
    "Params",
    "Project",
    "RetrainParams",
    "ScheduleParams",
    "Settings",
    "TrainParams",
    "find_project",
    "load_params",
    "load_settings",
]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(value: Any) -> Any:
    """Read ``90s``, ``15m``, ``36h``, ``30d`` or ``4w``."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)([smhdw])", str(value))
    if match is None:
        raise ValueError("a duration such as 15m, 36h, 30d or 4w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataParams(_Section):
    """The table: which columns it has and what each is for."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """What the data is called: names of models, images and experiments start with it."""
    target: str
    """The column to predict."""
    features: dict[str, Literal["number", "category", "boolean"]] = Field(min_length=1)
    """The columns the model sees, each with its kind."""
    time: str | None = None
    """Event time of a row; windows, maturity and blocks run on it."""
    key: str | None = None
    """What names a row in the world outside; labels may come by it."""

    @model_validator(mode="after")
    def _target_is_no_feature(self) -> DataParams:
        for role in ("target", "time", "key"):
            if getattr(self, role) in self.features:
                raise ValueError(f"features that leave out the {role} column, {getattr(self, role)}")
        return self


class ModelParams(_Section):
    """What is fitted."""

    builder: str
    """The module that holds ``build(params, schema) -> estimator``, a path in the project."""
    task: Literal["binary", "multiclass", "regression"]
    params: dict[str, Any] = Field(default_factory=dict)
    """Handed to ``build``."""
    trusted: tuple[str, ...] = ()
    """Types beyond the reviewed list that the model file may hold, by dotted name."""
    seed: int = 0


class TrainParams(_Section):
    """Which rows are fitted and which are held out."""

    window: Duration = timedelta(days=60)
    """How far back the rows for fitting reach from the holdout."""
    holdout: Duration = timedelta(days=14)
    """The newest rows: never fitted, they are what the gate compares on."""
    gap: Duration = timedelta(days=1)
    """Left out between the two, so that late labels don't leak."""


class GateParams(_Section):
    """When a challenger replaces the champion."""

    metric: Literal["log_loss", "brier", "zero_one", "squared_error", "absolute_error"] = "log_loss"
    """A loss per row; the lower mean wins."""
    min_improvement: float = Field(default=0.0, ge=0.0)
    """What the interval's near end must exceed, in the metric's unit."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    block: Duration = timedelta(days=1)
    """Rows within one block of time are resampled together."""
    resamples: int = Field(default=2000, ge=100)
    min_rows: int = Field(default=500, ge=1)
    min_blocks: int = Field(default=5, ge=2)


class MonitorParams(_Section):
    """When a window of served rows has drifted."""

    window: Duration = timedelta(days=30)
    label_maturity: Duration = timedelta(days=1)
    """How long after its event time a row's label may still come."""
    min_rows: int = Field(default=500, ge=30)
    min_coverage: float = Field(default=0.5, ge=0.0, le=1.0)
    """Below this share of labelled rows, quality is unknown."""
    alpha: float = Field(default=0.05, gt=0.0, lt=1.0)
    """False alarms a window over all columns, by the reference's own blocks."""
    min_effect: float = Field(default=0.1, ge=0.0)
    """A statistic below this is no drift however sure it is."""
    min_share: float = Field(default=0.1, gt=0.0, le=1.0)
    """The share of drifting columns from which a window counts as drifted."""
    confirm: int = Field(default=2, ge=1)
    """k: drifted windows among the last `of` that confirm drift."""
    of: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _k_of_n(self) -> MonitorParams:
        if self.confirm > self.of:
            raise ValueError(f"confirm no greater than of ({self.of})")
        return self


class RetrainParams(_Section):
    """What confirmed drift sets off."""

    policy: Literal["on_drift", "never"] = "on_drift"
    cooldown: Duration = timedelta(days=7)
    """Event time that must pass between two retrainings."""
    min_rows: int = Field(default=1000, ge=1)
    """Labelled rows a retraining needs that are newer than what the champion was chosen on."""


class DeployParams(_Section):
    """How a model is served."""

    target: Literal["auto", "docker", "process"] = "auto"
    """auto: a container where an engine answers, else a local process."""
    memory: str = Field(default="1g", pattern=r"^\d+[mg]$")
    cpus: float = Field(default=1.0, gt=0.0)
    max_rows: int = Field(default=10_000, ge=1)
    """Rows one request may hold."""
    max_body: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Bytes one request may have."""
    keep: int = Field(default=3, ge=1)
    """Images kept."""


class ScheduleParams(_Section):
    """Cron lines of the flows, in UTC; empty means by hand or by event."""

    monitor: str | None = None
    retrain: str | None = None


class Params(_Section):
    """params.yaml, whole."""

    data: DataParams
    model: ModelParams
    train: TrainParams = TrainParams()
    gate: GateParams = GateParams()
    monitor: MonitorParams = MonitorParams()
    retrain: RetrainParams = RetrainParams()
    deploy: DeployParams = DeployParams()
    schedule: ScheduleParams = ScheduleParams()


class Settings(BaseSettings):
    """The machine's side: ports, addresses, engines. Each is ``MLOPS_`` and its name.

    Read from the environment, and where it is silent from the project's ``.env``.
    """

    model_config = SettingsConfigDict(env_prefix="MLOPS_", extra="ignore", frozen=True)

    ledger_uri: str | None = None
    """The ledger's database; default SQLite under .mlops/."""
    base_image: str = "python:3.11-slim"
    """What model images are built on: any image with Python on PATH."""
    gateway_port: int = Field(default=8080, ge=1, le=65535)
    """Where clients send requests."""
    gateway_api_port: int = Field(default=8081, ge=1, le=65535)
    """Where the gateway tells which service it sends them to."""
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    prefect_port: int = Field(default=4200, ge=1, le=65535)
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    """An MLflow that runs elsewhere."""
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")
    """A Prefect that runs elsewhere."""
    reconcile_every: float = Field(default=20.0, gt=0)
    """Seconds between two looks of the reconciler at the ledger."""
    reconcile_grace: float = Field(default=30.0, gt=0)
    """Seconds an event may take before the reconciler acts in its place; four times as long each time."""
    fsync: bool = False
    """The prediction log survives a power loss, at the price of latency."""


@dataclass(frozen=True)
class Project:
    """A folder that holds a params.yaml, and where its parts lie."""

    root: Path
    settings: Settings

    @property
    def home(self) -> Path:
        """What the loop keeps for itself; never committed."""
        return self.root / ".mlops"

    @property
    def ledger_uri(self) -> str:
        """The ledger's database."""
        return self.settings.ledger_uri or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def predictions(self) -> Path:
        """The prediction log's folder, mounted into every service."""
        return self.home / "predictions"

    @property
    def labels(self) -> Path:
        """Where labels are kept."""
        return self.home / "labels"

    @property
    def bundles(self) -> Path:
        """Bundles by digest, as they are served."""
        return self.home / "bundles"

    @property
    def worktree(self) -> Path:
        """Where what runs unattended works, on the branch mlops/loop."""
        return self.home / "worktree"

    @property
    def mlflow_uri(self) -> str:
        """Where MLflow answers."""
        own = f"http://127.0.0.1:{self.settings.mlflow_port}"
        return self.settings.mlflow_tracking_uri or own

    @property
    def prefect_uri(self) -> str:
        """Where Prefect's API answers."""
        own = f"http://127.0.0.1:{self.settings.prefect_port}/api"
        return self.settings.prefect_api_url or own

    @property
    def address(self) -> str:
        """Where predictions are asked."""
        return f"http://127.0.0.1:{self.settings.gateway_port}"

    @cached_property
    def params(self) -> Params:
        """params.yaml as it is at the first look."""
        return load_params(self.root / "params.yaml")


def find_project(start: Path, settings: Settings | None = None) -> Project:
    """Return the project that `start` lies in.

    Raises
    ------
    UsageError
        Neither `start` nor a folder above it holds a params.yaml.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "params.yaml").is_file():
            return Project(folder, settings or load_settings(folder / ".env"))
    raise UsageError(
        f"{start} is not in a project: no params.yaml here or above.",
        remedy="Go to the project's folder, or pass --project FOLDER.",
    )


def load_settings(file: Path | None = None) -> Settings:
    """Read the settings from the environment, and below it from a project's ``.env``.

    Raises
    ------
    ConfigError
        A variable holds what cannot be used.
    """
    try:
        return Settings(_env_file=file)  # type: ignore[call-arg]  # pydantic-settings takes it beside the fields
    except ValidationError as exc:
        first = exc.errors()[0]
        raise ConfigError(
            f"MLOPS_{first['loc'][0]}".upper(),
            given=first["input"],
            allowed=first["msg"],
            file="environment",
        ) from exc


def load_params(path: Path) -> Params:
    """Read and check a params.yaml.

    Sections that a stage of the dvc.yaml beside it names are the user's own and pass.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, has an unknown key or a bad value.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as exc:
        raise ConfigError(str(path), given="no such file", allowed="a YAML file") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(
            "the file", given="bytes that are no UTF-8", allowed="text", file=str(path)
        ) from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else "the file"
        raise ConfigError(
            line, given=getattr(exc, "problem", str(exc)), allowed="YAML", file=str(path)
        ) from exc
    if not isinstance(content, dict):
        raise ConfigError("the file", given=type(content).__name__, allowed="a mapping of sections")
    own = _sections_of_stages(path.parent / "dvc.yaml") - set(Params.model_fields)
    try:
        return Params.model_validate({k: v for k, v in content.items() if k not in own})
    except ValidationError as exc:
        raise _config_error(exc) from exc


def _sections_of_stages(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    try:
        stages = (yaml.safe_load(path.read_text("utf-8")) or {}).get("stages") or {}
        named = [name for stage in stages.values() for name in stage.get("params", [])]
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError) as exc:
        raise ConfigError("the file", given=str(exc), allowed="a pipeline of DVC", file=str(path)) from exc
    return {name.split(".")[0] for name in named if isinstance(name, str)}


def _config_error(exc: ValidationError) -> ConfigError:
    first = exc.errors()[0]
    path = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "extra_forbidden":
        section: Any = Params
        for part in first["loc"][:-1]:
            section = section.model_fields[part].annotation
        return ConfigError(path, given=path, allowed=", ".join(section.model_fields))
    if first["type"] == "missing":
        return ConfigError(path, given="nothing", allowed="a value, which it must have")
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return ConfigError(path, given=first["input"], allowed=allowed)
