"""Command `data checkout`: bring the data on disk to a version."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json, VersionName, version_fields

__all__ = ["data_checkout"]


def data_checkout(
    context: typer.Context,
    version: VersionName,
    force: Annotated[
        bool, typer.Option("--force", help="Proceed even if files that belong to no version are lost.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring the data on disk to a version, its files and the pointer to it. Nothing is committed.

    The next mlops train trains on it. Example: mlops data checkout 3ac41f
    """
    from mlops.project.data_checkout import checkout
    from mlops.project.data_log import choose

    project = context.obj.project()
    moved = checkout(project, choose(project, version), force=force)
    chosen = moved.chosen
    at = f", as of commit {chosen.commit[:8]}" if chosen.commit else ""
    lines = [f"{' and '.join(moved.paths)} at version {chosen}{at}.", *moved.notes]
    if moved.uncommitted:
        pointers = " ".join(moved.uncommitted)
        lines += [
            f"To keep it: `mlops train`, which commits what it trains on, or `git commit {pointers}`.",
            "To go back: `mlops data checkout HEAD`.",
        ]
    result = {
        **version_fields(chosen),
        "paths": moved.paths,
        "notes": moved.notes,
        "uncommitted": moved.uncommitted,
    }
    context.obj.show("\n".join(lines), result, as_json=json)
