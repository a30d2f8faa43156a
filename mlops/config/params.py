"""params.yaml, the one file that a user edits: its sections, keys, defaults and checks.

`config.load_params` reads one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from mlops import feature_types, task_types
from mlops.config.decision_params import Costs, suits_the_task
from mlops.config.durations import Cadence, check_timezone, parse_duration
from mlops.config.registered import ColumnFormat, FeatureType, Metric, Task, Word
from mlops.config.search_params import SearchParams, Section
from mlops.config.source_params import Source
from mlops.config.target_names import AUTO, check_target
from mlops.feature_types import DATE
from mlops.task_types.decision import Decision

__all__ = [
    "SCHEDULED",
    "VERSION",
    "DataParams",
    "DeployParams",
    "Duration",
    "GateParams",
    "KeepParams",
    "ModelParams",
    "MonitorParams",
    "Params",
    "RetrainParams",
    "ScheduleParams",
    "ScoreParams",
    "TrainParams",
    "check_version",
]


VERSION = 1
"""Of the formats of params.yaml and contract.yaml."""


def check_version(version: int) -> int:
    """Return the version of a params.yaml or a contract.yaml, if it is known."""
    if version != VERSION:
        raise ValueError(f"{VERSION}, the format that this version of mlops reads")
    return version


def _cadence(value: Any) -> Cadence:
    return value if isinstance(value, Cadence) else Cadence.parse(value)


def _above_zero(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("a duration above 0, such as 36h or 30d")
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Length = Annotated[Duration, AfterValidator(_above_zero)]
When = Annotated[Cadence, BeforeValidator(_cadence)]


class DataParams(Section):
    """The table: which columns it has and what each is for."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """Name of the data; models, images and experiments are named after it."""
    target: str
    """The column to predict."""
    features: dict[str, FeatureType] = Field(min_length=1)
    """The columns the model sees, each with its feature type. The time column may be one, of type `date`."""
    time: str | None = None
    """The column with a row's event time; windows, label maturity and blocks are measured on it."""
    key: str | None = None
    """The column that identifies a row outside the project; labels may come by it."""
    source: Source | None = None
    """Where `mlops ingest` without a file looks for new rows: a file, a folder, a pattern such as `in/*.csv`,
    an address such as `s3://bucket/in/*.csv`, or a mapping for a SQL query, a Delta table, a function or a
    class of the project."""
    contract: str | None = Field(default=None, min_length=1)
    """The file that says what a batch must look like; rows that break it are kept apart. Without one, a
    single bad value refuses the batch."""
    on_duplicate: Literal["update", "keep"] = "update"
    """Which row of a key that comes again counts: that of the later batch (update) or the first (keep)."""
    raw: bool = True
    """Keep each file as it arrived in `data/raw`, versioned beside the lake."""
    formats: dict[str, ColumnFormat] = Field(default_factory=dict)
    """By column how its values are written, where not plainly: `{thousands: ",", decimal: "."}`,
    `{decimal: ","}` or `{unit: "$"}` of numbers; `"%d-%b-%Y"`, `{epoch: ms}`, `{excel: 1900}` of dates,
    `{columns: [year, month, day]}` of one in several columns; `{strip: true}` of text."""
    missing: tuple[Word, ...] | dict[str, tuple[Word, ...]] = ()
    """Words and numbers that stand for a missing value, as `["?", nil]`; or by column, as
    `{hp: ["?"], sensor: [-999]}`."""

    @model_validator(mode="after")
    def _target_is_no_feature(self) -> DataParams:
        for role in ("target", "key", "time"):
            name = getattr(self, role)
            if name in self.features and not (role == "time" and self.features[name] == DATE.name):
                raise ValueError(f"features that leave out the {role} column, {name}")
        return self

    @model_validator(mode="after")
    def _formats_are_of_columns(self) -> DataParams:
        columns = {*self.features, self.target, self.key, self.time} - {None}
        by_column = self.missing if isinstance(self.missing, dict) else {}
        for name in (*self.formats, *by_column):
            if name not in columns:
                raise ValueError(f"formats and missing words of columns that data names, and not of {name}")
        for name, format in self.formats.items():
            type = feature_types.find(self.features[name]) if name in self.features else None
            if not format.suits(type):
                raise ValueError(f"formats of the columns' types, and not a {format.name} format of {name}")
        return self


class ModelParams(Section):
    """The model: what is fitted, and how."""

    builder: str
    """The module, a path in the project, that holds ``build(params, schema) -> estimator`` or the four
    functions of a model outside scikit-learn."""
    task: Task
    """What is predicted: one of two labels, one of several, or a number."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Passed to ``build``."""
    threshold: float | None = Field(default=None, gt=0.0, lt=1.0)
    """The score from which the second of two labels is predicted; default: the likelier label."""
    costs: Costs | None = None
    """What errors cost, in place of a threshold: `{false_positive: 1, false_negative: 5}` of two labels; of
    more `{label: cost}`, or `{label: {predicted: cost}}`, where what is not named costs 1. The label with the
    least expected cost is predicted, and `gate.metric` may be `cost`."""
    trusted: tuple[str, ...] = ()
    """Types that the model file may hold beyond the reviewed list, by dotted name."""
    packages: tuple[str, ...] = ()
    """Packages the module imports beyond scikit-learn's, by their names in requirements.lock; the model's
    image installs them."""
    search: SearchParams | None = None
    """Try values of `params` and use the best; default: use `params` as it is."""
    seed: int = 0
    """Seeds the fit, the search and the drift thresholds."""

    _rule = field_validator("threshold", "costs")(suits_the_task)

    @property
    def decision(self) -> Decision | None:
        """The rule that makes a label of the probabilities; None where the likeliest is predicted."""
        return Decision.of(self.threshold, self.costs)


class TrainParams(Section):
    """Which rows are fitted, and which are predicted out of fold to judge the recipe."""

    window: Length = timedelta(days=60)
    """How far back the rows to fit reach: from the newest row for the model that ships, from its origin for
    a fold."""
    holdout: Length = timedelta(days=14)
    """The newest rows: predicted out of fold, by models that were fitted on the rows before them. The gate
    compares on them; the model that ships is fitted on them too."""
    folds: int = Field(default=3, ge=1, le=20)
    """Into how many stretches `holdout` is cut. Each is predicted by a fit of its own, so that the newest fit
    has seen what changed."""
    gap: Duration = timedelta(days=1)
    """Left out between the rows that are fitted and those that are predicted, so that labels known late do
    not leak; with event time no shorter than `monitor.label_maturity`."""


class GateParams(Section):
    """When a challenger replaces the champion."""

    metric: Metric = "log_loss"
    """The loss of a row; the lower mean wins. A regression takes `squared_error`, its default, or
    `absolute_error`; labels take the others, `cost` where `model.costs` is set."""
    min_improvement: float = Field(default=0.0, ge=0.0)
    """By how much at least the new model must be better: the lower end of the improvement's confidence
    interval must exceed it. In the metric's unit."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1.0)
    """Confidence level of the gate's intervals."""
    block: Length = timedelta(days=1)
    """Rows within one block of time are taken to rise and fall together."""
    min_rows: int = Field(default=500, ge=1)
    """Rows that are new to the champion, needed for a verdict; with fewer nothing is trained."""
    min_blocks: int = Field(default=5, ge=2)
    """Blocks of such rows needed for a verdict; with fewer nothing is trained."""


class MonitorParams(Section):
    """When a window of served rows has drifted."""

    window: Length = timedelta(days=30)
    """The length of a judged window, in event time."""
    label_maturity: Duration = timedelta(days=1)
    """How long after its event time a row's label may still come; younger rows are not judged by labels."""
    min_rows: int = Field(default=500, ge=30)
    """Served rows a window needs; with fewer its columns are `insufficient`."""
    min_coverage: float = Field(default=0.5, ge=0.0, le=1.0)
    """The share of labelled rows below which a window's quality is `unknown`; and, of the rows served since
    those that the champion was fitted on, below which a retraining is refused. Rows younger than
    `label_maturity` do not count."""
    alpha: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Accepted rate of false alarms per window, over all columns together; and of the quality by labels, over
    all looks at a window."""
    min_effect: float = Field(default=0.1, ge=0.0)
    """A statistic below this is never drift, however significant; nor is a loss worse that rose by less than
    this share."""
    confirm: int = Field(default=2, ge=1)
    """How many of the last `of` windows must have drifted to confirm drift."""
    of: int = Field(default=3, ge=1)
    """How many windows are looked back on, the newest included."""
    accept: tuple[str, ...] = ()
    """Features whose break is the new normal, as another unit that stays: one that is found broken counts as
    drifted, and keeps no retraining from starting."""

    @model_validator(mode="after")
    def _k_of_n(self) -> MonitorParams:
        if self.confirm > self.of:
            raise ValueError(f"confirm no greater than of ({self.of})")
        return self


class RetrainParams(Section):
    """When a retraining may start."""

    policy: Literal["on_drift", "never"] = "on_drift"
    """Whether confirmed drift starts a retraining. A person or a schedule can always start one."""
    cooldown: Duration = timedelta(days=7)
    """Event time that must pass after the champion was trained before new drift may start a retraining; a
    follow-up of earlier drift does not wait."""
    min_rows: int = Field(default=1000, ge=1)
    """Labelled rows, served or ingested, that a retraining needs and that are newer than those the champion
    was fitted on; for one that drift starts, newer than those that the gate rejected the last one on, too."""


class ExposeParams(Section):
    """How other machines reach the predictions: with the token of `MLOPS_SERVING_TOKEN`, over TLS."""

    address: str = Field(default="0.0.0.0:8443", pattern=r"^([\d.]+|\[[\da-fA-F:]+\]):\d{1,5}$")
    """Where the gateway listens for them: an address of this machine, or 0.0.0.0 for all, and a port."""
    certificate: str | None = Field(default=None, min_length=1)
    """A file with the certificate and those it depends on (PEM), in the project or absolute; default: the
    gateway makes one of its own, which no client trusts unasked."""
    key: str | None = Field(default=None, min_length=1)
    """The file of its key (PEM), readable by you alone."""

    @model_validator(mode="after")
    def _both_or_neither(self) -> ExposeParams:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key together, or neither")
        return self


class DeployParams(Section):
    """How a model is served."""

    target: Annotated[str, AfterValidator(check_target)] = AUTO
    """`docker`, `process`, or `FILE.py:NAME` for a class of the project; `auto`: a container if an engine
    answers, else a local process."""
    memory: str = Field(default="1g", pattern=r"^\d+[mg]$")
    """Memory a container may use."""
    cpus: float = Field(default=1.0, gt=0.0)
    """Processors a container may use."""
    max_rows: int = Field(default=10_000, ge=1)
    """Rows per request, at most."""
    max_body: int = Field(default=1024 * 1024, ge=1024)
    """Bytes per request, at most."""
    keep: int = Field(default=3, ge=1)
    """How many images are kept."""
    expose: ExposeParams | None = None
    """How other machines reach the predictions; default: only this machine does."""


class KeepParams(Section):
    """What is kept on this machine; `mlops gc` removes the rest. For images see `deploy.keep`."""

    reports: int = Field(default=26, ge=1)
    """How many of the newest drift reports are kept; MLflow has all of them."""
    bundles: int = Field(default=3, ge=1)
    """How many of the newest promotions keep their bundles, besides what serves; MLflow has all of them."""
    judged: Duration = timedelta(days=30)
    """How long the bundle of a version that was not promoted is kept."""
    rebuilt: Duration = timedelta(days=7)
    """How long a work tree that `mlops reproduce` left is kept."""
    logs: Duration = timedelta(days=30)
    """How long a log that nobody writes to any more is kept."""
    predictions: Duration | None = None
    """How long served rows, the next training data, are kept (event time); default: for ever."""
    quarantine: Duration | None = None
    """How long rows that broke the contract are kept; default: for ever."""
    aside: Duration | None = None
    """How long `.mlops/aside` keeps altered files of the data, and what `mlops restore` replaced; default:
    for ever."""


class ScoreParams(Section):
    """What `mlops score` without arguments reads and writes."""

    source: str | None = Field(default=None, min_length=1)
    """A table: a path in the project, or an absolute one."""
    destination: str | None = Field(default=None, min_length=1)
    """A file that ends in .parquet, .csv or .jsonl, or a folder."""


class ScheduleParams(Section):
    """When flows run by themselves: an interval such as `6h`, or a cron line; else by hand or by event."""

    timezone: Annotated[str, AfterValidator(check_timezone)] = "UTC"
    """IANA name of the time zone of cron lines, and of the midnight that intervals count from."""
    ingest: When | None = None
    """Add what is new in `data.source`, which it needs."""
    monitor: When | None = None
    """Judge the window that ends with the newest served row."""
    score: When | None = None
    """Score `score.source` into `score.destination`."""
    retrain: When | None = None
    """Retrain, whether anything drifted or not; the gate decides as always."""

    def of(self, flow: str) -> Cadence | None:
        """Return when a flow of `SCHEDULED` runs, or None where it does not by itself."""
        return cast("Cadence | None", getattr(self, flow))


SCHEDULED = tuple(name for name in ScheduleParams.model_fields if name != "timezone")
"""The flows that may have a schedule."""


class Params(Section):
    """params.yaml, whole."""

    version: Annotated[int, AfterValidator(check_version)] = VERSION
    """Of the file's format; one that this version of mlops does not know is refused."""
    data: DataParams
    model: ModelParams
    train: TrainParams = TrainParams()
    gate: GateParams = GateParams()
    monitor: MonitorParams = MonitorParams()
    retrain: RetrainParams = RetrainParams()
    deploy: DeployParams = DeployParams()
    score: ScoreParams = ScoreParams()
    schedule: ScheduleParams = ScheduleParams()
    keep: KeepParams = KeepParams()

    @model_validator(mode="before")
    @classmethod
    def _measured_as_its_task_is(cls, value: Any) -> Any:
        model, gate = (
            value.get(name, {}) if isinstance(value, Mapping) else None for name in ("model", "gate")
        )
        if not (isinstance(model, Mapping) and isinstance(gate, Mapping)) or "metric" in gate:
            return value
        if model.get("task") not in task_types.REGISTER:
            return value  # which is refused by its own path
        metric = task_types.find(model["task"]).default_loss
        return {**value, "gate": {**gate, "metric": metric}}
