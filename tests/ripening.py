"""A project that has served for a month, made of its real files alone: ledger, bundles, log, labels.

No server runs and none is needed: what Python can be asked of a project is read from these.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from mlops.ledger.drift_report import ColumnVerdict, DriftReport
from mlops.ledger.entry import Entry
from mlops.ledger.judgement import Comparison, GateJudged, GateLimits
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.records import (
    DeploymentServed,
    DriftChecked,
    ModelPromoted,
    ModelRegistered,
)
from mlops.ledger.served_window import ServedWindow
from mlops.ledger.store import Ledger
from mlops.model import bundle as bundles
from mlops.model.bundle import Bundle
from mlops.prediction_log import label_log, segment
from mlops.prediction_log.writer import PredictionLog
from mlops.schema import Schema
from mlops.tables.conform import unlabelled
from tests.tiny import ROWS, tiny_bundle

PARAMS = """\
data:
  name: plums
  target: ripe
  time: picked
  key: plum
  features:
    size: number
    colour: category
model:
  builder: models/plums/model.py
  task: binary
  params: {}
  seed: 7
"""
SCHEMA = Schema({"size": "number", "colour": "category"}, "ripe", "binary", "picked", "plum")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SERVED = 20
LABELLED = 12


def plums() -> pd.DataFrame:
    """Return the plums of twenty days, one a day."""
    picked = [BEGIN + timedelta(days=day) for day in range(SERVED)]
    return pd.DataFrame(ROWS).assign(picked=picked)


@dataclass
class Clock:
    """Recorded times, an hour apart."""

    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(hours=1)
        return self.now


def trained(folder: Path, *, strength: float, until: datetime, loss: float) -> Bundle:
    """Keep a bundle under its digest, with what its training tells of rows and losses."""
    made = tiny_bundle(folder / "making", strength=strength)
    files = {path.name: path.read_bytes() for path in made.folder.iterdir() if path.name != bundles.MANIFEST}
    train = {"rows": 1200, "start": (until - timedelta(days=70)).isoformat(), "end": until.isoformat()}
    holdout = {"rows": 300, "start": until.isoformat(), "end": (until + timedelta(days=10)).isoformat()}
    lineage = {"data": "d" * 32, "train": train, "holdout": holdout, "fitted_until": train["end"]}
    figures = {
        "loss": {"log_loss": loss},
        "error": {"log_loss": 0.02},
        "blocks": 10,
        "baseline": {"log_loss": 0.69},
        "rows": 300,
        "importances": {},
    }
    for name, value in {"lineage.json": lineage, "reference.json": figures}.items():
        files[name] = json.dumps(value).encode()
    kept = bundles.write(folder / "making", files)
    kept.folder.rename(folder / kept.digest)
    return bundles.open(folder / kept.digest)


def ripening(root: Path) -> Path:
    """Make the project: version 1 served, drift was confirmed, version 2 took its place."""
    home = root / ".mlops"
    home.mkdir(parents=True)
    (root / "params.yaml").write_text(PARAMS)
    first = trained(home / "bundles", strength=1.0, until=BEGIN - timedelta(days=40), loss=0.41)
    second = trained(home / "bundles", strength=5.0, until=BEGIN, loss=0.36)
    ledger = Ledger(f"sqlite:///{home / 'ledger.db'}", clock=Clock())
    served = promoted(ledger, "1", first, judged=None)
    ledger.record(
        window(BEGIN + timedelta(days=20), value=0.4), cause=served, as_of=BEGIN + timedelta(days=20)
    )
    promoted(ledger, "2", second, judged=Comparison(300, 10, 0.36, 0.52, -0.16, -0.2, -0.1))
    ledger.close()
    log(home)
    return root


def promoted(
    ledger: Ledger, version: str, made: Bundle, *, judged: Comparison | None
) -> Entry[ModelPromoted]:
    """Register a bundle, let the gate promote it, and serve it."""
    model = ModelRegistered(
        name="plums",
        version=version,
        run_id=f"run{version}",
        digest=made.digest,
        commit=version * 40,
        data_md5=made.lineage["data"],
    )
    registered = ledger.record(model)
    verdict = GateJudged(
        version=version,
        promote=True,
        outcome="first" if judged is None else "better",
        metric="log_loss",
        metric_title="log loss",
        confidence=0.95,
        limits=GateLimits(min_rows=100, min_blocks=5, min_improvement=0.0, block_seconds=86400.0),
        comparison=judged,
        baseline=Comparison(300, 10, 0.41, 0.69, -0.28, -0.3, -0.2),
    )
    cause = ledger.record(verdict, cause=registered)
    promotion = ledger.record(ModelPromoted.of(model, fitted_until=None), cause=cause)
    deployed = DeploymentServed(
        deployment=f"plums-v{version}", version=version, digest=made.digest, target="process"
    )
    ledger.record(deployed, cause=promotion)
    return promotion


def window(end: datetime, *, value: float) -> DriftChecked:
    """Return the record of a judged window, whose sizes have moved."""
    columns = (
        ColumnVerdict("size", "Wasserstein distance (normed)", value, 0.1, "drift"),
        ColumnVerdict(
            "colour", "Jensen-Shannon distance", None, None, "insufficient", "no values to compare"
        ),
    )
    quality = QualityVerdict(
        window=ServedWindow(BEGIN, end, SERVED),
        state="worse",
        loss=0.52,
        low=0.47,
        high=0.57,
        reference_loss=0.41,
        baseline_loss=0.69,
        worse_than=("training",),
        coverage=0.6,
        rows=LABELLED,
        look=1,
    )
    served = ServedWindow(BEGIN, end, SERVED)
    report = DriftReport(served, 1000, columns, share=1.0, drifted=True, quality=quality)
    return DriftChecked(version="1", raised=True, confirmed=True, report=report)


def log(home: Path) -> None:
    """Write what version 1 predicted, and the labels that came for some of it."""
    rows, frame = unlabelled(plums(), SCHEMA), plums()
    made = bundles.open(next((home / "bundles").iterdir()))
    from mlops.model.predictor import load

    records = segment.records(
        rows,
        load(made).predict(rows.columns),
        ids=[f"{number:032x}" for number in range(SERVED)],
        at=datetime(2026, 3, 1, 5, tzinfo=UTC),
        deployment="plums-v1",
        version="1",
    )
    writer = PredictionLog(home / "predictions", "plums-v1")
    writer.write(records)
    writer.close()
    labels = frame[["plum"]].head(LABELLED).assign(ripe=frame["size"] > 4)
    known = frame["plum"].tolist()
    label_log.add(
        home / "labels", labels, by="key", schema=SCHEMA, known=known, at=datetime(2026, 3, 2, tzinfo=UTC)
    )


def contents(root: Path) -> dict[str, bytes]:
    """Return every file of a folder, but for what SQLite keeps while its database is open."""
    files: Iterator[Path] = (path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in files
        if not path.name.endswith(("-wal", "-shm"))
    }
