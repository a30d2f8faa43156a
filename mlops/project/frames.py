"""What a project recorded, as DataFrames: predictions, windows, decisions, versions of the model.

Read from the ledger, the prediction log and the bundles on disk: no server is asked, nothing is changed.
`Project` has each of these as a method.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mlops.moments import parse_moment
from mlops.project.version_facts import VersionFacts, version_facts

if TYPE_CHECKING:
    import pandas as pd

    from mlops.ledger.quality_verdict import QualityVerdict
    from mlops.project.context import Project

__all__ = ["decisions", "predictions", "quarantine", "versions", "windows"]

_WINDOW = ("start", "end", "version", "rows", "drifted", "confirmed")
_COLUMN = ("column", "statistic", "value", "threshold", "verdict", "note")
_QUALITY = (
    *("quality", "worse_than", "quality_start", "quality_end", "loss", "loss_low", "loss_high"),
    *("reference_loss", "baseline_loss", "labelled", "coverage", "look", "quality_note"),
)


def predictions(
    project: Project,
    *,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    labels: bool = False,
) -> pd.DataFrame:
    """Return what was predicted: the prediction log, with the labels beside it where they are asked for.

    Parameters
    ----------
    since, until
        Event times, half-open: rows in [since, until). A text is ISO 8601, such as ``2013-07-04`` or
        ``2013-07-04T12:00``; a time without a zone is UTC. All rows where neither is named.
    labels
        Whether the target's column is added: null until a label has come, the corrected one where
        one was corrected.

    Returns
    -------
    DataFrame
        A row per prediction, by event time and id: ``id``, ``key``, ``time`` (event time; the recorded
        time where the row brought none), ``at`` (recorded time), ``deployment``, ``version``, the
        features as params.yaml names them, ``prediction``, ``score``, and the target. Times are UTC.

    Raises
    ------
    mlops.errors.UsageError
        `since` or `until` is no time.

    Examples
    --------
    >>> log = project.predictions(since="2026-01-10", until="2026-01-12", labels=True)
    >>> log[["key", "version", "prediction", "ripe"]]
      key version  prediction   ripe
    0   9       1           1   True
    1  10       1           0  False
    """
    from mlops.prediction_log import label_log, reader

    schema = project.schema
    start, end = (None if moment is None else parse_moment(moment) for moment in (since, until))
    frame = reader.read(project.folder.predictions, schema, start, end)
    if schema.time is not None and schema.time in schema.features:
        # The log has it as the time of the row; to predict these rows again a model needs it by its name.
        frame.insert(list(frame).index("version") + 1, schema.time, frame["time"])
    return label_log.join(frame, label_log.read(project.folder.labels), schema) if labels else frame


def windows(project: Project) -> pd.DataFrame:
    """Return the judged windows of served rows: a row per window and column.

    Returns
    -------
    DataFrame
        Oldest first. Of the window: ``start`` and ``end`` (event times, UTC, half-open), the
        ``version`` that served, ``rows``, whether it ``drifted`` and whether drift was ``confirmed``.
        Of the column: ``column``, ``statistic``, ``value`` and ``threshold`` in the statistic's unit,
        ``verdict`` (``ok``, ``drift``, ``insufficient``, ``invalid``), ``note``. And of the quality
        that was known by the window's end or has become known since, the same in each of its rows:
        ``quality`` (``ok``, ``worse``, ``unknown``), what it is ``worse_than`` (``training``,
        ``baseline``, or both with a comma), of the rows from ``quality_start`` to ``quality_end`` the
        mean ``loss`` with its interval ``loss_low`` to ``loss_high``, the ``reference_loss`` at
        training, the ``baseline_loss`` of a constant prediction on the same rows, the ``labelled``
        rows and the ``coverage``, their share, the number of the ``look``, and in ``quality_note`` why
        it is unknown.

    Examples
    --------
    Each window's loss beside what it was at training:

    >>> windows = project.windows()
    >>> windows.drop_duplicates(["end", "version"])[["end", "loss", "reference_loss"]]
                            end  loss  reference_loss
    0 2026-01-21 00:00:00+00:00  0.52            0.41
    """
    import pandas as pd

    from mlops.ledger.records import DriftChecked, QualityChecked

    rows: list[dict[str, Any]] = []
    newest = {entry.cause: entry.record.quality for entry in project.recorded(QualityChecked)}
    for entry in project.recorded(DriftChecked):
        checked, report = entry.record, entry.record.report
        about = {
            "start": report.window.start,
            "end": report.window.end,
            "version": checked.version,
            "rows": report.window.rows,
            "drifted": report.drifted,
            "confirmed": checked.confirmed,
        }
        judged = newest.get(entry.id, report.quality)
        quality = {} if judged is None else _quality(judged)
        rows += [{**about, **asdict(column), **quality} for column in report.columns]
    frame = pd.DataFrame(rows, columns=[*_WINDOW, *_COLUMN, *_QUALITY])
    figures = ["value", "threshold", "loss", "loss_low", "loss_high", "reference_loss", "baseline_loss"]
    frame = frame.astype(dict.fromkeys([*figures, "coverage"], float))
    return _timed(frame, "start", "end", "quality_start", "quality_end")


def _quality(judged: QualityVerdict) -> dict[str, Any]:
    return {
        "quality": judged.state,
        "worse_than": ", ".join(judged.worse_than),
        "quality_start": judged.window.start,
        "quality_end": judged.window.end,
        "loss": judged.loss,
        "loss_low": judged.low,
        "loss_high": judged.high,
        "reference_loss": judged.reference_loss,
        "baseline_loss": judged.baseline_loss,
        "labelled": judged.rows,
        "coverage": judged.coverage,
        "look": judged.look,
        "quality_note": judged.note,
    }


def decisions(project: Project) -> pd.DataFrame:
    """Return the ledger: every decision of the loop, oldest first.

    Returns
    -------
    DataFrame
        A row per entry; the index, ``id``, is its id. ``kind``, such as ``gate.judged``; ``time``, when
        it was recorded, and ``as_of``, the event time it was made for, both UTC; ``cause``, the id of
        the entry that made it happen; ``sentence``, for a person; ``figures``, a dict of its fields.

    Examples
    --------
    >>> decisions = project.decisions()
    >>> judged = decisions[decisions["kind"] == "gate.judged"].iloc[-1]
    >>> judged["figures"]["comparison"]["difference"]
    -0.16
    """
    import pandas as pd

    rows = [
        {
            "id": entry.id,
            "kind": entry.kind,
            "time": entry.recorded_at,
            "as_of": entry.as_of,
            "cause": entry.cause,
            "sentence": entry.record.sentence,
            "figures": entry.record.to_dict(),
        }
        for entry in (project.ledger.entries() if project.has_ledger else [])
    ]
    columns = ["id", "kind", "time", "as_of", "cause", "sentence", "figures"]
    return _timed(pd.DataFrame(rows, columns=columns), "time", "as_of").set_index("id")


def quarantine(project: Project) -> pd.DataFrame:
    """Return the rows that the contract kept out of the lake and that were not taken back, as they came.

    Returns
    -------
    DataFrame
        A row each, oldest batch first: ``batch`` and ``number``, which name it, ``table`` (the file that it
        came in), ``at`` (when that was ingested, UTC), ``reason``, and ``values``, a mapping of its columns.

    Examples
    --------
    >>> len(project.quarantine())
    0
    """
    import pandas as pd

    from mlops.project import data_quarantine

    found = data_quarantine.quarantine(project)
    batches = {batch.name: batch for batch in found.batches}
    rows = [
        (row.batch, row.number, batches[row.batch].table, batches[row.batch].at, row.reason, dict(row.values))
        for row in found.rows
    ]
    return pd.DataFrame(rows, columns=["batch", "number", "table", "at", "reason", "values"])


def versions(project: Project) -> pd.DataFrame:
    """Return the versions of the model, oldest first.

    Returns
    -------
    DataFrame
        A row per version, which is the index; a column per field of `VersionFacts`: the rows and dates
        it was trained on, its losses, the gate's figures, when it served, its commit and its data. What
        only the bundle tells is missing where that is not on this machine.

    Examples
    --------
    >>> project.versions()[["trained_rows", "holdout_loss", "gate"]]
             trained_rows  holdout_loss      gate
    version
    1                1200          0.41  promoted
    2                1200          0.36  promoted
    """
    import pandas as pd

    names = [field.name for field in fields(VersionFacts)]
    frame = pd.DataFrame([asdict(facts) for facts in version_facts(project)], columns=names)
    times = [field.name for field in fields(VersionFacts) if "datetime" in str(field.type)]
    counts = [field.name for field in fields(VersionFacts) if str(field.type).startswith("int")]
    figures = [field.name for field in fields(VersionFacts) if str(field.type).startswith("float")]
    frame = frame.astype({**dict.fromkeys(counts, "Int64"), **dict.fromkeys(figures, float)})
    return _timed(frame, *times).set_index("version")


def _timed(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Give columns of times one type, also where they are empty: UTC."""
    import pandas as pd

    return frame.assign(**{name: pd.to_datetime(frame[name], utc=True) for name in names})
