"""The state of the loop at a glance, for `mlops status`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import httpx

from mlops.ledger import Entry
from mlops.orchestration.loop import Loop
from mlops.orchestration.parts import Health, health

__all__ = ["Overview", "overview"]


@dataclass(frozen=True)
class Overview:
    """What serves, on which data, what was judged last, and what is up."""

    model: str
    address: str
    serving: Entry | None
    answers: bool
    data: Entry | None
    drift: Entry | None
    decision: Entry | None
    parts: list[Health]

    def to_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "model": self.model,
            "address": self.address,
            "serving": _body(self.serving),
            "answers": self.answers,
            "data": _body(self.data),
            "drift": self.drift.body["sentence"] if self.drift else None,
            "decision": self.decision.body["reason"] if self.decision else None,
            "parts": [asdict(part) for part in self.parts],
        }

    def text(self) -> str:
        """Return it for people."""
        rows = [
            ("serving", self._serving()),
            ("data", self._data()),
            ("drift", self.drift.body["sentence"] if self.drift else "no window judged yet"),
            ("decision", self.decision.body["reason"] if self.decision else "none yet"),
        ]
        rows += [(part.part, _state(part)) for part in self.parts]
        return "\n".join(f"{name:<10} {value}" for name, value in rows)

    def _serving(self) -> str:
        if self.serving is None:
            return "nothing deployed; run `mlops deploy`"
        body = self.serving.body
        since = f"{self.serving.recorded_at:%Y-%m-%d %H:%M} UTC"
        digest = body["digest"][:12]
        what = f"{self.model} version {body['version']} ({digest}, {body['target']})"
        if not self.answers:
            return f"{what} was deployed {since} but does not answer at {self.address}; run `mlops deploy`"
        return f"{what} since {since} at {self.address}"

    def _data(self) -> str:
        if self.data is None:
            return "no data yet; run `mlops ingest FILE`"
        return f"version {self.data.body['md5'][:12]}, {self.data.recorded_at:%Y-%m-%d %H:%M} UTC"


def overview(loop: Loop) -> Overview:
    """Look at the ledger, and ask each part once."""
    deployed = loop.ledger.last("deployment.served")
    return Overview(
        model=loop.params.data.name,
        address=loop.project.address,
        serving=deployed,
        answers=deployed is not None and _answering(loop) == deployed.body["deployment"],
        data=loop.ledger.last("data.versioned"),
        drift=loop.ledger.last("drift.checked"),
        decision=loop.ledger.last("gate.judged"),
        parts=health(loop),
    )


def _answering(loop: Loop) -> str | None:
    """Return the deployment that the gateway leads to, as it says itself."""
    try:
        answer = httpx.get(f"{loop.project.address}/version", timeout=2, trust_env=False)
        return str(answer.json()["deployment"]) if answer.is_success else None
    except (httpx.HTTPError, ValueError, KeyError):
        return None


def _body(entry: Entry | None) -> dict[str, Any] | None:
    return {"since": entry.recorded_at.isoformat(), **entry.body} if entry else None


def _state(part: Health) -> str:
    where = f" at {part.address}" if part.address else ""
    return f"up{where}" if part.up else f"down{where}; start it with `mlops up`"
