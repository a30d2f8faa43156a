"""A project with its adapters at hand, each opened when first used.

What the flows' tasks and the CLI's commands stand on, and what `mlops.open` gives to people. Nothing here
decides: it knows where things are. Importing it loads nothing heavy: `mlops status` answers in a
fraction of a second.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock

from mlops.config.params import Params
from mlops.config.project_folder import ProjectFolder, find_project, load_params
from mlops.errors import NothingPromotedError
from mlops.files import private
from mlops.ledger.records import DeploymentServed, ModelPromoted, ModelRegistered
from mlops.moments import parse_moment
from mlops.project import frames, locks, summary, trained_model
from mlops.project.project_data import ProjectData

if TYPE_CHECKING:
    from mlops.adapters.mlflow.tracking import MlflowRegistry
    from mlops.adapters.traefik import TraefikGateway
    from mlops.deployment.exposure import Exposure
    from mlops.deployment.rollout import Target, TargetContext
    from mlops.ledger.entry import Entry
    from mlops.ledger.record import Record
    from mlops.ledger.store import Ledger
    from mlops.model.bundle import Bundle
    from mlops.project.trained_model import TrainedModel
    from mlops.schema import Schema

log = logging.getLogger("mlops")

__all__ = ["Project"]

R = TypeVar("R", bound="Record")


@dataclass(frozen=True, repr=False)
class Project:
    """A project and the adapters it is set up for: what `mlops.open` returns.

    `champion` and `version` are models that predict; `predictions`, `windows`, `decisions` and
    `versions` are DataFrames, `data` has more. The rest is what the commands stand on.

    Parameters
    ----------
    folder
        Where its parts lie.
    tree
        The work tree whose params.yaml applies; default: the person's.

    Examples
    --------
    >>> project = mlops.open(".")
    >>> predicted = project.champion.predict(rows)
    >>> log = project.predictions(since="2026-01-10", labels=True)
    """

    folder: ProjectFolder
    tree: Path | None = None

    # For people; documented where they are defined.
    predictions = frames.predictions
    windows = frames.windows
    decisions = frames.decisions
    versions = frames.versions
    quarantine = frames.quarantine
    version = trained_model.version

    @property
    def champion(self) -> TrainedModel:
        """The version that was promoted last.

        Raises
        ------
        mlops.errors.NothingPromotedError
            There is none yet. Train one: `mlops train`.
        """
        return trained_model.champion(self)

    @property
    def data(self) -> ProjectData:
        """The versions of the data: `log` lists them, `read` returns the rows of one."""
        return ProjectData(self)

    def __repr__(self) -> str:
        return summary.text(self)

    def _repr_html_(self) -> str:
        return summary.html(self)

    @classmethod
    def at(cls, path: Path | str, tree: Path | None = None) -> Project:
        """Open the project that `path` lies in; what is trained in `tree` is judged by what `tree` says."""
        return cls(find_project(Path(path)), tree)

    @cached_property
    def params(self) -> Params:
        """The params.yaml of the tree, or of the project."""
        return load_params(self.tree / "params.yaml") if self.tree else self.folder.params

    @cached_property
    def schema(self) -> Schema:
        """The columns of the project's table."""
        from mlops.schema import Schema

        return Schema.from_params(self.params)

    @property
    def serving_schema(self) -> Schema:
        """The columns of the deployed model; those of the project's table before the first deployment."""
        try:
            return self.bundle_of(self.served()).schema
        except NothingPromotedError:
            return self.schema

    @cached_property
    def ledger(self) -> Ledger:
        """The project's ledger."""
        from mlops.ledger.store import Ledger

        return Ledger(self.folder.ledger_uri)

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger yet: looking must not begin one."""
        return self.folder.settings.ledger_uri is not None or (self.folder.home / "ledger.db").is_file()

    def recorded(self, kind: type[R]) -> list[Entry[R]]:
        """Return the ledger's rows of a kind, oldest first."""
        return self.ledger.entries(kind) if self.has_ledger else []

    @cached_property
    def registry(self) -> MlflowRegistry:
        """The project's runs and versions in MLflow."""
        from mlops.adapters.mlflow.tracking import MlflowRegistry
        from mlops.model import card
        from mlops.net import credentials

        name = self.params.data.name
        about = card.project(name, self.schema, self.params.gate)
        return MlflowRegistry(
            self.folder.mlflow_uri,
            name,
            about=about,
            project=self.origin,
            access=credentials.for_mlflow(self.folder.settings),
            variables=credentials.variables(self.folder.settings),
        )

    @cached_property
    def origin(self) -> str:
        """The project's first commit, shortened; empty if unknown."""
        from mlops.adapters.git.worktree import Tree

        return (Tree(self.folder.root).root_commit() or "")[:12]

    @cached_property
    def target(self) -> Target:
        """The deploy target that `deploy.target` names."""
        from mlops.project import target_choice

        return target_choice.choose(self.params.deploy.target, self._target_context)

    @property
    def targets(self) -> list[Target]:
        """Every target that a service of this project may run on."""
        from mlops.project import target_choice

        return target_choice.available(self.params.deploy.target, self._target_context)

    @property
    def _target_context(self) -> TargetContext:
        from mlops.deployment.rollout import TargetContext

        folder = self.folder
        return TargetContext(self.params.data.name, folder.root, folder.home, folder.settings.base_image)

    @cached_property
    def exposure(self) -> Exposure | None:
        """How other machines reach the predictions; None where only this one does.

        Raises
        ------
        mlops.errors.ConfigError
            params.yaml wants it and the environment has no token, or a file is not there.
        """
        wanted = self.folder.params.deploy.expose
        if wanted is None:
            return None
        from mlops.deployment.exposure import exposure

        return exposure(
            wanted.address,
            certificate=wanted.certificate,
            key=wanted.key,
            token=self.folder.settings.serving_token,
            root=self.folder.root,
        )

    @cached_property
    def gateway(self) -> TraefikGateway:
        """The gateway, the one address that clients use."""
        from mlops.adapters.traefik import TraefikGateway

        settings = self.folder.settings
        return TraefikGateway(
            self.folder.home / "gateway",
            port=settings.gateway_port,
            api_port=settings.gateway_api_port,
            exposure=lambda: self.exposure,
        )

    @property
    def promotion(self) -> Entry[ModelPromoted] | None:
        """The ledger's newest promotion: version, digest and all it was promoted with."""
        return self.ledger.last(ModelPromoted)

    def promoted(self) -> Entry[ModelPromoted]:
        """Return the newest promotion.

        Raises
        ------
        NothingPromotedError
            There is none.
        """
        promotion = self.promotion
        if promotion is None:
            raise NothingPromotedError
        return promotion

    def served(self) -> Entry[ModelPromoted]:
        """Return the promotion of what serves.

        Raises
        ------
        NothingPromotedError
            Nothing was ever deployed.
        """
        deployed = self.ledger.last(DeploymentServed)
        promoted = self.ledger.get(deployed.cause, ModelPromoted) if deployed else None
        if promoted is None:
            raise NothingPromotedError("deployed", "mlops deploy")
        return promoted

    def moment(self, as_of: datetime | None) -> datetime:
        """Return an event time in UTC, which is also the default time zone; default: the present."""
        # One moment has one name, in the ledger and in messages.
        return self.present() if as_of is None else parse_moment(as_of)

    def present(self) -> datetime:
        """Return the present in event time: just after the newest served row, if rows have a time.

        Rows without an event time do not count, nor do rows in the future: the wall clock is the upper bound.
        """
        from mlops.prediction_log import reader

        now = datetime.now(UTC)
        if self.schema.time is None:
            return now
        newest = reader.newest(self.folder.predictions, before=now)
        return now if newest is None else newest + timedelta(microseconds=1)

    def bundle_of(self, entry: Entry[ModelPromoted | ModelRegistered]) -> Bundle:
        """Return the bundle that a ledger's entry names by digest and version.

        From this machine, or else from MLflow.
        """
        return self.bundle(entry.record.digest, entry.record.version)

    def bundle(self, digest: str, version: str) -> Bundle:
        """Return a version's bundle, from this machine or else from MLflow."""
        from mlops.project import bundle_store

        return bundle_store.obtain(
            self.folder.bundles, digest, lambda folder: self.registry.fetch(version, folder)
        )

    def keep_bundle(self, source: Path) -> Bundle:
        """Copy a freshly trained bundle to where bundles are kept, under its digest."""
        from mlops.project import bundle_store

        return bundle_store.keep(self.folder.bundles, source)

    def lock(self, name: str, *, patience: float = -1) -> FileLock:
        """Return a lock between processes; the system drops it when its holder dies."""
        private.create_folder(self.folder.home)
        folder = private.create_folder(self.folder.home / "locks")
        return FileLock(folder / name, timeout=patience)

    def hold(self, name: str, *, patience: float, refusal: str, remedy: str) -> AbstractContextManager[None]:
        """Hold a lock for which to wait `patience` seconds at most: see `mlops.project.locks.hold`."""
        return locks.hold(self.lock(name, patience=patience), refusal=refusal, remedy=remedy)
