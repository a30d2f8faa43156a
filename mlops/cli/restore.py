"""Command `restore`: put a backup back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli.output import Json, Screen

__all__ = ["restore"]


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
    from mlops.project.restore import restore as put_back

    project = (Screen(into) if into else context.obj).project()
    restored = put_back(project, file.resolve(), force=force)
    result = {"folder": str(project.folder.root), "files": restored.files, "notes": restored.notes}
    lines = [f"{restored.files:,} files restored into {project.folder.root}.", *restored.notes]
    context.obj.show("\n".join(lines), result, as_json=json)
