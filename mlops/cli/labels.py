"""Commands of the group `labels`: add."""

from __future__ import annotations

from typing import Annotated

import typer

from mlops.cli.output import Json

__all__ = ["labels"]


labels = typer.Typer(help="Labels for served predictions.", no_args_is_help=True)


@labels.command()
def add(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            help="A table with the target and the key, or the prediction's id: a file, or an address such as s3://…."
        ),
    ],
    by: Annotated[str, typer.Option(help="Match rows by key, or by id, the prediction's.")] = "key",
    skip_unknown: Annotated[
        bool, typer.Option(help="Skip labels that match no prediction instead of rejecting the file.")
    ] = False,
    json: Json = False,
) -> None:
    """Add the labels of served predictions, by key or by prediction id.

    Example: mlops labels add march.parquet
    """
    from mlops.project.labels import add_labels
    from mlops.project.table_argument import open_table

    project = context.obj.project()
    with open_table(file, env=project.folder.root / ".env") as table:
        added = add_labels(project, table, by=by, skip_unknown=skip_unknown)
    text = f"{added.rows} labels added, {added.corrected} of them corrections"
    text += f", {added.unknown} unknown skipped." if added.unknown else "."
    result = {"rows": added.rows, "corrected": added.corrected, "unknown": added.unknown}
    context.obj.show(text, result, as_json=json)
