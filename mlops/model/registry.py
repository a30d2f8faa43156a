"""Runs and model versions: what was trained from what, and what may be served.

The registry names a model by version and its content by digest. Aliases are for people:
they mirror the ledger's decisions, nothing is deployed by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from mlops.model.trials import Trial

__all__ = ["CHALLENGER", "CHAMPION", "FLOW_RUN", "ModelVersion", "Registry", "RowsUsed", "TrainingRun"]

CHAMPION = "champion"
"""The alias of the version that was promoted last."""
CHALLENGER = "challenger"
"""The alias of the version that was last put before the gate, unless it became the champion."""
FLOW_RUN = "mlops.flow_run"
"""The tag of a run that names the flow run which logged it."""


@dataclass(frozen=True)
class RowsUsed:
    """Rows that a training read.

    Parameters
    ----------
    name
        As ``flights-train``.
    context
        ``training`` or ``evaluation``.
    digest
        Names their content, in up to 36 characters: equal digests are equal rows.
    path
        Their file in the project.
    rows
        How many.
    """

    name: str
    context: str
    digest: str
    path: str
    rows: int


@dataclass(frozen=True)
class TrainingRun:
    """What one training leaves for the registry.

    Parameters
    ----------
    lock_sha
        The sha256 of the dvc.lock that the training wrote: equal locks are equal runs.
    commit, branch
        The commit that holds that dvc.lock, and where it was made.
    data_md5
        The version of the data, as DVC names it.
    data_path
        Where the data lies in the project, as ``data/lake``.
    bundle
        The bundle's folder.
    name, description
        As people read them, the description in Markdown.
    source
        What ran it, as ``flows/train.py``.
    rows
        What was fitted and what was held out.
    params
        May be nested: ``{"model": {"seed": 1}}`` is shown as ``model.seed``.
    metrics
        By name; those before the same slash are shown together: ``holdout/log_loss``.
    plots
        Tables, CSV by file name; drawn too, where the registry has pictures.
    card
        The model card, Markdown.
    trials
        Of the search that chose the parameters; each is kept as a run within this one.
    loss
        The name of the loss that the trials are measured by.
    tags
        Whatever else a person should find on the run, as the flow that ran it.
    """

    lock_sha: str
    commit: str
    data_md5: str
    data_path: str
    bundle: Path
    name: str
    description: str = ""
    source: str = ""
    branch: str = ""
    rows: Sequence[RowsUsed] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    plots: Mapping[str, bytes] = field(default_factory=dict)
    card: str = ""
    trials: Sequence[Trial] = ()
    loss: str = ""
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
        """Give a version an alias, taken from whichever held it, and tags, which its run gets too.

        The champion is nobody's challenger: the one alias ends the other.
        """
        ...

    def find(self, version: str) -> ModelVersion | None:
        """Return the version of this number or alias, if there is one."""
        ...

    def fetch(self, version: str, folder: Path) -> Path:
        """Bring a version's bundle into `folder`, its digest checked."""
        ...
