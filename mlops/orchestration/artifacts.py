"""Prefect artifacts of a run: tables and markdown pages, each with its history.

Pure functions render rows of the ledger; only `publish` calls Prefect. An artifact that cannot be
published fails no run: a warning is logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from mlops.ledger.entry import Entry
from mlops.ledger.quality_verdict import QualityVerdict
from mlops.ledger.records import (
    DataVersioned,
    DeploymentServed,
    DriftChecked,
    GateJudged,
    ModelRegistered,
    ModelRolledBack,
)

__all__ = ["Content", "Figures", "columns", "data", "deployment", "publish", "training", "window"]

Figures = Mapping[str, Mapping[str, float]]
"""Metrics by model, ``holdout`` or ``baseline``, and by name."""
Content = str | Sequence[Mapping[str, Any]]
"""Markdown, or the rows of a table."""

log = logging.getLogger("mlops")


def publish(key: str, content: Callable[[], Content], *, description: str) -> None:
    """Create an artifact of the current flow run; outside of one, do nothing.

    Parameters
    ----------
    key
        Lower case, with dashes: artifacts of the same key are one history.
    content
        Renders it; an error in it fails nothing else.
    """
    try:
        rendered = content()
        if flow_run.id is None:
            return
        if isinstance(rendered, str):
            create_markdown_artifact(rendered, key=key, description=description)
        else:
            create_table_artifact([dict(row) for row in rendered], key=key, description=description)
    except Exception as exc:
        log.warning("artifact %s not published: %s: %s", key, type(exc).__name__, exc)


def columns(checked: DriftChecked) -> list[dict[str, Any]]:
    """Return a row per column of a judged window: drift first, then by how far the column moved."""
    ranks = ("drift", "invalid", "ok", "insufficient")
    return [
        {
            "column": column.column,
            "verdict": column.verdict,
            "value": _figure(column.value),
            "threshold": _figure(column.threshold),
            "statistic": column.statistic,
            "note": column.note,
        }
        for column in sorted(
            checked.report.columns,
            key=lambda column: (ranks.index(column.verdict), -(column.value or 0.0)),
        )
    ]


def window(checked: DriftChecked, *, report: str, run: str) -> str:
    """Render a judged window.

    Parameters
    ----------
    report, run
        Addresses of the drift report, and of the champion's run.
    """
    drift = checked.report
    facts = {
        "window": f"{drift.window.start:%Y-%m-%d %H:%M} to {drift.window.end:%Y-%m-%d %H:%M} UTC",
        "rows": f"{drift.window.rows:,} served, {drift.reference_rows:,} in the reference",
        "quality": _quality(drift.quality),
        "report": f"[every column drawn]({report})",
        "model": f"version {checked.version}, [its run in MLflow]({run})",
    }
    return _list(facts)


def training(
    registered: ModelRegistered, judged: GateJudged | ModelRolledBack, figures: Figures, *, run: str
) -> str:
    """Render a trained model and the gate's verdict.

    Parameters
    ----------
    figures
        Of the model and of the baseline, a constant prediction, on the held-out rows.
    run
        The address of its run.
    """
    facts = {
        "model": f"version {registered.version}, bundle `{registered.digest[:12]}`",
        "run": f"[in MLflow]({run})",
        "data": f"version `{registered.data_md5[:12]}`",
        "commit": f"`{registered.commit[:12]}`",
    }
    champion = {}
    if isinstance(judged, GateJudged) and judged.comparison is not None:
        champion = {judged.metric: judged.comparison.other_loss}
    return f"{_list(facts)}\n\n{_compared(figures, champion)}"


def deployment(served: Entry[DeploymentServed], *, address: str, version: str) -> str:
    """Render the current deployment.

    Parameters
    ----------
    address
        The gateway's address.
    version
        The address of the model version's page.
    """
    deployed = served.record
    facts = {
        "address": f"[{address}]({address}/version)",
        "model": f"[version {deployed.version}]({version})",
        "digest": f"`{deployed.digest}`",
        "runs in": f"{deployed.target} `{deployed.deployment}`",
        "since": f"{served.recorded_at:%Y-%m-%d %H:%M} UTC",
    }
    return _list(facts)


def data(versioned: DataVersioned) -> str:
    """Render a version of the data."""
    facts = {
        "version": f"`{versioned.md5}`",
        "rows added": f"{versioned.rows:,}",
        "commit": f"`{versioned.commit[:12]}`",
        **{f"left out, {reason}": f"{rows:,}" for reason, rows in versioned.left_out.items()},
    }
    return _list(facts)


def _list(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {fact}" for name, fact in facts.items())


def _compared(figures: Figures, champion: Mapping[str, float]) -> str:
    """Return a table of metrics, the gate's first; the champion's is measured on the same rows."""
    columns = {"this model": figures["holdout"], "baseline (constant prediction)": figures["baseline"]}
    if champion:
        columns["previous champion"] = champion
    names = sorted(figures["holdout"], key=lambda name: name not in champion)
    rows = [
        ["on the held-out rows", *columns],
        ["---", *("---:" for _ in columns)],
        *([name.replace("_", " "), *(_figure(of.get(name)) for of in columns.values())] for name in names),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _quality(quality: QualityVerdict | None) -> str:
    return "not judged" if quality is None else quality.text.removeprefix("quality ")


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
