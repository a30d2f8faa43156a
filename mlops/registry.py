"""Runs and model versions: what was trained from what, and what may be served.

The registry names a model by version and its content by digest. Aliases are for people:
they mirror the ledger's decisions, nothing is deployed by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["CHALLENGER", "CHAMPION", "ModelVersion", "Registry", "TrainingRun"]

CHAMPION = "champion"
"""The alias of the version that serves."""
CHALLENGER = "challenger"
"""The alias of the version that was last put before the gate."""


@dataclass(frozen=True)
class TrainingRun:
    """What one training leaves for the registry.

    Parameters
    ----------
    lock_sha
        The sha256 of the dvc.lock that the training wrote: equal locks are equal runs.
    commit
        The commit that holds that dvc.lock.
    data_md5
        The version of the data, as DVC names it.
    data_path
        Where the data lies in the project, as ``data/lake``.
    rows
        Rows that were fitted.
    bundle
        The bundle's folder.
    params
        May be nested: ``{"model": {"seed": 1}}`` is shown as ``model.seed``.
    plots
        Content by file name.
    tags
        Whatever else a person should find on the run, as the flow that ran it.
    """

    lock_sha: str
    commit: str
    data_md5: str
    data_path: str
    rows: int
    bundle: Path
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    plots: Mapping[str, bytes] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelVersion:
    """A registered bundle, and where it came from.

    Parameters
    ----------
    version
        Its number, as text.
    digest
        Names the bundle's content.
    source
        Where the registry keeps the bundle, in the registry's own words.
    aliases
        Names that people gave it; may have been moved by hand.
    """

    name: str
    version: str
    run_id: str
    digest: str
    commit: str
    data_md5: str
    source: str
    aliases: tuple[str, ...] = ()


class Registry(Protocol):
    """Keeps runs and model versions of one project."""

    def log_run(self, run: TrainingRun, *, force: bool = False) -> str:
        """Keep a training and its bundle; return its run's id.

        Where a finished run of the same lock exists, that one is returned, unless `force`.
        """
        ...

    def register(
        self, run_id: str, digest: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Make the bundle of a run a version; the one that exists, if it is one already."""
        ...

    def mark(self, version: str, alias: str | None = None, *, tags: Mapping[str, str] | None = None) -> None:
        """Give a version an alias, taken from whichever held it, and tags."""
        ...

    def find(self, version: str) -> ModelVersion | None:
        """Return the version of this number or alias, if there is one."""
        ...

    def fetch(self, version: str, folder: Path) -> Path:
        """Bring a version's bundle into `folder`, its digest checked."""
        ...
