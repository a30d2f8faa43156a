"""Records of the models: registered, promoted, shown in MLflow, reproduced, rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from mlops.ledger.record import Record

__all__ = [
    "ModelMarked",
    "ModelPromoted",
    "ModelRegistered",
    "ModelReproduced",
    "ModelRolledBack",
]


@dataclass(frozen=True, kw_only=True)
class ModelRegistered(Record):
    """A trained model in MLflow's registry: its run, its bundle's digest, its commit and its data."""

    kind: ClassVar[str] = "model.registered"
    key_template: ClassVar[str | None] = "registered:{name}:{version}:{run_id}"

    name: str
    version: str
    run_id: str
    digest: str
    commit: str
    data_md5: str

    @property
    def sentence(self) -> str:
        """The version, and what it was trained on."""
        return f"Version {self.version} was registered, trained on data version {self.data_md5[:12]}."


@dataclass(frozen=True, kw_only=True)
class ModelPromoted(Record):
    """A version that became the champion, by the gate or by a person.

    Parameters
    ----------
    fitted_until
        The end of the rows it was fitted on; after a rollback, of those that the replaced version was. Only
        later rows judge its challengers. None without a time column.
    """

    kind: ClassVar[str] = "model.promoted"
    key_template: ClassVar[str | None] = "promoted:{cause}"

    name: str
    version: str
    run_id: str
    digest: str
    commit: str
    data_md5: str
    fitted_until: datetime | None = None

    @classmethod
    def of(cls, model: ModelRegistered, *, fitted_until: datetime | None) -> ModelPromoted:
        """Promote a registered version."""
        return cls(**vars(model), fitted_until=fitted_until)

    @property
    def sentence(self) -> str:
        """The version."""
        return f"Version {self.version} was promoted."


@dataclass(frozen=True, kw_only=True)
class ModelMarked(Record):
    """MLflow shows a verdict or a promotion: its tags, and the alias where it moved one."""

    kind: ClassVar[str] = "model.marked"
    key_template: ClassVar[str | None] = "marked:{cause}"

    alias: str | None = None

    @property
    def sentence(self) -> str:
        """What MLflow shows."""
        return f"MLflow shows it{f' under the alias {self.alias}' if self.alias else ''}."


@dataclass(frozen=True, kw_only=True)
class ModelReproduced(Record):
    """A version that was trained again from its commit, and how the two compare.

    Parameters
    ----------
    rebuilt
        The digest of the second model.
    outcome
        See `mlops.model.reproducibility.Reproduction`.
    differences
        The inputs that differ.
    rows, differing, largest
        Held-out rows that both predicted, those of them with another prediction, and by how much.
    summary
        The comparison, for a person.
    """

    kind: ClassVar[str] = "model.reproduced"

    version: str
    digest: str
    rebuilt: str
    identical: bool
    outcome: str
    differences: tuple[str, ...] = ()
    rows: int | None = None
    differing: int | None = None
    largest: float | None = None
    summary: str

    @property
    def sentence(self) -> str:
        """How the two compare."""
        return self.summary


@dataclass(frozen=True, kw_only=True)
class ModelRolledBack(Record):
    """A version that a person put back in the place of the champion.

    Parameters
    ----------
    version, digest
        What is the champion again.
    replaced, replaced_digest, replaced_promotion
        The version it replaced, its digest, and the id of its promotion.
    reason
        The person's words; may be empty.
    """

    kind: ClassVar[str] = "model.rolled_back"
    key_template: ClassVar[str | None] = "rolled-back:{replaced_promotion}:{cause}"

    version: str
    digest: str
    replaced: str
    replaced_digest: str
    replaced_promotion: str
    reason: str = ""

    @property
    def promote(self) -> bool:
        """A person's decision promotes, as a verdict may."""
        return True

    @property
    def sentence(self) -> str:
        """Both versions and the person's words."""
        words = f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"Version {self.version} was put back by hand in place of version {self.replaced}{words}."
