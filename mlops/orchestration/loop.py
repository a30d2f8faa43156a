"""A project with its adapters at hand, each opened when first used.

What the flows' tasks and the CLI's verbs stand on. Nothing here decides: it knows where
things are.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from mlops import bundle, prediction_log
from mlops.bundle import Bundle
from mlops.config import Params, Project, find_project
from mlops.errors import MlopsError, UnavailableError
from mlops.ledger import Entry, Ledger
from mlops.schema import Schema

if TYPE_CHECKING:
    from mlops.adapters.docker import DockerTarget
    from mlops.adapters.mlflow import MlflowRegistry
    from mlops.adapters.process import ProcessTarget
    from mlops.adapters.traefik import TraefikGateway
    from mlops.deployment import Target

log = logging.getLogger("mlops")

__all__ = ["Loop", "NothingPromotedError"]


class NothingPromotedError(MlopsError):
    """The project has no champion yet, or none that serves."""

    def __init__(self, what: str = "promoted", verb: str = "mlops train") -> None:
        super().__init__(f"No model has been {what} yet.", remedy=f"Run `{verb}` first.")


@dataclass(frozen=True)
class Loop:
    """A project and the adapters it is set up for."""

    project: Project

    @classmethod
    def at(cls, path: Path | str) -> Loop:
        """Open the project that `path` lies in."""
        return cls(find_project(Path(path)))

    @property
    def params(self) -> Params:
        """The project's params.yaml."""
        return self.project.params

    @cached_property
    def schema(self) -> Schema:
        """The columns of the project's table."""
        return Schema.from_params(self.params)

    @cached_property
    def ledger(self) -> Ledger:
        """The project's ledger."""
        return Ledger(self.project.ledger_uri)

    @cached_property
    def registry(self) -> MlflowRegistry:
        """The project's runs and versions in MLflow."""
        from mlops.adapters.mlflow import MlflowRegistry

        return MlflowRegistry(self.project.mlflow_uri, self.params.data.name)

    @cached_property
    def target(self) -> Target:
        """Where models run: a container engine where one is asked for or can be used."""
        wanted = self.params.deploy.target
        if wanted == "process":
            return self._process
        if wanted == "auto":
            try:
                self._docker.check()
            except UnavailableError as exc:
                log.info("no container: %s A local process serves instead.", exc.message)
                return self._process
        return self._docker

    @property
    def targets(self) -> list[Target]:
        """Every place a service of this project may run in.

        An engine that comes or goes changes which is chosen, and must not hide a service.
        """
        from mlops.adapters.docker import available

        return [self._docker, self._process] if available() else [self._process]

    @cached_property
    def _docker(self) -> DockerTarget:
        from mlops.adapters.docker import DockerTarget

        return DockerTarget(
            self.params.data.name,
            home=self.project.home,
            base=self.project.settings.base_image,
            lock=self.project.root / "requirements.lock",
            template=self.project.root / "models" / "Dockerfile",
        )

    @cached_property
    def _process(self) -> ProcessTarget:
        from mlops.adapters.process import ProcessTarget

        return ProcessTarget(self.project.home)

    @cached_property
    def gateway(self) -> TraefikGateway:
        """The one address clients know."""
        from mlops.adapters.traefik import TraefikGateway

        settings = self.project.settings
        return TraefikGateway(
            self.project.home / "gateway", port=settings.gateway_port, api_port=settings.gateway_api_port
        )

    @property
    def champion(self) -> Entry | None:
        """The ledger's newest promotion: version, digest and all it was promoted with."""
        return self.ledger.last("model.promoted")

    def promoted(self) -> Entry:
        """Return the newest promotion.

        Raises
        ------
        NothingPromotedError
            There is none.
        """
        champion = self.champion
        if champion is None:
            raise NothingPromotedError
        return champion

    def served(self) -> Entry:
        """Return the promotion of what serves.

        Raises
        ------
        NothingPromotedError
            Nothing was ever deployed.
        """
        deployed = self.ledger.last("deployment.served")
        promoted = self.ledger.get(deployed.cause or "") if deployed else None
        if promoted is None:
            raise NothingPromotedError("deployed", "mlops deploy")
        return promoted

    def present(self) -> datetime:
        """Return the present in event time: just after the newest row served, where rows have one."""
        if self.schema.time is not None:
            served = prediction_log.read(self.project.predictions, self.schema)
            if len(served):
                newest: datetime = served["time"].max().to_pydatetime()
                return newest + timedelta(microseconds=1)
        return datetime.now(UTC)

    def bundle_of(self, entry: Entry) -> Bundle:
        """Return the bundle that a ledger's entry names by digest and version.

        From this machine, or else from MLflow.
        """
        digest, version = entry.body["digest"], entry.body["version"]
        folder = self.project.bundles / digest
        if not folder.is_dir():
            with _partial(folder) as partial:
                self.registry.fetch(version, partial)
        return bundle.open(folder, digest=digest)

    def keep_bundle(self, source: Path) -> Bundle:
        """Copy a freshly trained bundle to where bundles are kept, under its digest."""
        digest = bundle.open(source).digest
        folder = self.project.bundles / digest
        if not folder.is_dir():
            with _partial(folder) as partial:
                shutil.copytree(source, partial)
        return bundle.open(folder, digest=digest)

    def lock(self, name: str, *, patience: float = -1) -> FileLock:
        """Return a lock between processes; the system drops it when its holder dies."""
        folder = self.project.home / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / name, timeout=patience)


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """Fill a folder under another name: killed midway, the folder itself never exists in part."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
        partial.rename(folder)
    except OSError:
        # Another process finished first: a digest names one content.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
