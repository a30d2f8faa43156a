"""Why a prediction is what it is: from the prediction back to the data and the decision.

A prediction names its deployment; the ledger's row of that deployment has a cause, which has
a cause. Walking back meets the gate's verdict, the training, and the drift that began it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from mlops.errors import MlopsError
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import AnyDeployment, GateJudged, ModelPromoted, ModelRolledBack
from mlops.model.registry import ModelVersion

__all__ = ["Lineage", "of_deployment", "why"]


@dataclass(frozen=True)
class Lineage:
    """Where one prediction came from; None where nobody recorded it.

    Parameters
    ----------
    commit
        Holds the dvc.lock, parameters and data pointers of the training.
    data_md5
        The version of the data, as DVC names it.
    digest
        The bundle that answered.
    decision
        The sentence in which the model was let through, or put there by hand.
    chain
        The ledger's rows from the deployment back to the first cause.
    """

    prediction: str
    deployment: str
    version: str
    run_id: str | None
    commit: str | None
    data_md5: str | None
    digest: str | None
    decision: str | None
    chain: tuple[Entry[Record], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the lineage as a JSON value."""
        chain = [{"id": e.id, "kind": e.kind, "recorded_at": e.recorded_at.isoformat()} for e in self.chain]
        return {**self.__dict__, "chain": chain}


def why(
    record: Mapping[str, Any], entries: Sequence[Entry[Record]], version: ModelVersion | None = None
) -> Lineage:
    """Walk from a prediction back to its causes.

    Parameters
    ----------
    record
        The prediction, as the log holds it: ``id``, ``deployment``, ``version``.
    entries
        The ledger's rows, oldest first.
    version
        The version that answered, where the registry can be asked; it knows best.

    Raises
    ------
    MlopsError
        The ledger knows nothing of the deployment: it is another project's, or was lost.
    """
    deployment = str(record["deployment"])
    chain = tuple(_back(deployment, entries))
    if not chain:
        raise MlopsError(
            f"Prediction {record['id']} came from deployment {deployment}, of which the ledger holds no row.",
            remedy="Ask in the project, and with the ledger, that served it.",
        )
    behind = [entry.record for entry in chain]
    placed = behind[0]
    assert isinstance(placed, AnyDeployment)
    promoted = next((each for each in behind if isinstance(each, ModelPromoted)), None)
    decided = next((each for each in behind if isinstance(each, GateJudged | ModelRolledBack)), None)
    model = version or promoted
    return Lineage(
        prediction=str(record["id"]),
        deployment=deployment,
        version=str(record["version"]),
        run_id=model.run_id if model else None,
        commit=model.commit if model else None,
        data_md5=model.data_md5 if model else None,
        digest=version.digest if version else placed.digest,
        decision=decided.sentence if decided else None,
        chain=chain,
    )


def of_deployment(deployment: str, entries: Iterable[Entry[Record]]) -> list[Entry[AnyDeployment]]:
    """Return the rows that name a deployment, in their order."""
    return [
        cast("Entry[AnyDeployment]", entry)
        for entry in entries
        if isinstance(entry.record, AnyDeployment) and entry.record.deployment == deployment
    ]


def _back(deployment: str, entries: Sequence[Entry[Record]]) -> Iterator[Entry[Record]]:
    """Yield the first row of a deployment, its cause, and so on."""
    by_id = {entry.id: entry for entry in entries}
    current: Entry[Record] | None = next(iter(of_deployment(deployment, entries)), None)
    while current is not None:
        yield current
        current = by_id.get(current.cause or "")
