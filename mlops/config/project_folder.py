"""A project: the folder that holds a params.yaml, where its parts lie, and its files read and checked.

The only reader of params.yaml, as `settings` is of the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from mlops import feature_types, task_types
from mlops.config.params import Params
from mlops.config.settings import Settings, load_settings
from mlops.config.source_params import SOURCES
from mlops.errors import ConfigError, UsageError
from mlops.files import private, user_module, yaml
from mlops.register import Register
from mlops.task_types import losses

__all__ = ["ProjectFolder", "find_project", "load_params"]


@dataclass(frozen=True)
class ProjectFolder:
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
    def aside(self) -> Path:
        """Where the altered copy of a data file goes when the file is restored."""
        return self.home / "aside" / "data"

    @property
    def reproductions(self) -> Path:
        """Where versions are made again, each in a scratch work tree."""
        return self.home / "reproduce"

    @property
    def attempts(self) -> Path:
        """Where a training with parameters of its own works, in a scratch work tree."""
        return self.home / "try"

    @property
    def searches(self) -> Path:
        """Where a search keeps the trials that have ended, until what they led to is kept."""
        return self.home / "search"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's address."""
        local = f"http://127.0.0.1:{self.settings.mlflow_port}"
        return (self.settings.mlflow_tracking_uri or local).rstrip("/")

    @property
    def prefect_uri(self) -> str:
        """The address of Prefect's API."""
        local = f"http://127.0.0.1:{self.settings.prefect_port}/api"
        return (self.settings.prefect_api_url or local).rstrip("/")

    @property
    def address(self) -> str:
        """The gateway's address, for predictions."""
        return f"http://127.0.0.1:{self.settings.gateway_port}"

    @cached_property
    def params(self) -> Params:
        """params.yaml as first read."""
        return load_params(self.root / "params.yaml")


def find_project(start: Path, settings: Settings | None = None) -> ProjectFolder:
    """Return the project that `start` lies in.

    Raises
    ------
    UsageError
        Neither `start` nor a folder above it holds a params.yaml.
    """
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "params.yaml").is_file():
            private.close_to_others(folder / ".mlops")
            return ProjectFolder(folder, settings or load_settings(folder / ".env"))
    raise UsageError(
        f"{start} is not in a project: no params.yaml here or above.",
        remedy="Go to the project's folder, or pass --project FOLDER.",
    )


def load_params(path: Path) -> Params:
    """Read and check a params.yaml.

    Sections that a stage of the dvc.yaml beside it names are the user's own and pass.

    Raises
    ------
    UsageError
        There is no such file.
    ConfigError
        It is not YAML, has an unknown key or a bad value.
    """
    return read_params(yaml.read(path), path.parent)


def read_params(content: Any, root: Path) -> Params:
    """Check the content of a params.yaml that lies, or would lie, in the folder `root`; see `load_params`."""
    if not isinstance(content, dict):
        raise ConfigError("the file", value=type(content).__name__, allowed="a mapping of sections")
    stage_sections = _sections_of_stages(root / "dvc.yaml") - set(Params.model_fields)
    _register_module(content, root)
    try:
        params = Params.model_validate({k: v for k, v in content.items() if k not in stage_sections})
    except ValidationError as exc:
        raise _config_error(exc) from exc
    costs = [loss.name for loss in losses.REGISTER if loss.needs_costs and params.model.costs]
    allowed = (*task_types.find(params.model.task).losses, *costs)
    if params.gate.metric not in allowed:
        raise ConfigError(
            "gate.metric",
            value=params.gate.metric,
            allowed=f"{', '.join(allowed)}: model.task is {params.model.task}"
            + ("" if params.model.costs else ", and model.costs is not set"),
        )
    if unknown := [name for name in params.monitor.accept if name not in params.data.features]:
        features = f"features: {', '.join(params.data.features)}"
        raise ConfigError("monitor.accept", value=unknown[0], allowed=features)
    if params.schedule.ingest and params.data.source is None:
        raise ConfigError("data.source", value="nothing", allowed="a path: schedule.ingest needs one")
    return params


def _register_module(content: dict[str, Any], root: Path) -> None:
    """Run the project's module where params.yaml uses a word that nothing has registered yet.

    Only then: it may take seconds to import what it needs.
    """
    data, model, gate = (content.get(name) for name in ("data", "model", "gate"))
    sections = [section if isinstance(section, dict) else {} for section in (data, model, gate)]
    features = sections[0].get("features")
    used: list[tuple[Any, Register[Any]]] = [
        (type, feature_types.REGISTER) for type in (features.values() if isinstance(features, dict) else ())
    ]
    used += [(sections[1].get("task"), task_types.REGISTER), (sections[2].get("metric"), losses.REGISTER)]
    builder = sections[1].get("builder")
    unknown = any(isinstance(word, str) and word not in register for word, register in used)
    if unknown and isinstance(builder, str) and (root / builder).is_file():
        user_module.load_project((root / builder).read_bytes(), builder)


def _sections_of_stages(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    content = yaml.read(path)
    try:
        stages = (content or {}).get("stages") or {}
        bodies = [stage.get("do", stage) for stage in stages.values()]  # that of a foreach is under do
        named = [name for body in bodies for name in body.get("params") or []]
    except (AttributeError, TypeError) as exc:
        raise ConfigError("the file", value=str(exc), allowed="a pipeline of DVC", file=path.name) from exc
    return {name.split(".")[0] for name in named if isinstance(name, str)}


def _config_error(exc: ValidationError) -> ConfigError:
    first = exc.errors()[0]
    keys, section = _place(first["loc"])
    path = ".".join(keys) or "the file"
    if first["type"] == "extra_forbidden":
        return ConfigError(path, value=path, allowed=", ".join(section.model_fields))
    if first["type"] == "missing":
        return ConfigError(path, value="nothing", allowed="a value, which it must have")
    allowed = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return ConfigError(path, value=first["input"], allowed=allowed)


def _place(location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """Return a place's keys as the file has them, and the section that its last key stands in."""
    keys = [str(part) for part in location]
    if keys[:2] == ["data", "source"] and len(keys) > 2:
        # pydantic inserts the kind of source that it took the mapping for.
        return keys[:2] + keys[3:], SOURCES.get(keys[2])
    section: Any = Params
    for key in location[:-1]:
        section = _within(section, key)
    return keys, section


def _within(section: Any, part: Any) -> Any:
    """Return what a key leads to: the field of a section, or of a mapping the kind of its values.

    None where the file's value has no place.
    """
    if not hasattr(section, "model_fields"):
        return next(iter(get_args(section)[1:]), None)
    if part not in section.model_fields:
        return None
    annotation = section.model_fields[part].annotation
    return get_args(annotation)[0] if type(None) in get_args(annotation) else annotation
