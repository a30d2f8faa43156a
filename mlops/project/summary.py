"""A project in a line, or in a notebook's table: what serves, what was promoted, how far it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops.errors import MlopsError
from mlops.project.html_table import html_table

if TYPE_CHECKING:
    from mlops.project.context import Project

__all__ = ["html", "text"]


def text(project: Project) -> str:
    """Return a project's repr."""
    title, facts = _facts(project)
    return f"<{title}: {'; '.join(f'{name} {value}' for name, value in facts)}>"


def html(project: Project) -> str:
    """Return a project as a table of HTML."""
    return html_table(*_facts(project))


def _facts(project: Project) -> tuple[str, list[tuple[str, str]]]:
    root = str(project.folder.root)
    try:
        title = f"Project {project.params.data.name}"
        return title, [*_serving(project), ("folder", root)]
    except MlopsError as exc:  # a repr never fails: what is wrong is what it says
        return "Project", [("folder", root), ("error", str(exc))]


def _serving(project: Project) -> list[tuple[str, str]]:
    from mlops.ledger.records import DeploymentServed, DriftChecked, ModelPromoted

    ledger = project.ledger if project.has_ledger else None
    served = ledger.last(DeploymentServed) if ledger else None
    promoted = ledger.last(ModelPromoted) if ledger else None
    checked = ledger.last(DriftChecked) if ledger else None
    facts = []
    if served is None:
        facts.append(("serving", "nothing yet: `mlops deploy`" if promoted else "nothing yet: `mlops train`"))
    else:
        facts.append(
            ("serving", f"version {served.record.version}, since {served.recorded_at:%Y-%m-%d %H:%M} UTC")
        )
    if promoted is not None and (served is None or served.record.version != promoted.record.version):
        facts.append(("champion", f"version {promoted.record.version}"))
    if checked is not None:
        facts.append(("last window", checked.record.sentence))
    return facts
