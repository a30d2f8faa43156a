"""Records of the ledger for tests: what a test does not name has a usual value."""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from mlops.ledger.drift_report import DriftReport
from mlops.ledger.entry import Entry
from mlops.ledger.judgement import Comparison, GateLimits
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.record import Record
from mlops.ledger.records import GateJudged, ModelPromoted, ModelRegistered
from mlops.ledger.served_window import ServedWindow
from mlops.ledger.store import Ledger

__all__ = ["COMPARISON", "made", "promoted"]

R = TypeVar("R", bound=Record)

_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
COMPARISON = Comparison(
    rows=8910, blocks=11, loss=0.4845, other_loss=0.4888, difference=-0.0043, low=-0.0116, high=0.0029
)
_USUAL: dict[str, Any] = {
    "explicit_as_of": False,
    "attempts": 3,
    "bytes": 0,
    "columns": (),
    "commit": "c" * 40,
    "confidence": 0.95,
    "confirmed": False,
    "content": "f" * 64,
    "contract": None,
    "data_md5": "a" * 32,
    "deployment": "d1",
    "destination": "scored.parquet",
    "digest": "d" * 64,
    "file": "plums.csv",
    "flow": "retrain",
    "identical": True,
    "judged": "e" * 32,
    "limits": GateLimits(min_rows=500, min_blocks=5, min_improvement=0.0, block_seconds=86400.0),
    "logged": True,
    "md5": "a" * 32,
    "metric": "log_loss",
    "name": "plums",
    "outcome": "better",
    "path": "drift.html",
    "promote": True,
    "promoted": True,
    "quality": QualityVerdict(
        window=ServedWindow(_MOMENT, _MOMENT, 9), state="ok", rows=9, coverage=1.0, reference_loss=0.4
    ),
    "raised": False,
    "reason": "told by a test",
    "reasons": (),
    "rebuilt": "d" * 64,
    "removed": (),
    "replaced": "2",
    "replaced_digest": "b" * 64,
    "replaced_promotion": "b" * 32,
    "report": DriftReport(ServedWindow(_MOMENT, _MOMENT, 0), 0, (), 0.0, drifted=False),
    "rows": 0,
    "rule": "policy",
    "run_id": "r1",
    "scoring": "f" * 64,
    "sha256": "f" * 64,
    "source": "plums.parquet",
    "started": "b" * 32,
    "summary": "The same bytes.",
    "target": "process",
    "verdict": "Promoted.",
    "version": "1",
}


def made(kind: type[R], **facts: Any) -> R:
    """Return a record with these facts."""
    wanted = [field for field in fields(kind) if field.default is field.default_factory is MISSING]
    usual = {field.name: _USUAL[field.name] for field in wanted if field.name in _USUAL}
    if kind.kind == "gate.judged":
        usual["comparison"] = COMPARISON
    return kind(**(usual | facts))


def promoted(ledger: Ledger, **facts: Any) -> Entry[ModelPromoted]:
    """Record a promotion, with the registration and the verdict it came of."""
    version = str(facts.get("version", "1"))
    registered = ledger.record(made(ModelRegistered, version=version, run_id=f"r{len(ledger.entries())}"))
    judged = ledger.record(made(GateJudged, version=version), cause=registered)
    return ledger.record(made(ModelPromoted, **facts), cause=judged)
