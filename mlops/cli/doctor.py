"""Command `doctor`: check this machine."""

from __future__ import annotations

from dataclasses import asdict

import typer

from mlops.cli.output import Json

__all__ = ["doctor"]

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check this machine for what the loop needs, with a fix for each failure; exit 1 if any check fails.

    Outside a project only the installation is checked. Example: mlops doctor
    """
    from mlops.config.project_folder import find_project
    from mlops.errors import ConfigError, UsageError
    from mlops.project.doctor import examine
    from mlops.scaffold.template import template

    try:
        folder = find_project(context.obj.folder)
    except ConfigError:
        raise
    except UsageError:
        folder = None
    findings = examine(folder, template() / "requirements.lock", context.obj.ignored)
    rows = []
    for one in findings:
        rows.append(f"{_MARKS[one.state]}  {one.name:<12}  {one.detail}")
        rows += [f"{'':18}{one.remedy}"] if one.remedy else []
    if folder is None:
        rows.append("Not in a project: only the installation was checked.")
    failed = any(one.state == "fail" for one in findings)
    result = {"healthy": not failed, "findings": [asdict(one) for one in findings]}
    context.obj.show("\n".join(rows), result, as_json=json)
    if failed:
        raise typer.Exit(1)
