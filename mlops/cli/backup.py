"""Command `backup`: save .mlops to one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlops.cli.output import Json, size

__all__ = ["backup"]


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
    from mlops.project.backup import backup as save

    saved = save(context.obj.project(), file.resolve(), with_data=with_data)
    lines = [
        f"{file}: {saved.files:,} files, {size(saved.bytes)}.",
        *(f"Not in it: {one}" for one in saved.absent),
    ]
    result = {"file": str(file), "files": saved.files, "bytes": saved.bytes, "absent": saved.absent}
    context.obj.show("\n".join(lines), result, as_json=json)
