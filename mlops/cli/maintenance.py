"""Verbs that keep house: gc, doctor, backup, restore."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mlops.cli.output import Json, Screen, size

__all__ = ["add_to"]

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def add_to(app: typer.Typer) -> None:
    """Add these verbs to the program."""
    for verb in (gc, doctor, backup, restore):
        app.command()(verb)


def gc(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; otherwise it is only shown.")] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="Also objects in DVC's cache that no version needs.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the `keep` limits in params.yaml no longer retain; --yes deletes it.

    Example: mlops gc --yes
    """
    from mlops.project import gc as housekeeping

    project = context.obj.project()
    gone = housekeeping.collect(project, cache=cache) if yes else housekeeping.plan(project, cache=cache)
    total = sum(removal.bytes for removal in gone)
    rows = [f"{size(one.bytes):>9}  {one.what:<52}  {one.reason}" for one in gone]
    verb = "deleted" if yes else "to delete; do it with `mlops gc --yes`"
    text = "\n".join([*rows, f"{size(total):>9}  {verb}"]) if gone else "Nothing to delete."
    result = {
        "deleted": yes,
        "bytes": total,
        "removals": [{"what": one.what, "reason": one.reason, "bytes": one.bytes} for one in gone],
    }
    context.obj.show(text, result, as_json=json)


def doctor(context: typer.Context, json: Json = False) -> None:
    """Check what the loop needs from this machine, with a remedy for what fails; exit 1 if anything does.

    Outside a project only the installation is checked. Example: mlops doctor
    """
    from mlops.config.project_folder import find_project
    from mlops.errors import ConfigError, UsageError
    from mlops.project import doctor as checkup
    from mlops.scaffold.template import template

    try:
        folder = find_project(context.obj.folder)
    except ConfigError:
        raise
    except UsageError:
        folder = None
    findings = checkup.examine(folder, template() / "requirements.lock")
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


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to write it: a .tar.gz, or a .tar.")],
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Include the data: the versions in DVC's cache.")
    ] = False,
    json: Json = False,
) -> None:
    """Write everything the loop keeps in .mlops to one file, while it runs.

    Example: mlops backup /backups/flights.tar.gz
    """
    from mlops.project import backup as backups

    saved = backups.backup(context.obj.project(), file.resolve(), with_data=with_data)
    lines = [
        f"{file}: {saved.files:,} files, {size(saved.bytes)}.",
        *(f"Not in it: {one}" for one in saved.absent),
    ]
    result = {"file": str(file), "files": saved.files, "bytes": saved.bytes, "absent": saved.absent}
    context.obj.show("\n".join(lines), result, as_json=json)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file that `mlops backup` wrote.")],
    into: Annotated[
        Path | None, typer.Option("--into", help="The project's folder, a clone of its repository.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Move the project's existing .mlops aside first.")
    ] = False,
    json: Json = False,
) -> None:
    """Restore a backup; every file is checked before anything is replaced.

    Example: mlops restore /backups/flights.tar.gz --into flights
    """
    from mlops.project import backup as backups

    project = (Screen(into) if into else context.obj).project()
    restored = backups.restore(project, file.resolve(), force=force)
    result = {"folder": str(project.folder.root), "files": restored.files, "notes": restored.notes}
    lines = [f"{restored.files:,} files restored into {project.folder.root}.", *restored.notes]
    context.obj.show("\n".join(lines), result, as_json=json)
