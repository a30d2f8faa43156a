"""What stands behind one prediction, for `mlops why`: read from the log, the labels and the ledger alone."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlops.adapters.mlflow.links import version_page
from mlops.config.target_names import describe_target
from mlops.errors import UsageError
from mlops.ledger.codec import encode
from mlops.ledger.records import (
    AnyDeployment,
    DeploymentServed,
    DriftChecked,
    QualityChecked,
    ScoringStarted,
    TableScored,
)
from mlops.prediction_log.lineage import Lineage
from mlops.project.context import Project

if TYPE_CHECKING:
    from mlops.ledger.entry import Entry
    from mlops.ledger.quality_verdict import QualityVerdict
    from mlops.ledger.record import Record
    from mlops.prediction_log.label_log import Label

__all__ = ["Trace", "trace"]

_WIDTH = 100
_MOST = 10
"""Rows of the ledger shown: in a loop that retrained for a year the causes go back all of it."""


@dataclass(frozen=True)
class Trace:
    """One prediction: what made it, why that was served, and the labels.

    Parameters
    ----------
    record
        The prediction as its service, or `mlops score`, logged it.
    served
        The ledger's row of what predicted: a deployment, or a scored table.
    labels
        Every label that came for it, oldest first: the last one counts.
    page
        The model version's page in MLflow.
    quality
        The newest verdict on the rows of this version around it; None before their labels are due.
    """

    record: Mapping[str, Any]
    lineage: Lineage
    served: Entry[AnyDeployment]
    labels: Sequence[Label]
    page: str
    quality: QualityVerdict | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        about = {name: getattr(self.served.record, name, None) for name in ("target", "image", "source")}
        labels = [{**asdict(label), "at": label.at.isoformat()} for label in self.labels]
        quality = encode(self.quality) if self.quality else None
        lineage = {name: value for name, value in self.lineage.to_dict().items() if name != "prediction"}
        return {**self.record, **lineage, **about, "labels": labels, "page": self.page, "quality": quality}

    def text(self) -> str:
        """Return it for people."""
        record, behind = self.record, self.lineage
        score = "" if record["score"] is None else f", score {record['score']}"
        rows = [
            ("Prediction", [f"{record['id']}, predicted {_minute(record['at'])}", *self._row()]),
            ("Output", [f"{record['prediction']}{score}"]),
            ("Features", [f"{name} = {json.dumps(value)}" for name, value in record["features"].items()]),
            ("Label", [str(label) for label in self.labels] or ["none yet"]),
            ("Quality", textwrap.wrap(self._quality(), _WIDTH)),
            ("Deployment", self._deployment()),
            ("Model", [f"version {behind.version}, bundle {_short(behind.digest)}, {self.page}"]),
            ("Run", [behind.run_id or "not recorded"]),
            ("Commit", [f"{_short(behind.commit)}, data version {_short(behind.data_md5)}"]),
            ("Decision", textwrap.wrap(behind.decision or "not recorded", _WIDTH)),
            ("Ledger", self._chain()),
        ]
        return "\n".join(_titled(title, lines) for title, lines in rows)

    def _row(self) -> list[str]:
        parts = [f"key {self.record['key']}"] if self.record["key"] is not None else []
        parts += [f"event time {_minute(self.record['time'])}"] if self.record["time"] else []
        return [", ".join(parts)] if parts else []

    def _quality(self) -> str:
        if self.quality is None:
            return "not judged yet: `mlops monitor` judges rows that are older than monitor.label_maturity"
        return self.quality.text.removeprefix("quality ")

    def _deployment(self) -> list[str]:
        served = self.served.record
        if isinstance(served, ScoringStarted | TableScored):
            return [self.lineage.deployment, f"scored from {served.source}"]
        if not isinstance(served, DeploymentServed):
            return [self.lineage.deployment, "not recorded"]
        where = describe_target(served.target)
        return [self.lineage.deployment, where + (f", image {served.image}" if served.image else "")]

    def _chain(self) -> list[str]:
        lines = [f"{entry.recorded_at:%Y-%m-%d %H:%M}  {entry.kind}" for entry in self.lineage.chain[:_MOST]]
        more = len(self.lineage.chain) - len(lines)
        return [*lines, *([f"and {more} earlier: see --json"] if more else [])]


def trace(project: Project, id: str) -> Trace:
    """Follow one prediction back to its data, its code and the decision that let its model serve.

    Raises
    ------
    UsageError
        The log holds no prediction of this id.
    MlopsError
        The ledger does not have the prediction's deployment: it is another project's, or was lost.
    """
    from mlops.prediction_log import label_log as labels
    from mlops.prediction_log import lineage, reader

    record = reader.find(project.folder.predictions, id)
    if record is None:
        raise UsageError(
            f"No prediction {id} in the prediction log.",
            remedy="The service and `mlops score` (`prediction_id`) return the id of each prediction, except "
            "with --no-log. Rows older than keep.predictions are deleted.",
        )
    entries = project.ledger.entries()
    behind = lineage.why(record, entries)
    # Of all that was recorded of a deployment, the row that it served knows most.
    about = lineage.of_deployment(behind.deployment, entries)
    served = next((each for each in reversed(about) if isinstance(each.record, DeploymentServed)), about[-1])
    return Trace(
        record=record,
        lineage=behind,
        served=served,
        labels=labels.history(project.folder.labels, id=id, key=record["key"]),
        page=version_page(project.folder.mlflow_uri, project.params.data.name, behind.version),
        quality=_quality_around(record, entries),
    )


def _quality_around(record: Mapping[str, Any], entries: Sequence[Entry[Record]]) -> QualityVerdict | None:
    """Return the newest verdict on a window of this version's rows in which the prediction lies."""
    time = datetime.fromisoformat(record["time"] or record["at"])
    for entry in reversed(entries):
        checked = entry.record
        if not isinstance(checked, DriftChecked | QualityChecked) or checked.version != record["version"]:
            continue
        quality = checked.quality if isinstance(checked, QualityChecked) else checked.report.quality
        if quality is not None and quality.window.start <= time < quality.window.end:
            return quality
    return None


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M}"


def _short(name: str | None) -> str:
    return name[:12] if name else "not recorded"


def _titled(title: str, lines: Iterable[str]) -> str:
    return "\n".join(f"{title if n == 0 else '':<12}{line}" for n, line in enumerate(lines))
