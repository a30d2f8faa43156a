"""Why a prediction is what it is: from the prediction back to the data and the decision.

A prediction names its deployment; the ledger's row of that deployment has a cause, which has
a cause. Walking back meets the gate's verdict, the training, and the drift that began it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlops.errors import MlopsError
from mlops.ledger.store import Entry
from mlops.model.registry import ModelVersion

__all__ = ["Lineage", "why"]


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
    chain: tuple[Entry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the lineage as a JSON value."""
        chain = [{"id": e.id, "kind": e.kind, "recorded_at": e.recorded_at.isoformat()} for e in self.chain]
        return {**self.__dict__, "chain": chain}


def why(record: Mapping[str, Any], entries: Sequence[Entry], version: ModelVersion | None = None) -> Lineage:
    """Walk from a prediction back to its causes.

    Parameters
    ----------
    record
        The prediction, as the log holds it: ``id``, ``deployment``, ``version``.
    entries
        The ledger's rows, oldest first. A fact is read from the body of the nearest row on
        the way back that has it: ``run_id``, ``commit``, ``data_md5``, ``digest``, and
        ``reason`` for the decision.
    version
        The version that answered, where the registry can be asked; it knows best.

    Raises
    ------
    MlopsError
        The ledger knows nothing of the deployment: it is another project's, or was lost.
    """
    deployment = str(record["deployment"])
    start = next((entry for entry in entries if entry.body.get("deployment") == deployment), None)
    if start is None:
        raise MlopsError(
            f"Prediction {record['id']} came from deployment {deployment}, of which the ledger holds no row.",
            remedy="Ask in the project, and with the ledger, that served it.",
        )
    chain = tuple(_back(start, {entry.id: entry for entry in entries}))
    registered = version.__dict__ if version is not None else {}

    def fact(name: str) -> str | None:
        told = (entry.body[name] for entry in chain if entry.body.get(name))
        return registered.get(name) or next(told, None)

    return Lineage(
        prediction=str(record["id"]),
        deployment=deployment,
        version=str(record["version"]),
        run_id=fact("run_id"),
        commit=fact("commit"),
        data_md5=fact("data_md5"),
        digest=fact("digest"),
        decision=fact("reason"),
        chain=chain,
    )


def _back(entry: Entry, by_id: Mapping[str, Entry]) -> Iterator[Entry]:
    current: Entry | None = entry
    while current is not None:
        yield current
        current = by_id.get(current.cause or "")
