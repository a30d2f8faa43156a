"""State of the loop, for `mlops status`. Imports nothing heavy."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlops.config.target_names import describe_target
from mlops.data.quarantine import QuarantinedBatch, batches
from mlops.ledger.records import (
    DataVersioned,
    DeploymentFailed,
    DeploymentServed,
    DriftChecked,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    ModelRolledBack,
    QualityChecked,
    RetrainRefused,
    RunAbandoned,
)
from mlops.net.request import get
from mlops.project.context import Project
from mlops.project.health import Health, health
from mlops.project.schedule import Upcoming, upcoming

if TYPE_CHECKING:
    from mlops.ledger.entry import Entry
    from mlops.ledger.record import Record
    from mlops.ledger.store import Ledger

__all__ = ["Overview", "Traffic", "overview"]

_DECISIONS = (
    GateJudged,
    ModelPromoted,
    ModelRolledBack,
    RetrainRefused,
    RunAbandoned,
    DeploymentFailed,
)
_WIDTH = 100
_REQUESTS, _PATHS = "mlops_requests_total", ("/predict", "/invocations")


@dataclass(frozen=True)
class Traffic:
    """The requests to the service since it started.

    Parameters
    ----------
    requests
        Requests for predictions.
    rejected
        Invalid ones (4xx).
    errors
        Failed ones (5xx).
    """

    requests: int
    rejected: int
    errors: int

    @classmethod
    def parse(cls, text: str) -> Traffic:
        """Parse the service's metrics, in Prometheus' text format.

        Raises
        ------
        ValueError
            It is no such text.
        """
        from prometheus_client.parser import text_string_to_metric_families

        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        counts = [
            (sample.labels.get("status", "")[:1], int(sample.value))
            for sample in samples
            if sample.name == _REQUESTS and sample.labels.get("path") in _PATHS
        ]
        of = {digit: sum(count for first, count in counts if first == digit) for digit in "45"}
        return cls(sum(count for _, count in counts), of["4"], of["5"])

    def __str__(self) -> str:
        requests = f"{self.requests:,} request" + ("" if self.requests == 1 else "s")
        return f"{requests}, {self.rejected:,} rejected, {self.errors:,} failed since it started"


@dataclass(frozen=True)
class Overview:
    """What serves, the data, the last decisions, the next runs, and the health of the parts.

    Parameters
    ----------
    problem
        Why what serves cannot be reached; empty where it can.
    data
        The ledger's row that recorded the newest version of the data.
    data_until
        End of that version in event time, if the gate judged a model trained on it.
    quality
        The newest verdict on an earlier window whose labels came, if it is newer than `drift`.
    quarantine
        The batches with rows that the contract kept out, and that wait.
    """

    model: str
    address: str
    at: datetime
    serving: Entry[DeploymentServed] | None
    problem: str
    traffic: Traffic | None
    data: Entry[DataVersioned] | None
    data_until: datetime | None
    drift: Entry[DriftChecked] | None
    decisions: Sequence[Entry[Record]]
    next: Sequence[Upcoming]
    parts: Sequence[Health]
    quality: Entry[QualityChecked] | None = None
    quarantine: Sequence[QuarantinedBatch] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "model": self.model,
            "address": self.address,
            "serving": _body(self.serving),
            "reachable": self.serving is not None and not self.problem,
            "traffic": asdict(self.traffic) if self.traffic else None,
            "data": _body(self.data),
            "data_until": self.data_until.isoformat() if self.data_until else None,
            "quarantine": {
                "rows": sum(batch.waiting for batch in self.quarantine),
                "alarms": [bias.sentence for batch in self.quarantine for bias in batch.biases],
            },
            "drift": _verdict(self.drift),
            "quality": _verdict(self.quality),
            "decisions": [_decision(entry) for entry in self.decisions],
            "next": [run.to_dict() for run in self.next],
            "parts": [asdict(part) for part in self.parts],
        }

    def text(self) -> str:
        """Return it as lines."""
        groups = [
            [("Serving", self._serving()), ("Data", self._data())],
            [("Drift", self._drift()), ("Decisions", self._decisions())],
            [("Next", self._next())],
            [("Services", self._parts())],
        ]
        return "\n\n".join("\n".join(_row(*row) for row in group) for group in groups)

    def _serving(self) -> list[str]:
        if self.serving is None:
            return ["nothing deployed yet; run `mlops deploy`"]
        served = self.serving.record
        where = describe_target(served.target)
        lines = [
            f"{self.model} version {served.version}, digest {served.digest[:12]}, in {where}",
            f"since {_when(self.serving.recorded_at, self.at)}, at {self.address}",
        ]
        if self.problem:
            return [*lines, f"UNREACHABLE: {self.problem}"]
        return [*lines, *([str(self.traffic)] if self.traffic else [])]

    def _data(self) -> list[str]:
        if self.data is None:
            return ["none yet; run `mlops ingest FILE`"]
        until = f"; its rows reach {self.data_until:%Y-%m-%d %H:%M}" if self.data_until else ""
        version = f"version {self.data.record.md5[:12]}, {_ago(self.data.recorded_at, self.at)}{until}"
        return [version, *self._quarantined()]

    def _quarantined(self) -> list[str]:
        if not self.quarantine:
            return []
        count = sum(batch.waiting for batch in self.quarantine)
        rows = "1 row waits" if count == 1 else f"{count:,} rows wait"
        alarms = [(batch.table, bias) for batch in self.quarantine for bias in batch.biases[:1]]
        newest = [f"{table}: {bias.sentence}" for table, bias in alarms[-1:]]
        return [
            f"{rows} in quarantine; see `mlops data quarantine`",
            *(line for text in newest for line in textwrap.wrap(text, _WIDTH)),
        ]

    def _drift(self) -> list[str]:
        if self.drift is None:
            return ["no window checked yet; run `mlops monitor`"]
        until = f", window up to {self.drift.as_of:%Y-%m-%d %H:%M}" if self.drift.as_of else ""
        verdict = textwrap.wrap(self.drift.record.sentence, _WIDTH)
        newer = textwrap.wrap(self.quality.record.sentence, _WIDTH) if self.quality else []
        return [f"checked {_ago(self.drift.recorded_at, self.at)}{until}", *verdict, *newer]

    def _decisions(self) -> list[str]:
        if not self.decisions:
            return ["none yet"]
        made = [(_ago(e.recorded_at, self.at), e.record.sentence) for e in reversed(self.decisions)]
        return _table([(ago, textwrap.shorten(sentence, _WIDTH, placeholder=" …")) for ago, sentence in made])

    def _next(self) -> list[str]:
        runs = [run for run in self.next if run.cadence]
        if not runs:
            return ["nothing is scheduled; see `mlops schedule`"]
        return _table([(run.flow, str(run.cadence), _planned(run, self.at)) for run in runs])

    def _parts(self) -> list[str]:
        return _table([(part.part, *_state(part)) for part in self.parts])


def overview(project: Project, *, now: datetime) -> Overview:
    """Read the ledger, and check all services at once."""
    folder, address = project.folder, project.folder.address
    folder.params  # noqa: B018  # read once, before several threads do
    with ThreadPoolExecutor() as pool:
        runs = pool.submit(upcoming, folder, patience=0.5)
        parts = pool.submit(health, project)
        version = pool.submit(get, f"{address}/version")
        metrics = pool.submit(get, f"{address}/metrics")
        ledger = project.ledger  # imports its database's client while the others respond
        versions = ledger.entries(DataVersioned)
        deployed, data = ledger.last(DeploymentServed), _newest_version(versions)
        drift, decisions = ledger.last(DriftChecked), _decisions(ledger, most=3)
        newest = ledger.last(DriftChecked, QualityChecked)
        quality = ledger.last(QualityChecked)
    counts = metrics.result()
    return Overview(
        model=project.params.data.name,
        address=address,
        at=now,
        serving=deployed,
        problem=_problem(deployed, version.result().body) if deployed else "",
        traffic=_traffic(counts.body.decode(errors="replace")) if counts.ok else None,
        data=data,
        data_until=_data_until(ledger, data) if data else None,
        drift=drift,
        quality=quality if quality is not None and newest == quality else None,
        quarantine=batches(versions),
        decisions=decisions,
        next=runs.result(),
        parts=parts.result(),
    )


def _traffic(text: str) -> Traffic | None:
    try:
        return Traffic.parse(text)
    except ValueError:  # another program responds there
        return None


def _problem(deployed: Entry[DeploymentServed], version: bytes) -> str:
    """Compare what serves behind the gateway with what the ledger says was deployed."""
    try:
        answering = json.loads(version)["deployment"]
    except (ValueError, KeyError, TypeError):
        return "its service or the gateway is down; run `mlops up`, which restarts both"
    if answering == deployed.record.deployment:
        return ""
    return f"{answering} serves in its place; run `mlops deploy`"


def _newest_version(versions: Iterable[Entry[DataVersioned]]) -> Entry[DataVersioned] | None:
    """Return the row that first recorded the newest version: rows that added nothing repeat it."""
    newest: Entry[DataVersioned] | None = None
    for entry in versions:
        if newest is None or entry.record.md5 != newest.record.md5:
            newest = entry
    return newest


def _data_until(ledger: Ledger, data: Entry[DataVersioned]) -> datetime | None:
    """Return the end of a version of the data in event time: that of the gate's window, its newest rows."""
    for judged in reversed(ledger.entries(GateJudged)):
        registered = ledger.get(judged.cause, ModelRegistered)
        if registered is not None and registered.record.data_md5 == data.record.md5:
            window = judged.record.window
            return window.end if window else None
    return None


def _decisions(ledger: Ledger, *, most: int) -> list[Entry[Record]]:
    """Return the newest decisions, oldest first, without promotions that their cause already states."""
    found = ledger.entries(*_DECISIONS)
    judged = {entry.id for entry in found if isinstance(entry.record, GateJudged | ModelRolledBack)}
    return [e for e in found if not (isinstance(e.record, ModelPromoted) and e.cause in judged)][-most:]


def _verdict(entry: Entry[Any] | None) -> dict[str, Any] | None:
    return {**_decision(entry), "as_of": _iso(entry.as_of)} if entry else None


def _decision(entry: Entry[Record]) -> dict[str, Any]:
    return {"kind": entry.kind, "at": _iso(entry.recorded_at), "sentence": entry.record.sentence}


def _body(entry: Entry[Record] | None) -> dict[str, Any] | None:
    return {"since": _iso(entry.recorded_at), **entry.record.to_dict()} if entry else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _state(part: Health) -> tuple[str, str]:
    if part.up:
        return "up", part.address
    where = f" at {part.address}" if part.address else ""
    return "DOWN", f"{part.problem}{where}. {part.remedy}"


def _planned(run: Upcoming, now: datetime) -> str:
    if run.paused:
        return f"paused; resume with `mlops schedule resume {run.flow}`"
    if run.next is None:
        return "not planned: Prefect does not respond, or does not know the flow"
    return f"in {_span(run.next - now)} ({run.next:%Y-%m-%d %H:%M} UTC)"


def _when(moment: datetime, now: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC ({_ago(moment, now)})"


def _ago(moment: datetime, now: datetime) -> str:
    return f"{_span(now - moment)} ago"


def _span(length: timedelta) -> str:
    """Write a duration in its largest unit, rounded down."""
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the columns; the last one is not padded."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return ["  ".join([*(f"{c:<{w}}" for c, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]


def _row(title: str, lines: Iterable[str]) -> str:
    return "\n".join(f"{title if n == 0 else '':<11}{line}".rstrip() for n, line in enumerate(lines))
